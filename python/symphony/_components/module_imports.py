"""The import statements of a module, read from its source.

Asked for a name that an annotation uses and its module does not have at run time: one under
`TYPE_CHECKING`. The invariant kept here: nothing is imported before
its name is used. Who asks keeps the answer, so that one boot parses a module once.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterable, Iterator
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
    return {name: _import_of(*origin) for name, origin in imported_names(ast.walk(tree), package)}


def imported_names(
    nodes: Iterable[ast.AST], package: str
) -> Iterator[tuple[str, tuple[str, str | None, str]]]:
    """What the import statements among these bind.

    Returns:
        Each name with its module, the attribute of that where it is one (`*`: all of them), and the module that is
        imported for it: `import a.b` binds `a`.
    """
    import ast

    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield alias.asname or top, (alias.name if alias.asname else top, None, alias.name)
        elif isinstance(node, ast.ImportFrom):
            origin = absolute(node.module, node.level, package)
            for alias in node.names:
                yield alias.asname or alias.name, (origin, alias.name, origin)


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


def _import_of(module: str, name: str | None, imported: str) -> Callable[[], Any]:
    """Imports a module, or a name from it, or the submodule of that name."""

    def run() -> Any:
        __import__(imported)
        found = sys.modules[module] if name is None else getattr(sys.modules[module], name, None)
        if found is None:
            __import__(f"{module}.{name}")
            found = sys.modules[f"{module}.{name}"]
        return found

    return run
