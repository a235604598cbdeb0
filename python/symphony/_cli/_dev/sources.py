"""Which extension a changed file belongs to, and whether it can run as it is.

Used by `command`. The invariant kept here: only files are read; nothing is imported and nothing is run.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import traceback
import warnings
from typing import TYPE_CHECKING

from symphony import _core
from symphony._cli._system import MANIFEST
from symphony._static.operations import read_operations

if TYPE_CHECKING:
    from collections.abc import Iterable

_SOURCES = (".rs", ".c", ".cc", ".cpp", ".h", ".hpp", ".go", ".zig", ".lock")
"""Sources of programs: their builds are what changes something."""
_BUILD_FILES = {"Makefile", "Cargo.toml", "build.rs", "CMakeLists.txt"}
_WRITTEN_BY_EXTENSIONS = (".log", ".db", ".db-wal", ".db-shm", ".db-journal", ".sqlite", ".sqlite3")
"""An extension that writes beside its code is not restarted for it, over and over."""
_ENTRY = re.compile(r"""^\s*entry\s*=\s*["']([\w.]+:[\w.]+)["']""", re.MULTILINE)


class Extension:
    """One extension, as its files are watched.

    Attributes:
        name: Its name.
        folder: Its folder.
        manifest: Its manifest.
        programs: Its program or library, where it has one.
        broken: Files of it that did not parse when they were read last.
    """

    def __init__(self, name: str, manifest: str) -> None:
        """Reads what its manifest names."""
        self.name, self.manifest = name, manifest
        self.folder = os.path.dirname(manifest)
        self.programs = _paths(_core.watched_paths(manifest))
        self.broken: set[str] = set()
        entry = entry_of(manifest)
        inside = "" if entry is None else entry.partition(":")[0].replace(".", os.sep)
        # Whatever its name is, it is no test.
        self._entry = {
            os.path.join(self.folder, path)
            for path in (f"{inside}.py", os.path.join(inside, "__init__.py"))
            if inside
        }

    def concerned(self, changed: Iterable[str]) -> list[str]:
        """The changed files that are this extension's, and that its process may have read."""
        inside = self.folder + os.sep
        return [
            path
            for path in changed
            if path in self.programs
            or path == self.folder
            or (path.startswith(inside) and not self._is_beside(path))
        ]

    def _is_beside(self, path: str) -> bool:
        if path in self._entry:
            return False
        name = os.path.basename(path)
        is_test = name == "conftest.py" or (name.startswith("test_") and name.endswith(".py"))
        return is_test or name.endswith(_WRITTEN_BY_EXTENSIONS)

    def waits_for_build(self, files: list[str]) -> bool:
        """Whether only sources of its program were changed."""
        names = [os.path.basename(path) for path in files]
        sources = all(name.endswith(_SOURCES) or name in _BUILD_FILES for name in names)
        return bool(self.programs) and sources and not self.programs.intersection(files)

    def faults(self, files: list[str]) -> list[str]:
        """Why it cannot run with these files, and with those that did not parse before: a text for each."""
        texts: list[str] = []
        for path in sorted({*self.broken, *files}):
            text = syntax_error(path) if path.endswith(".py") else None
            if text is None:
                self.broken.discard(path)
            else:
                self.broken.add(path)
                texts.append(text)
        return texts


def entry_of(manifest: str) -> str | None:
    """The `entry` of a Python extension, as far as its manifest can be read."""
    found = _ENTRY.search((text_of(manifest) or b"").decode(errors="replace"))
    return None if found is None else found[1]


def extensions_of(config: str) -> list[Extension]:
    """The extensions of a system, as far as its manifests can be read."""
    found = _core.find_extensions([config], read_operations)
    return [Extension(name, os.path.abspath(file)) for name, file, *_ in found]


def watched(config: str, extensions: Iterable[Extension]) -> list[str]:
    """What is to be watched for a system: folders, and single files."""
    paths = _paths(_core.watched_paths(config)) | {config}
    for extension in extensions:
        paths |= {extension.folder, *extension.programs}
    # A folder that does not exist yet is heard of through the one that will hold it.
    absent = [path for path in paths if not os.path.exists(path)]
    return sorted(paths | {os.path.dirname(path) for path in absent if path.endswith(os.sep)})


def is_manifest(path: str, config: str) -> bool:
    """Whether a changed file says which extensions there are, or how one is started."""
    return path == config or os.path.basename(path) == MANIFEST


def text_of(path: str) -> bytes | None:
    """What a file holds; `None` where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def forget_bytecode(files: Iterable[str]) -> None:
    """Deletes what interpreters compiled of these sources.

    They hold it against the second of the last edit and the size of the file: an edit in the second of another one,
    which changes a letter, is taken for the file that was there before.
    """
    for path in files:
        folder, name = os.path.split(path)
        stem, extension = os.path.splitext(name)
        if extension == ".py":
            pattern = os.path.join(glob.escape(folder), "__pycache__", f"{glob.escape(stem)}.*.pyc")
            for compiled in glob.glob(pattern):
                with contextlib.suppress(OSError):
                    os.unlink(compiled)


def _paths(paths: Iterable[str | os.PathLike[str]]) -> set[str]:
    return {os.path.normpath(path) for path in paths}


def syntax_error(path: str) -> str | None:
    """What is wrong with a source, with its place; `None` of one that parses, or is gone."""
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError:
        return None
    try:
        with warnings.catch_warnings():
            # The extension's process shows them itself.
            warnings.simplefilter("ignore")
            compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return "".join(traceback.format_exception_only(type(error), error)).rstrip()
    return None
