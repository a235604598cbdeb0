"""The command that starts the supervisor, also in a packaged application, and where the header of the Pit lies."""

from __future__ import annotations

from symphony._guest import packaged

_SERVE = (
    "from symphony.extension import serve; "
    "sys.exit(serve(sys.argv[1], sys.argv[2], int(os.environ['SYMPHONY_LANE'])))"
)


def freeze_support() -> None:
    """Lets a packaged program serve as its own supervisor. Call it first in `main`.

    In a frozen application `sys.executable` is the application itself, so the supervisor is started as
    `application --symphony-supervisor`. This function serves that call and never returns from it; otherwise it does
    nothing but remember that it was called: a boot in a packaged program that lacks it is refused.
    """
    import sys

    if packaged.is_supervisor():
        at_start = frozenset(sys.modules)
        from symphony._guest.fork_server import main

        main(at_start)
    packaged.passes_here()


def include() -> str:
    """The folder of the C header for Pit libraries, `symphony_pit.h`."""
    import os

    return os.path.join(_package_root(), "symphony", "include")


def supervisor_command(python: str | None = None) -> list[str]:
    """The command that starts the supervisor: this interpreter in its environment, or the packaged program.

    It has run `site` as this process has: what `.pth` files install, and where `sys.prefix` points, is the
    environment's. Of this process's `sys.path` it gets all but the script's folder and the empty entry: the program's
    own code is never importable in the image that extensions are forked from.

    Args:
        python: Another interpreter that serves; its packages are its own, and Symphony's folder is the last of them.

    Raises:
        BootError: This packaged program does not call `freeze_support()`.
    """
    import sys

    own = packaged.program()
    if python is not None:
        path = f"sys.path.append({_package_root()!r})"
    elif own is None:
        path = f"sys.path[:] = {_library_path()!r}"
    else:
        packaged.refuse_without_support(own)
        return [own, packaged.SUPERVISOR_FLAG]
    code = (
        f"import sys; at_start = tuple(sys.modules); {path}; "
        "from symphony._guest.fork_server import main; main(at_start)"
    )
    return [python or sys.executable, *_site_flags(), "-B", "-c", code]


def import_command() -> list[str] | None:
    """The command that comes as far as the supervisor's imports and ends, for whoever tries it; none when packaged."""
    import sys

    if packaged.program() is not None:
        return None
    code = f"import sys; sys.path[:] = {_library_path()!r}; import symphony._guest.fork_server"
    return [sys.executable, *_site_flags(), "-B", "-c", code]


def _site_flags() -> list[str]:
    """By which an interpreter has the same environment as this one, and none of the program's variables."""
    import sys

    flags = ["-E"]
    if sys.flags.no_user_site:
        flags.append("-s")
    if sys.flags.no_site:
        flags.append("-S")
    return flags


def foreign_command() -> list[str]:
    """The arguments by which another interpreter of this version becomes a guest; entry and folder follow.

    Its own packages come first; Symphony's folder is the last that it looks in.
    """
    return ["-c", f"import os, sys; sys.path.append({_package_root()!r}); {_SERVE}"]


def own_command() -> list[str]:
    """The command that executes this interpreter as a guest, for variables that act on no other; none when packaged.

    Entry and folder follow. It reads the variables that it is granted, also those of the interpreter.
    """
    import sys

    if packaged.program() is not None:
        return []
    code = f"import os, sys; sys.path[:] = {_library_path()!r}; {_SERVE}"
    return [sys.executable, *(["-S"] if sys.flags.no_site else []), "-c", code]


def _package_root() -> str:
    """The folder from which this package is imported."""
    import os

    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


_program_folders: set[str] = set()


def add_program_folder(folder: str) -> None:
    """Makes a folder of the program's own code importable: here, and never in the image of extensions.

    It comes behind the standard library, so that a `json.py` of whatever folder somebody works in is nobody's `json`,
    and before installed packages.

    Args:
        folder: The folder; one that is importable already is left as it is.
    """
    import sys

    if folder and folder not in sys.path:
        sites = (
            place
            for place, entry in enumerate(sys.path)
            if entry.endswith(("site-packages", "dist-packages"))
        )
        sys.path.insert(next(sites, len(sys.path)), folder)
        _program_folders.add(folder)


def _library_path() -> list[str]:
    """`sys.path` without what is there for the program that runs.

    That is what Python put there, once, and the empty entry; and what `add_program_folder` did. A folder that
    `PYTHONPATH` or a `.pth` file names stays, also where the script lies in it.
    """
    import sys

    package = _package_root()
    path = [entry for entry in sys.path if entry and entry not in _program_folders]
    main = sys.modules.get("__main__")
    script = getattr(main, "__file__", None)
    if script is not None and not (getattr(sys.flags, "safe_path", False) or sys.flags.isolated):
        spec = getattr(main, "__spec__", None)
        if spec is None or spec.name == "__main__":
            # A script, or the `__main__.py` of a folder or an archive: what it lies in.
            first = next((entry for entry in path if entry in _folders_of(script)), None)
        else:
            # `python -m`: the working directory of its start, which is what it was found in, where that is known.
            own = {_import_root(script, spec.name), _working_directory()}
            first = path[0] if path and path[0] in own else None
        if first is not None and first != package:
            path.remove(first)
    return path if package in path else [package, *path]


def _folders_of(script: str) -> set[str]:
    """The folder of a script, as it is named and where it is."""
    import os

    try:
        files = os.path.abspath(script), os.path.realpath(script)
    except FileNotFoundError:
        # The working directory was removed, and the script's folder is what its name says.
        files = script, script
    # An archive is among the modules as it was named.
    return {os.path.dirname(script), *map(os.path.dirname, files)}


def _import_root(file: str, module: str) -> str:
    """The folder in which the import of a module begins."""
    import os

    folder = os.path.dirname(file)
    for _ in range(module.count(".")):
        folder = os.path.dirname(folder)
    return folder


def _working_directory() -> str | None:
    import os

    try:
        return os.getcwd()
    except FileNotFoundError:
        return None
