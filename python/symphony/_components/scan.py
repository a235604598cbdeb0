"""From a module or its name to the components that it defines itself and `@component` marks.

Called by `boot()` for such entries of `components=`. The invariant kept here: there is no registry;
what a module imported from elsewhere is not its own, and importing happens at `boot()` and nowhere
else.
"""

from __future__ import annotations

import sys

from symphony._components.mark import MARK
from symphony.exceptions import BootError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType
    from typing import Any


def scan(item: str | ModuleType) -> list[Any]:
    """The components of a module and, where it is a package, of its submodules.

    Args:
        item: A module, the name of one, or `"package.module:attribute"`.

    Raises:
        BootError: A module cannot be imported, or has no such attribute.
    """
    if isinstance(item, str):
        name, _, attribute = item.partition(":")
        module = load(name)
        if attribute:
            return [attribute_of(module, attribute)]
    else:
        module = item
    return [target for part in _with_submodules(module) for target in _marked(part)]


def load(name: str) -> ModuleType:
    """Imports a module that a user named.

    Raises:
        BootError: It cannot be found, or raises on import.
    """
    try:
        __import__(name)
        return sys.modules[name]
    except Exception as error:
        absent = error.name if isinstance(error, ModuleNotFoundError) else None
        text, hints = f"`{name}` failed to import", []
        if absent is not None and (name == absent or name.startswith(absent + ".")):
            text, hints = f"there is no module `{absent}`", ["its folder has to be on `sys.path`"]
        raise BootError(text, phase="conductor", component=name, hints=hints) from error


def attribute_of(module: ModuleType, path: str) -> Any:
    """The object that `module:path` names.

    Raises:
        BootError: The module has no such attribute.
    """
    found: Any = module
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise BootError(
                f"`{module.__name__}` has no attribute `{path}`",
                phase="conductor",
                component=f"{module.__name__}:{path}",
                hints=_nearest(part, found),
            ) from error
    return found


def _nearest(name: str, owner: Any) -> list[str]:
    """A hint with the nearest public name, where one is near."""
    import difflib

    public = [known for known in dir(owner) if not known.startswith("_")]
    return [f"did you mean `{near}`?" for near in difflib.get_close_matches(name, public, 1)]


def _with_submodules(module: ModuleType) -> Iterator[ModuleType]:
    """A module, then its submodules by name; a `__main__` is a program and left out."""
    yield module
    path = getattr(module, "__path__", None)
    if path is None:
        return
    import pkgutil

    for found in sorted(pkgutil.iter_modules(path), key=lambda entry: entry.name):
        if found.name != "__main__":
            yield from _with_submodules(load(f"{module.__name__}.{found.name}"))


def _marked(module: ModuleType) -> Iterator[Any]:
    """What the module defines itself and marks, each once, in the order of its definition."""
    seen: set[int] = set()
    for value in list(vars(module).values()):
        if isinstance(value, type):
            marked = MARK in value.__dict__
        else:
            marked = callable(value) and MARK in getattr(value, "__dict__", ())
        if marked and value.__module__ == module.__name__ and id(value) not in seen:
            seen.add(id(value))
            yield value
