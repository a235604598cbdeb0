"""The modules of an extension's folder, which come before those of the library also where the warm image holds these.

Called in a guest's process before its entry is imported. Keeps the promise that `import json` in an extension gives
what it gives in a program that starts in that folder: the folder's `json.py` where there is one, but for the few
modules that an interpreter holds before it looks at any folder.
"""

from __future__ import annotations

import _imp
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

_ENDINGS = (".py", ".pyc", *_imp.extension_suffixes())
"""By which the interpreter itself knows a module; `notes.happy` and `notes.old.py` are none."""
_set_aside: dict[str, ModuleType] = {}
_at_start: frozenset[str] = frozenset(sys.modules)


def remember_start(modules: Iterable[str]) -> None:
    """What this interpreter held before anything of ours, which nothing in a folder comes before.

    Args:
        modules: The names in `sys.modules` at its start.
    """
    global _at_start  # noqa: PLW0603 - a property of the process.
    _at_start = frozenset(modules)


def give_way(folder: str) -> None:
    """Takes the warm image's modules out of the way that the folder has modules of the same name for.

    Args:
        folder: The extension's folder.
    """
    wanted = _modules_of(folder) & {name.partition(".")[0] for name in sys.modules}
    wanted -= {"symphony", "__main__", *sys.builtin_module_names, *_at_start}
    for name in [name for name in sys.modules if name.partition(".")[0] in wanted]:
        _set_aside[name] = sys.modules.pop(name)


def library(name: str) -> ModuleType:
    """A module of the library, whatever the extension's folder calls its own."""
    return _set_aside.get(name) or __import__(name)


def comes_first(name: str, folder: str) -> bool:
    """Whether the interpreter holds a module of that name before it looks at the folder, which has one too."""
    top = name.partition(".")[0]
    held = top in sys.builtin_module_names or top in _at_start
    return held and top in _modules_of(folder)


def _modules_of(folder: str) -> set[str]:
    """The names of modules and packages in a folder; a folder without `__init__` comes after every library."""
    found: set[str] = set()
    try:
        entries = os.listdir(folder)
    except OSError:
        return found
    for entry in entries:
        name, dot, ending = entry.partition(".")
        if dot:
            if dot + ending in _ENDINGS:
                found.add(name)
        elif os.path.isfile(os.path.join(folder, entry, "__init__.py")):
            found.add(name)
    return found
