"""Programs that a packager made (PyInstaller, Nuitka and their like): which file they are, and that they start once.

In one of them `sys.executable` is the application itself, so its supervisor is the application, started again. Called
by the command that starts the supervisor, by the starter and by `doctor`. Invariant: no application is started a second
time because its `main` lacks a line: the first process is refused before it starts another, and one that was started
to be a supervisor and boots all the same ends at once.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

SUPERVISOR_FLAG = "--symphony-supervisor"

# The core gives it to the supervisor alone: the number of the process that started it.
_SUPERVISOR_OF = "SYMPHONY_SUPERVISOR_OF"
# Left by `freeze_support()`: processes that this program starts from its own file pass there too.
_SERVES = "SYMPHONY_FREEZE_SUPPORT"
_LINE = "symphony.freeze_support()"


def program() -> str | None:
    """The file of this packaged program; none where an interpreter runs it."""
    if getattr(sys, "frozen", False):
        return sys.executable
    if not hasattr(sys.modules.get("__main__"), "__compiled__"):
        return None
    # Nuitka's `sys.executable` need not exist; modules that it compiled may be run by an interpreter.
    own = os.readlink("/proc/self/exe")
    return None if os.path.basename(own).startswith("python") else own


def is_supervisor() -> bool:
    """Whether this process was started to be the supervisor of the one that it comes from."""
    return sys.argv[1:2] == [SUPERVISOR_FLAG]


def passes_here() -> None:
    """Remembers that this program calls `freeze_support()`, for this process and those that it starts."""
    own = program()
    if own is not None:
        os.environ[_SERVES] = own


def refuse_without_support(own: str) -> None:
    """Refuses to start this packaged program again where it would not become a supervisor.

    Args:
        own: The file of the program.

    Raises:
        BootError: It names the line that is missing.
    """
    if os.environ.get(_SERVES) == own:
        return
    from symphony.exceptions import BootError

    raise BootError(
        f"`{own}` is a packaged program in which `{_LINE}` was not called: started again to be the supervisor, it "
        "would be the whole application once more",
        phase="foundation",
        component="supervisor",
        hints=[f"call `{_LINE}` first in the program's `main`, before it reads its arguments"],
    )


def refuse_as_supervisor() -> None:
    """Ends a process that was started to be a supervisor and boots a system instead."""
    mark = os.environ.get(_SUPERVISOR_OF)
    own = program()
    if mark is None or own is None:
        return
    # Another program, started below a supervisor, may have inherited the mark. One that unpacks itself stands between.
    parent = os.getppid()
    if mark in {str(parent), str(_parent_of(parent))}:
        _end(own)


def _parent_of(process: int) -> int:
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _end(own: str) -> NoReturn:
    """Says why on stderr, which the process that started this one shows, and ends without the application's ways."""
    text = (
        f"error: `{own}` was started to be Symphony's supervisor, and began as the application\n"
        f"hint: call `{_LINE}` first in the program's `main`, before it reads its arguments\n"
    )
    try:
        os.write(2, text.encode(errors="backslashreplace"))
    finally:
        os._exit(1)


def leave_bundle() -> None:
    """Takes from this process's variables what its packager's loader left, so that no guest gets it."""
    os.environ.pop(_SUPERVISOR_OF, None)
    if program() is None:
        return
    for name in list(os.environ):
        if name.startswith("_PYI_") or name == "_MEIPASS2":
            del os.environ[name]
    own = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
    os.environ.pop("LD_LIBRARY_PATH", None)
    if own is not None:
        os.environ["LD_LIBRARY_PATH"] = own
