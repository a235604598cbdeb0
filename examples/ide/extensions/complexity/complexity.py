"""How many ways lead through each function: McCabe's cyclomatic complexity, with its line."""

from __future__ import annotations

import ast
import warnings

from symphony.extension import Extension

extension = Extension("complexity", "0.1.0")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RANKS = ((5, "A"), (10, "B"), (20, "C"), (30, "D"), (40, "E"))
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.ClassDef)
BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.IfExp, ast.ExceptHandler)
BODIES = ("body", "handlers", "orelse", "finalbody", "cases")  # Where definitions may stand.
SKIPPED = (
    *SCOPES,
    ast.Name,
    ast.Constant,
    ast.expr_context,
    ast.operator,
    ast.cmpop,
    ast.arguments,
)
NESTING = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.With, ast.AsyncWith)


@extension.operation
def complexity(source: str) -> list[dict[str, object]]:
    """Measure every function and method of a file.

    Args:
        source: The file's text; one that does not parse has no functions.

    Returns:
        Most complex first: `name` (qualified), `line`, `complexity`, `rank` (A to F), `length`
        in lines, `depth` of nested statements and `parameters`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    measured: list[tuple[int, int, dict[str, object]]] = []
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        node, prefix = waiting.pop()
        if isinstance(node, SCOPES):
            name = prefix + node.name
            if isinstance(node, FUNCTIONS):
                entry, value = measure(node, name)
                measured.append((-value, node.lineno, entry))
            prefix = name + "."
        for field in BODIES:
            children = getattr(node, field, None)
            if isinstance(children, list):
                waiting += [(child, prefix) for child in children]
    measured.sort(key=lambda item: item[:2])
    return [entry for _, _, entry in measured]


def measure(
    function: ast.FunctionDef | ast.AsyncFunctionDef, name: str
) -> tuple[dict[str, object], int]:
    """Measure one function, without the functions and classes inside it."""
    value = 1
    deepest = 0
    waiting: list[tuple[ast.AST, int]] = [(statement, 0) for statement in function.body]
    while waiting:
        node, depth = waiting.pop()
        if isinstance(node, SKIPPED):
            continue
        value += branches_of(node)
        if isinstance(node, NESTING):
            depth += 1
            deepest = max(deepest, depth)
        for field in node._fields:
            child = getattr(node, field, None)
            if isinstance(child, ast.AST):
                waiting.append((child, depth))
            elif isinstance(child, list):
                # `elif` is an `if` in `orelse`, but nobody reads it as nested.
                is_elif = (
                    field == "orelse"
                    and len(child) == 1
                    and isinstance(node, ast.If)
                    and isinstance(child[0], ast.If)
                )
                inner = depth - 1 if is_elif else depth
                waiting += [(item, inner) for item in child if isinstance(item, ast.AST)]
    arguments = function.args
    parameters = len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs)
    entry: dict[str, object] = {
        "name": name,
        "line": function.lineno,
        "complexity": value,
        "rank": rank_of(value),
        "length": (function.end_lineno or function.lineno) - function.lineno + 1,
        "depth": deepest,
        "parameters": parameters,
    }
    return entry, value


def branches_of(node: ast.AST) -> int:
    """Count the ways that a node adds."""
    if isinstance(node, BRANCHES):
        return 1
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    if type(node).__name__ == "match_case":  # `ast.match_case` came with Python 3.10.
        pattern: Any = getattr(node, "pattern", None)
        catches_all = type(pattern).__name__ == "MatchAs" and pattern.pattern is None
        return 0 if catches_all and getattr(node, "guard", None) is None else 1
    return 0


def rank_of(value: int) -> str:
    """Name a complexity as radon does: A is simple, F is untestable."""
    for limit, rank in RANKS:
        if value <= limit:
            return rank
    return "F"
