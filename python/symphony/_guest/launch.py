"""The command that starts the supervisor, also in a packaged application, and where the header of the Pit lies."""

from __future__ import annotations

SUPERVISOR_FLAG = "--symphony-supervisor"


def freeze_support() -> None:
    """Lets a packaged program serve as its own supervisor. Call it first in `main`.

    In a frozen application `sys.executable` is the application itself, so the supervisor is started as
    `application --symphony-supervisor`. This function serves that call and never returns from it; otherwise it does
    nothing.
    """
    import sys

    if len(sys.argv) > 1 and sys.argv[1] == SUPERVISOR_FLAG:
        from symphony._guest.supervisor import main

        main()


def include() -> str:
    """The folder of the C header for Pit libraries, `symphony_pit.h`."""
    import os

    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "include")


def supervisor_command() -> list[str]:
    """The command that starts the supervisor: this interpreter, isolated and without site, or the frozen program.

    The supervisor gets this process's `sys.path` less the script's folder and the empty entry: user code is never
    importable in the image that extensions are forked from.
    """
    import sys

    if getattr(sys, "frozen", False):
        return [sys.executable, SUPERVISOR_FLAG]
    code = (
        f"import sys; sys.path[:] = {_library_path()!r}; "
        "from symphony._guest.supervisor import main; main()"
    )
    return [sys.executable, "-I", "-S", "-B", "-c", code]


def foreign_command() -> list[str]:
    """The arguments by which another interpreter of this version becomes a guest; entry and folder follow.

    Its own packages come first; Symphony's folder is the last that it looks in.
    """
    import os

    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = (
        f"import os, sys; sys.path.append({package!r}); "
        "from symphony.extension import serve; "
        "sys.exit(serve(sys.argv[1], sys.argv[2], int(os.environ['SYMPHONY_LANE'])))"
    )
    return ["-c", code]


def _library_path() -> list[str]:
    """`sys.path` without what belongs to the program that runs."""
    import os
    import sys

    main = sys.modules.get("__main__")
    script = getattr(main, "__file__", None)
    own = {"", os.getcwd()} if script is None else {"", os.path.dirname(os.path.abspath(script))}
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = [entry for entry in sys.path if entry not in own or entry == package]
    return path if package in path else [package, *path]
