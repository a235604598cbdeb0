"""How much of a module's functions is annotated with types, and where it is not."""

from __future__ import annotations

import ast
import warnings

from symphony.extension import Extension

extension = Extension("annotations", "0.1.0")

BODIES = ("body", "handlers", "orelse", "finalbody", "cases")  # Where definitions may stand.


@extension.operation(name="annotations")
def measure(source: str, limit: int = 50) -> dict[str, object]:
    """Measure the annotation coverage of a file: parameters and results of all functions.

    `self` and `cls` do not count, nor does the result of `__init__`; a lambda has no place for
    annotations.

    Args:
        source: The file's text.
        limit: How many functions to list at most.

    Returns:
        `parsed`, `places`, `annotated`, `coverage` (0 to 1; 1 where there is no place),
        `functions`, `complete` (functions without a gap) and `gaps`: `name`, `line`, `lacks`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = None
    places = 0
    annotated = 0
    functions = 0
    gaps: list[tuple[int, dict[str, object]]] = []
    waiting: list[tuple[ast.AST, str, bool]] = [] if tree is None else [(tree, "", False)]
    while waiting:
        node, prefix, in_class = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            functions += 1
            count, lacks = inspect_function(node, in_class)
            places += count
            annotated += count - len(lacks)
            if lacks:
                entry: dict[str, object] = {
                    "name": prefix + node.name,
                    "line": node.lineno,
                    "lacks": lacks,
                }
                gaps.append((node.lineno, entry))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            prefix = f"{prefix}{node.name}."
            in_class = isinstance(node, ast.ClassDef)
        for field in BODIES:
            children = getattr(node, field, None)
            if isinstance(children, list):
                waiting += [(child, prefix, in_class) for child in children]
    gaps.sort(key=lambda gap: gap[0])
    return {
        "parsed": tree is not None,
        "places": places,
        "annotated": annotated,
        "coverage": round(annotated / places, 4) if places else 1.0,
        "functions": functions,
        "complete": functions - len(gaps),
        "gaps": [entry for _, entry in gaps[:limit]],
    }


def inspect_function(
    function: ast.FunctionDef | ast.AsyncFunctionDef, in_class: bool
) -> tuple[int, list[str]]:
    """Count the places for annotations, and name those without one."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    if in_class and positional and not is_static(function):
        positional = positional[1:]
    parameters = [*positional, *arguments.kwonlyargs]
    parameters += [star for star in (arguments.vararg, arguments.kwarg) if star is not None]
    lacks = [parameter.arg for parameter in parameters if parameter.annotation is None]
    places = len(parameters)
    if not (in_class and function.name in ("__init__", "__new__", "__init_subclass__")):
        places += 1
        if function.returns is None:
            lacks.append("return")
    return places, lacks


def is_static(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether a method has no `self` or `cls`."""
    return any(getattr(node, "id", "") == "staticmethod" for node in function.decorator_list)
