"""Several boots of one system, each in a process of its own: what `symphony run --boots` measures before its own.

Called by `_cli._run`. The invariant kept here: a boot that is measured does nothing but boot and shut down, and one
that fails is nobody's error: the command's own boot tells what is wrong.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from symphony import SystemConfig

_CHILD = "from symphony._cli._boots import boot_once; boot_once()"
_TAKEN = ("ready_seconds", "overhead_seconds", "phases", "components")


def measure(options: argparse.Namespace, config: SystemConfig, count: int) -> list[dict[str, Any]]:
    """Boots so many times, one after the other.

    Returns:
        The figures of each boot, as `figures_of` takes them; fewer where one failed.
    """
    given = {
        "config": config.path,
        "state": config.state,
        "workspace": config.workspace,
        "safe_mode": config.safe_mode,
        "without": config.without,
        "components": options.components,
        "conductor": options.conductor,
    }
    found: list[dict[str, Any]] = []
    for _ in range(count):
        figures = _measured(json.dumps(given))
        if figures is None:
            break
        found.append(figures)
    return found


def _measured(given: str) -> dict[str, Any] | None:
    """The figures of one boot; `None` of one that failed."""
    # A file that has no name, and is nobody's stdout: what a system prints, also at its exit, is its own.
    with contextlib.suppress(OSError), tempfile.TemporaryFile() as file:
        ended = subprocess.run(  # noqa: S603 - this interpreter.
            [sys.executable, "-c", _CHILD, given, str(file.fileno())],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[file.fileno()],
        )
        file.seek(0)
        with contextlib.suppress(ValueError):
            figures: Any = json.loads(file.read())
            if ended.returncode == 0 and isinstance(figures, dict):
                return figures if figures.keys() == set(_TAKEN) else None
    return None


def figures_of(report: dict[str, Any]) -> dict[str, Any]:
    """What of a report is compared with those of other boots."""
    return {name: report[name] for name in _TAKEN}


def boot_once() -> None:
    """The child's side: boots, shuts down, and writes the figures to the descriptor that it was given."""
    import argparse
    import os

    from symphony import SystemConfig
    from symphony._cli._system import start

    given, descriptor = json.loads(sys.argv[1]), int(sys.argv[2])
    # Kept from what the boot starts.
    os.set_inheritable(descriptor, False)
    config = SystemConfig.load(
        given["config"],
        state=given["state"],
        workspace=given["workspace"],
        safe_mode=given["safe_mode"],
        without=given["without"],
    )
    options = argparse.Namespace(
        components=given["components"], conductor=given["conductor"], verbose=0, log_level=None
    )
    with start(options, config) as system:
        report = json.loads(system.report.to_json())
    os.write(descriptor, json.dumps(figures_of(report)).encode())
