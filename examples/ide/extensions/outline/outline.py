"""The symbols of a Python file as a tree: what an editor's outline pane shows."""

from __future__ import annotations

import ast
import re
import warnings

from symphony.extension import Extension

extension = Extension("outline", "0.1.0")

DEFINITION = re.compile(r"^([ \t]*)(class|def|async[ \t]+def)[ \t]+(\w+)")


@extension.operation
def outline(source: str) -> list[dict[str, object]]:
    """List a file's classes, functions and constants, nested as they are written.

    A file with a syntax error, as one has while typing, is outlined by its indentation.

    Args:
        source: The file's text.

    Returns:
        Symbols in the order of lines: `kind` (class, function, method, constant), `name`,
        `line`, `end` and `children`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return outline_by_indentation(source)
    return symbols_of(tree)


def symbols_of(tree: ast.Module) -> list[dict[str, object]]:
    """Collect the symbols of a parsed module."""
    top: list[dict[str, object]] = []
    waiting: list[tuple[ast.AST, list[dict[str, object]], bool]] = [(tree, top, False)]
    while waiting:
        parent, symbols, in_class = waiting.pop()
        for node in statements_of(parent):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                is_class = isinstance(node, ast.ClassDef)
                kind = "class" if is_class else "method" if in_class else "function"
                children: list[dict[str, object]] = []
                symbols.append(symbol(kind, node.name, node.lineno, node.end_lineno, children))
                waiting.append((node, children, is_class))
            elif parent is tree:
                names = assigned_names(node)
                symbols += [
                    symbol("constant", name, node.lineno, node.end_lineno, [])
                    for name in names
                    if name.isupper()
                ]
    return top


def statements_of(parent: ast.AST) -> list[ast.stmt]:
    """List a body's statements, those inside `if`, `try`, `with` and loops included."""
    found: list[ast.stmt] = []
    waiting: list[ast.AST] = [parent]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.stmt) and node is not parent:
            found.append(node)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
        for field in ("body", "handlers", "orelse", "finalbody", "cases"):
            children = getattr(node, field, ())
            if isinstance(children, list):
                waiting += children
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


def assigned_names(node: ast.stmt) -> list[str]:
    """List the plain names that a statement assigns."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def outline_by_indentation(source: str) -> list[dict[str, object]]:
    """Outline text that does not parse, from the lines that look like definitions."""
    top: list[dict[str, object]] = []
    open_symbols: list[tuple[int, str, list[dict[str, object]]]] = []
    for number, line in enumerate(source.split("\n"), 1):
        match = DEFINITION.match(line)
        if match is None:
            continue
        indent = len(match[1].expandtabs())
        while open_symbols and open_symbols[-1][0] >= indent:
            open_symbols.pop()
        parent_kind = open_symbols[-1][1] if open_symbols else ""
        kind = "class" if match[2] == "class" else "function"
        if kind == "function" and parent_kind == "class":
            kind = "method"
        children: list[dict[str, object]] = []
        into = open_symbols[-1][2] if open_symbols else top
        into.append(symbol(kind, match[3], number, number, children))
        open_symbols.append((indent, kind, children))
    return top


def symbol(
    kind: str, name: str, line: int, end: int | None, children: list[dict[str, object]]
) -> dict[str, object]:
    """Describe one symbol."""
    last = line if end is None else end
    return {"kind": kind, "name": name, "line": line, "end": last, "children": children}
