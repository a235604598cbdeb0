"""How much of a module's public face is documented, and what is not."""

from __future__ import annotations

import ast
import warnings

from symphony.extension import Extension

extension = Extension("docstrings", "0.1.0")

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@extension.operation
def docstrings(source: str, private: bool = False) -> dict[str, object]:
    """Measure the docstring coverage of a file.

    The module, its classes, functions and methods count; what is nested in a function does not,
    nor do overloads, property setters and methods of private classes.

    Args:
        source: The file's text.
        private: Whether names with a leading underscore count too.

    Returns:
        `parsed`, `total`, `documented`, `coverage` (0 to 1; 1 where nothing counts) and
        `missing`: `kind`, `name`, `line` of what has none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return report(False, 0, [])
    missing: list[dict[str, object]] = []
    total = 0
    waiting: list[tuple[ast.Module | ast.ClassDef, str]] = [(tree, "")] if tree.body else []
    while waiting:
        scope, prefix = waiting.pop()
        kind = "module" if isinstance(scope, ast.Module) else "class"
        total += 1
        if not is_documented(scope):
            line = scope.lineno if isinstance(scope, ast.ClassDef) else 1
            missing.append({"kind": kind, "name": prefix.rstrip(".") or "<module>", "line": line})
        for node in definitions_in(scope):
            if not private and is_private(node.name):
                continue
            if isinstance(node, ast.ClassDef):
                waiting.append((node, f"{prefix}{node.name}."))
                continue
            if is_exempt(node):
                continue
            total += 1
            if not is_documented(node):
                what = "method" if isinstance(scope, ast.ClassDef) else "function"
                missing.append({"kind": what, "name": prefix + node.name, "line": node.lineno})
    missing.sort(key=lambda entry: str(entry["line"]).zfill(8))
    return report(True, total, missing)


def report(parsed: bool, total: int, missing: list[dict[str, object]]) -> dict[str, object]:
    """Put the result together."""
    documented = total - len(missing)
    return {
        "parsed": parsed,
        "total": total,
        "documented": documented,
        "coverage": round(documented / total, 4) if total else 1.0,
        "missing": missing,
    }


def definitions_in(
    scope: ast.Module | ast.ClassDef,
) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """List the definitions of a scope, those under `if` and `try` included."""
    found: list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef] = []
    waiting: list[ast.AST] = list(reversed(scope.body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            found.append(node)
            continue
        for field in ("body", "handlers", "orelse", "finalbody"):
            children = getattr(node, field, None)
            if isinstance(children, list):
                waiting += reversed(children)
    return found


def is_documented(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether a definition begins with a docstring that says something."""
    return bool((ast.get_docstring(node, clean=False) or "").strip())


def is_private(name: str) -> bool:
    """Tell whether a name is private; special methods count as private too, but `__init__`."""
    return name.startswith("_")


def is_exempt(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether a function is documented elsewhere: overloads, property setters."""
    for decorator in function.decorator_list:
        name = getattr(decorator, "attr", getattr(decorator, "id", ""))
        if name in ("overload", "setter", "deleter", "override"):
            return True
    return False
