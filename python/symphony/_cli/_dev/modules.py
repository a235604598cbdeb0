"""The modules that a system's own components come from: where their files are, and how a new boot has them anew.

Used by `command`. The invariant kept here: only what was imported from the developer's folders since the session began
is forgotten; Symphony, the standard library and what is installed stay as they are.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

from symphony._cli._dev.sources import forget_bytecode

if TYPE_CHECKING:
    from collections.abc import Iterable

_INSTALLED = {"site-packages", "dist-packages"}


class OwnModules:
    """The modules in the folders of a system.

    Attributes:
        places: The files and the packages' folders of the modules that are named for the boot.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        """Remembers what is imported already: that is the command's own."""
        self._folders = [os.path.abspath(folder) for folder in folders]
        self._before = set(sys.modules)
        libraries = (os.path.dirname(os.__file__), sys.modules["symphony"].__path__[0])
        self._others = tuple(os.path.join(os.path.abspath(one), "") for one in libraries)
        self.places: set[str] = set()

    def find(self, names: Iterable[str]) -> None:
        """Finds the places of modules, named `package.module` or `package.module:attribute`."""
        self.places = set()
        for name in names:
            inside = name.partition(":")[0].replace(".", os.sep)
            for folder in self._folders:
                path = os.path.normpath(os.path.join(folder, inside))
                if os.path.isfile(os.path.join(path, "__init__.py")):
                    self.places.add(path)
                else:
                    self.places.add(f"{path}.py")

    def watched(self) -> set[str]:
        """What is to be watched: of what does not exist there is nothing to be heard."""
        return {path for path in self.places if os.path.exists(path)}

    def concerned(self, changed: Iterable[str]) -> list[str]:
        """The changed sources that belong to one of them."""
        folders = tuple(os.path.join(path, "") for path in self.places)
        return [
            path
            for path in changed
            if path.endswith(".py") and (path in self.places or path.startswith(folders))
        ]

    def forget(self) -> None:
        """Has the next boot import them as their files are now."""
        files: list[str] = []
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if name not in self._before and isinstance(file, str) and self._is_own(file):
                del sys.modules[name]
                files.append(os.path.abspath(file))
        forget_bytecode(files)
        importlib.invalidate_caches()

    def _is_own(self, file: str) -> bool:
        path = os.path.abspath(file)
        # What was compiled cannot be imported twice.
        if not path.endswith(".py") or _INSTALLED.intersection(path.split(os.sep)):
            return False
        inside = tuple(os.path.join(folder, "") for folder in self._folders)
        return path.startswith(inside) and not path.startswith(self._others)
