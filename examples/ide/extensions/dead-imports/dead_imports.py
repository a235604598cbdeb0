"""Imports that a file never uses."""

from __future__ import annotations

import ast
import re
import warnings

from symphony.extension import Extension

extension = Extension("dead-imports", "0.1.0")

WORD = re.compile(r"[^\W\d]\w*")
DYNAMIC = frozenset({"globals", "locals", "vars", "eval", "exec"})


@extension.operation
def dead_imports(source: str, path: str = "") -> list[dict[str, object]]:
    """List the names that a file imports at its top level and never uses.

    Spared are `__future__`, names in `__all__`, `import x as x`, imports under `try` (they probe),
    everything in an `__init__.py` (it re-exports), and lines that say `noqa`.

    Args:
        source: The file's text; one that does not parse has no findings.
        path: The file's path, to know an `__init__.py`.

    Returns:
        In the order of lines: `name`, `module`, `line`, and `certain`: False where the file looks
        names up by text (`globals()`, `eval`), so that a use may be hidden.
    """
    if path.replace("\\", "/").rsplit("/", 1)[-1] == "__init__.py":
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    imported = imported_names(tree)
    if not imported:
        return []
    used, is_dynamic = used_names(tree)
    lines = source.split("\n")
    return [
        {"name": name, "module": module, "line": line, "certain": not is_dynamic}
        for name, module, line in imported
        if name not in used and not (line <= len(lines) and "noqa" in lines[line - 1])
    ]


def imported_names(tree: ast.Module) -> list[tuple[str, str, int]]:
    """List what the top level binds by import: name, module, line."""
    found: list[tuple[str, str, int]] = []
    waiting: list[ast.stmt] = list(reversed(tree.body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.split(".", 1)[0]
                if alias.asname != alias.name:
                    found.append((name, alias.name, node.lineno))
        elif isinstance(node, ast.ImportFrom):
            if node.module == "__future__" and node.level == 0:
                continue
            module = "." * node.level + (node.module or "")
            found += [
                (alias.asname or alias.name, module, node.lineno)
                for alias in node.names
                if alias.name not in ("*", alias.asname)
            ]
        elif isinstance(node, ast.If):
            waiting += reversed([*node.body, *node.orelse])
    return found


def used_names(tree: ast.Module) -> tuple[set[str], bool]:
    """Collect the names that a file reads, and whether it looks names up by text."""
    used: set[str] = set()
    is_dynamic = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Store):
                used.add(node.id)
                is_dynamic = is_dynamic or node.id in DYNAMIC
        elif isinstance(node, ast.Global):
            used.update(node.names)
        else:
            used.update(exported_names(node))
        annotation = getattr(node, "annotation", None) or getattr(node, "returns", None)
        if annotation is not None:
            for text in texts_in(annotation):
                used.update(WORD.findall(text))
    return used, is_dynamic


def exported_names(node: ast.AST) -> list[str]:
    """List the names that a node puts into `__all__`: by assignment, `extend` or `append`."""
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
        owners = node.targets if isinstance(node, ast.Assign) else [node.target]
        values = [node.value]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        owners = [node.func.value]
        values = list(node.args)
    else:
        return []
    if any(isinstance(owner, ast.Name) and owner.id == "__all__" for owner in owners):
        return [text for value in values for text in texts_in(value)]
    return []


def texts_in(node: ast.AST | None) -> list[str]:
    """List the strings inside an expression."""
    if node is None:
        return []
    return [
        inner.value
        for inner in ast.walk(node)
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
    ]
