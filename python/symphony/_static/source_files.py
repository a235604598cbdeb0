"""The Python files under a path, each with the name by which its program imports it.

Used by `_static.graphs` for `symphony check`. The invariant kept here: the same file has the same name, whether its
folder, its package, the file alone or a folder above is what was asked about; nothing but names of files is read.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_INIT = "__init__.py"


def files_by_module(path: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The modules that matter for a path, and their import roots.

    Of a file or folder inside a package that is the whole outermost package, as its parts know each other.

    Args:
        path: A file or a folder, absolute.

    Returns:
        Name and file of each module, and the folders in which their imports are found.
    """
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    root = _import_root(folder)
    if root != folder:
        outermost = os.path.relpath(folder, root).split(os.sep)[0]
        files = [(_name(file, root), file) for file in _files(os.path.join(root, outermost))]
        return files, [root]
    if not os.path.isdir(path):
        return [(_name(path, root), path)] if path.endswith(".py") else [], [root]
    return _below(path)


def _below(folder: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The modules of a folder in no package; those of packages deeper in it (`src/shop`) as they are imported."""
    files = list(_files(folder))
    roots = {file: _import_root(os.path.dirname(file)) for file in files}
    named = [
        _name(file, roots[file]) if _in_package(file) else _name(file, folder) for file in files
    ]
    # Of two packages of one name neither can be meant by it.
    counts = Counter(named)
    names = [name if counts[name] == 1 else _name(file, folder) for name, file in zip(named, files)]
    return list(zip(names, files)), list(dict.fromkeys([folder, *roots.values()]))


def _import_root(folder: str) -> str:
    """The folder around the outermost package that a folder belongs to; itself where it is in none."""
    while os.path.isfile(os.path.join(folder, _INIT)) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return folder


def _in_package(file: str) -> bool:
    return os.path.isfile(os.path.join(os.path.dirname(file), _INIT))


def _name(file: str, root: str) -> str:
    """The dotted name of a module from a root."""
    parts = os.path.splitext(os.path.relpath(file, root))[0].split(os.sep)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


def _files(root: str) -> Iterator[str]:
    """Every Python file under a folder, but in hidden folders and virtual environments."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in ("__pycache__", "node_modules")
            and not os.path.isfile(os.path.join(folder, name, "pyvenv.cfg"))
        )
        for file in sorted(files):
            path = os.path.join(folder, file)
            # A pipe or a socket is nothing to import, and reading one waits for whoever writes.
            if file.endswith(".py") and os.path.isfile(path):
                yield path
