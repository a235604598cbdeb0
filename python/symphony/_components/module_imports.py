"""The import statements of a module, read from its source.

Asked for a name that an annotation uses and its module does not have at run time: one under
`TYPE_CHECKING`. The invariant kept here: nothing is imported before
its name is used. Who asks keeps the answer, so that one boot parses a module once.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def names_bound_in(module: str) -> dict[str, Callable[[], Any]]:
    """What the import statements of a module bind, each name with what imports it.

    Nothing is bound where there is no source.
    """
    import ast

    loaded = sys.modules.get(module)
    try:
        tree = ast.parse(_source_of(module, loaded))
    except (AttributeError, ImportError, OSError, SyntaxError, ValueError):
        return {}
    package = getattr(loaded, "__package__", None) or ""
    bound: dict[str, Callable[[], Any]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                bound[name] = _module_import(alias.name, top=alias.asname is None)
        elif isinstance(node, ast.ImportFrom):
            origin = absolute(node.module, node.level, package)
            for alias in node.names:
                bound[alias.asname or alias.name] = _name_import(origin, alias.name)
    return bound


def _source_of(module: str, loaded: Any) -> str | bytes:
    """The source of a module, from its file, or from what loaded it (a zip file)."""
    file = getattr(loaded, "__file__", None)
    if isinstance(file, str) and file.endswith(".py"):
        try:
            with open(file, "rb") as source:
                return source.read()
        except OSError:
            pass  # It may lie in an archive, which only its loader can open.
    loader = getattr(getattr(loaded, "__spec__", None), "loader", None)
    source_text: str | None = loader.get_source(module)  # type: ignore[union-attr]
    return source_text or ""


def absolute(module: str | None, level: int, package: str) -> str:
    """The full name of the module in `from <module> import …` written in `package`."""
    if level == 0:
        return module or ""
    base = package.rsplit(".", level - 1)[0] if level > 1 else package
    return f"{base}.{module}" if module else base


def _module_import(module: str, *, top: bool) -> Callable[[], Any]:
    """Imports a module; `import a.b` binds `a`."""

    def run() -> Any:
        __import__(module)
        return sys.modules[module.partition(".")[0] if top else module]

    return run


def _name_import(module: str, name: str) -> Callable[[], Any]:
    """Imports a name from a module, or the submodule of that name."""

    def run() -> Any:
        __import__(module)
        found = getattr(sys.modules[module], name, None)
        if found is None:
            __import__(f"{module}.{name}")
            found = sys.modules[f"{module}.{name}"]
        return found

    return run
