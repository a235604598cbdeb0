"""Whether an interpreter that an extension names can run it: asked by `symphony check`, told with what to do.

Nothing of the extension is imported or run; the interpreter says its version and imports Symphony's core, as it would
to become a guest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

_LIMIT = 20.0
"""Seconds: a cold interpreter on a busy machine."""


def fault_of(interpreter: str | os.PathLike[str]) -> tuple[str, str] | None:
    """Ask an interpreter.

    Args:
        interpreter: Its path, or a bare name to be looked up.

    Returns:
        What is wrong and what to do, or None where it can run an extension.
    """
    named = os.fspath(interpreter)
    found = shutil.which(named)
    if found is None:
        if os.path.exists(named):
            return f"the interpreter `{named}` cannot be executed", "name the file `bin/python`"
        hint = f"make the environment: `{os.path.basename(sys.executable)} -m venv {_home(named)}`, or correct `python`"
        return f"the interpreter `{named}` does not exist", hint
    return _fault_of_found(found, named)


def _fault_of_found(found: str, named: str) -> tuple[str, str] | None:
    try:
        asked = subprocess.run(  # noqa: S603 - the manifest names the program.
            [found, "-c", _probe()],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_LIMIT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the interpreter `{named}` cannot be asked: {error}", "run it by hand"
    version, _, core = asked.stdout.strip().partition(" ")
    if core == "ok":
        return None
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    install = f"install it there: `{named} -m pip install symphony-boot`"
    if not core:
        last = (asked.stderr.strip().splitlines() or [f"exit code {asked.returncode}"])[-1]
        fault = (f"`{named}` is no interpreter that runs: {last}", "correct `python`")
    elif version != ours:
        fault = (
            f"the interpreter `{named}` is Python {version}, this one {ours}, and it has no Symphony of its own",
            f"{install}, or make the environment with Python {ours}",
        )
    else:
        fault = (f"the interpreter `{named}` cannot import Symphony: {core}", install)
    return fault


def _probe() -> str:
    """By what an interpreter says its version, and `ok` or why it cannot become a guest."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return (
        # What lies in the working directory is the project's, and nothing of it is to be run.
        f"import sys; sys.path[:] = [*filter(None, sys.path), {package!r}]\n"
        "print('%d.%d' % sys.version_info[:2], end=' ')\n"
        "try: import symphony._core\n"
        "except BaseException as fault: print(type(fault).__name__ + ':', fault)\n"
        "else: print('ok')"
    )


def _home(interpreter: str) -> str:
    """The environment that a path of the form `…/bin/python` belongs to."""
    return os.path.dirname(os.path.dirname(interpreter)) or ".venv"
