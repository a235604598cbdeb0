"""Writes an extension from its templates, all of it or nothing.

Used by `command`. The invariant kept here: the folder appears under its name whole and checked, or not at all.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import keyword
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from symphony._cli._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from symphony._cli._new.place import Place

_SUFFIX = ".template"
_TEMPLATES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates")


def module_of(name: str) -> str:
    """A module's name for an extension's, which hides no module that exists and is none of a test's."""
    module = name.replace("-", "_")
    if not module.isidentifier():
        module = f"extension_{module}"
    is_test = module.startswith("test_") or module.endswith("_test") or module == "conftest"
    if keyword.iskeyword(module) or is_test or _exists(module):
        module = f"{module}_extension"
    return module


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def program_of(name: str) -> str:
    """The name of an extension's program: lawful for every build tool, and no module's."""
    return f"extension-{name}"


class Draft:
    """The files of an extension, before they are written."""

    def __init__(self, name: str) -> None:
        """Nothing is in it yet."""
        self.words = {
            "@NAME@": name,
            "@MODULE@": module_of(name),
            "@PROGRAM@": program_of(name),
        }
        self.files: dict[str, str] = {}

    def add_templates(self, folder: str) -> None:
        """Takes in a folder of templates."""
        root = os.path.join(_TEMPLATES, folder)
        for parent, folders, names in os.walk(root):
            folders.sort()
            inside = os.path.relpath(parent, root)
            for file in sorted(names):
                if file.endswith(_SUFFIX):
                    with open(os.path.join(parent, file), encoding="utf-8") as template:
                        text = template.read()
                    path = os.path.normpath(os.path.join(inside, file[: -len(_SUFFIX)]))
                    path = path.replace("MODULE", self.words["@MODULE@"]).replace("DOT-", ".")
                    self.add(path, self._filled(text))

    def add(self, path: str, text: str) -> None:
        """Takes in one file."""
        self.files[path] = text

    def _filled(self, text: str) -> str:
        for word, value in self.words.items():
            text = text.replace(word, value)
        return text


def write(draft: Draft, place: Place, check: Callable[[str], None]) -> list[str]:
    """Writes the files where they belong.

    Args:
        draft: The files.
        place: Where they go.
        check: Called with the folder before it has its name; what it raises ends everything.

    Returns:
        What was written, absolute.

    Raises:
        UsageError: Something is there already.
        OSError: It cannot be written.
    """
    parent = os.path.dirname(place.folder)
    if os.path.lexists(place.folder):
        raise UsageError(
            f"`{os.path.relpath(place.folder)}` exists",
            hints=["choose another name; nothing is ever overwritten"],
        )
    with contextlib.ExitStack() as undo:
        for folder in _absent(parent):
            os.mkdir(folder)
            undo.callback(_remove_if_empty, folder)
        temporary = tempfile.mkdtemp(prefix=".symphony-new-", dir=parent)
        undo.callback(shutil.rmtree, temporary, ignore_errors=True)
        os.chmod(temporary, 0o777 & ~_umask())
        for path, text in draft.files.items():
            whole = os.path.join(temporary, path)
            os.makedirs(os.path.dirname(whole), exist_ok=True)
            with open(whole, "x", encoding="utf-8") as file:
                file.write(text)
        check(temporary)
        written = [os.path.join(place.folder, path) for path in draft.files]
        if place.is_new and place.system is not None:
            _write_new(place.system, _system_manifest(parent))
            undo.callback(os.unlink, place.system)
            written.append(place.system)
        try:
            # Only one can make it; a rename alone would take an empty folder's place.
            os.mkdir(place.folder)
        except FileExistsError:
            raise UsageError(f"`{os.path.relpath(place.folder)}` exists") from None
        undo.callback(_remove_if_empty, place.folder)
        os.rename(temporary, place.folder)
        undo.pop_all()
    return written


def _system_manifest(folder: str) -> str:
    name = json.dumps(os.path.basename(folder) or "system", ensure_ascii=False)
    return (
        f'[system]\nname = {name}\nextensions = ["*"]  # every folder here that holds a manifest\n'
    )


def _write_new(path: str, text: str) -> None:
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)


def _absent(folder: str) -> list[str]:
    """The folders that have to be made, outermost first."""
    absent: list[str] = []
    while not os.path.lexists(folder):
        absent.insert(0, folder)
        folder = os.path.dirname(folder)
    return absent


def _remove_if_empty(folder: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
