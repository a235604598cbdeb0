"""Names that PEP 8 would have otherwise, with the codes that pep8-naming gave them."""

from __future__ import annotations

import ast
import re
import warnings

from symphony.extension import Extension

extension = Extension("naming", "0.1.0")

# Names that another interface dictates: visitors, unittest's hooks, http.server's handlers.
DICTATED = re.compile(
    r"(visit|depart|leave|do|test|handle|assert)_?[A-Z]\w*$"
    r"|(setUp|tearDown|runTest|maxDiff)\w*$"
)
AMBIGUOUS = frozenset({"l", "O", "I"})


@extension.operation
def naming(source: str) -> list[dict[str, object]]:
    """List the names of a file that break PEP 8.

    Args:
        source: The file's text; one that does not parse has no findings.

    Returns:
        In the order of lines: `code` (N801, N802, N803, N804, N805, N807, N811, E741), `name`,
        `line` and `message`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found: list[tuple[int, str, str, str]] = []
    waiting: list[tuple[ast.AST, ast.AST]] = [(tree, tree)]
    while waiting:
        node, scope = waiting.pop()
        if isinstance(node, ast.ClassDef):
            found += faults_of_class(node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found += faults_of_function(node, isinstance(scope, ast.ClassDef))
        elif isinstance(node, ast.ImportFrom):
            found += faults_of_import(node)
        elif isinstance(node, ast.Name):
            found += faults_of_variable(node)
        inner = node if is_scope(node) else scope
        waiting += [(child, inner) for child in ast.iter_child_nodes(node)]
    found.sort()
    return [
        {"code": code, "name": name, "line": line, "message": message}
        for line, code, name, message in found
    ]


def is_cap_words(name: str) -> bool:
    """Tell whether a name is in CapWords, in any script."""
    bare = name.strip("_")
    return "_" not in bare and (not bare or not bare[0].islower())


def is_lower(name: str) -> bool:
    """Tell whether a name is in lower_case, in any script."""
    return name == name.lower()


def is_scope(node: ast.AST) -> bool:
    """Tell whether names inside a node belong to it."""
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda))


def faults_of_variable(node: ast.Name) -> list[tuple[int, str, str, str]]:
    """Check a variable where it is assigned."""
    if node.id in AMBIGUOUS and isinstance(node.ctx, ast.Store):
        return [(node.lineno, "E741", node.id, "reads like 1 or 0")]
    return []


def faults_of_class(node: ast.ClassDef) -> list[tuple[int, str, str, str]]:
    """Check the name of a class."""
    if is_cap_words(node.name):
        return []
    return [(node.lineno, "N801", node.name, "a class is named in CapWords")]


def faults_of_function(
    function: ast.FunctionDef | ast.AsyncFunctionDef, is_method: bool
) -> list[tuple[int, str, str, str]]:
    """Check the name of a function and of its parameters."""
    found: list[tuple[int, str, str, str]] = []
    name, line = function.name, function.lineno
    is_special = name.startswith("__") and name.endswith("__") and bool(name.strip("_"))
    if is_special and not is_method and name not in ("__getattr__", "__dir__"):
        found.append((line, "N807", name, "double underscores on both sides are the language's"))
    elif not is_special and not is_lower(name) and not DICTATED.match(name):
        found.append((line, "N802", name, "a function is named in lower_case"))
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    for parameter in [*positional, *arguments.kwonlyargs]:
        if parameter.arg in AMBIGUOUS:
            found.append((parameter.lineno, "E741", parameter.arg, "reads like 1 or 0"))
        elif not is_lower(parameter.arg):
            message = "a parameter is named in lower_case"
            found.append((parameter.lineno, "N803", parameter.arg, message))
    if is_method and positional:
        found += faults_of_first(function, positional[0].arg)
    return found


def faults_of_first(
    function: ast.FunctionDef | ast.AsyncFunctionDef, first: str
) -> list[tuple[int, str, str, str]]:
    """Check the first parameter of a method."""
    decorators = {
        getattr(node, "id", getattr(node, "attr", "")) for node in function.decorator_list
    }
    if "classmethod" in decorators or function.name in ("__new__", "__init_subclass__"):
        if first not in ("cls", "mcs", "mcls", "metacls", "type") and not first.startswith("_"):
            message = "a class method's first parameter is `cls`"
            return [(function.lineno, "N804", first, message)]
    elif not decorators and first not in ("self", "cls") and not first.startswith("_"):
        return [(function.lineno, "N805", first, "a method's first parameter is `self`")]
    return []


def faults_of_import(node: ast.ImportFrom) -> list[tuple[int, str, str, str]]:
    """Check that an import does not turn a constant's name into another kind of name."""
    found: list[tuple[int, str, str, str]] = []
    for alias in node.names:
        is_constant = alias.name.isupper() and len(alias.name) > 1
        if is_constant and alias.asname and not alias.asname.isupper():
            message = f"the constant `{alias.name}` is imported as no constant"
            found.append((node.lineno, "N811", alias.asname, message))
    return found
