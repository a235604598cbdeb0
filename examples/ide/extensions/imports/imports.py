"""What a Python file imports: from where, on which line, and whether always."""

from __future__ import annotations

import ast
import os
import sys
import warnings
from functools import cache
from pathlib import Path

from symphony.extension import Extension

extension = Extension("imports", "0.1.0")


@extension.operation
def imports(source: str) -> list[dict[str, object]]:
    """List a file's imports.

    Args:
        source: The file's text; one that does not parse has no imports.

    Returns:
        In the order of lines: `module` (with leading dots where relative), `names`, `line`,
        `origin` (standard, relative, third-party) and `when` (always, conditional, function,
        typing).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found: list[dict[str, object]] = []
    waiting: list[tuple[ast.AST, str]] = [(tree, "always")]
    while waiting:
        node, when = waiting.pop()
        if isinstance(node, ast.Import):
            found += [describe(node, alias.name, [], when) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found.append(describe(node, module, [alias.name for alias in node.names], when))
        for field in ("body", "handlers", "orelse", "finalbody", "cases"):
            children = getattr(node, field, None)
            if isinstance(children, list):
                inner = narrower(node, field, when)
                waiting += [(child, inner) for child in children]
    found.sort(key=lambda entry: (entry["line"], entry["module"]))
    return found


def narrower(node: ast.AST, field: str, when: str) -> str:
    """Tell when statements inside a node run, given when the node itself does."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return "function"
    if when != "always" or isinstance(node, (ast.Module, ast.ClassDef, ast.With, ast.AsyncWith)):
        return when
    if isinstance(node, ast.If) and field == "body" and is_type_checking(node.test):
        return "typing"
    return "conditional"


def is_type_checking(test: ast.expr) -> bool:
    """Recognise `TYPE_CHECKING` and `typing.TYPE_CHECKING`."""
    name = test.id if isinstance(test, ast.Name) else getattr(test, "attr", "")
    return name == "TYPE_CHECKING"


def describe(
    node: ast.Import | ast.ImportFrom, module: str, names: list[str], when: str
) -> dict[str, object]:
    """Describe one import."""
    return {
        "module": module,
        "names": names,
        "line": node.lineno,
        "origin": origin_of(module),
        "when": when,
    }


def origin_of(module: str) -> str:
    """Tell where a module comes from, by its name."""
    if module.startswith("."):
        return "relative"
    top = module.split(".", 1)[0]
    is_standard = top == "__main__" or top in standard_modules()
    return "standard" if is_standard else "third-party"


def standard_modules() -> frozenset[str]:
    """List the top-level modules of the standard library; Python 3.9 has to look at its files."""
    known: frozenset[str] = getattr(sys, "stdlib_module_names", frozenset())
    return known or modules_by_file()


@cache
def modules_by_file() -> frozenset[str]:
    """List the standard library's modules by its files."""
    folder = Path(os.__file__).parent
    files = {*folder.glob("*"), *folder.glob("lib-dynload/*")}
    names = {file.name.split(".", 1)[0] for file in files} - {"site-packages", "__pycache__"}
    # The import system itself has neither a file nor a place among the built-in modules.
    frozen = {"_frozen_importlib", "_frozen_importlib_external"}
    return frozenset(names) | frozenset(sys.builtin_module_names) | frozen
