"""Code that is lawful and rarely meant: mutable defaults, bare excepts, comparisons by `is`."""

from __future__ import annotations

import ast
import warnings

from symphony.extension import Extension

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

extension = Extension("pitfalls", "0.1.0")

MUTABLE_CALLS = frozenset({"list", "dict", "set", "bytearray", "defaultdict", "deque"})
MUTABLE_NODES = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)


@extension.operation
def pitfalls(source: str) -> list[dict[str, object]]:
    """List what in a file is probably a mistake.

    Args:
        source: The file's text; one that does not parse has no findings.

    Returns:
        In the order of lines: `rule`, `line` and `message`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found: list[tuple[int, str, str]] = []
    for node in ast.walk(tree):
        check = CHECKS.get(type(node))
        if check is not None:
            found += check(node)
    found.sort()
    return [{"rule": rule, "line": line, "message": message} for line, rule, message in found]


def mutable_defaults(
    function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
) -> list[tuple[int, str, str]]:
    """Find defaults that all calls share."""
    found: list[tuple[int, str, str]] = []
    for default in [*function.args.defaults, *function.args.kw_defaults]:
        is_call = isinstance(default, ast.Call) and getattr(default.func, "id", "") in MUTABLE_CALLS
        if default is not None and (is_call or isinstance(default, MUTABLE_NODES)):
            message = "all calls share this default; use None and make it inside"
            found.append((default.lineno, "mutable-default", message))
    return found


def silent_handler(handler: ast.ExceptHandler) -> list[tuple[int, str, str]]:
    """Find handlers that catch everything, and those that then say nothing."""
    is_silent = len(handler.body) == 1 and isinstance(handler.body[0], ast.Pass)
    if handler.type is None:
        if any(isinstance(node, ast.Raise) for node in ast.walk(handler)):
            return []
        message = "a bare `except` also catches `KeyboardInterrupt` and `SystemExit`"
        return [(handler.lineno, "bare-except", message)]
    if is_silent and getattr(handler.type, "id", "") in ("Exception", "BaseException"):
        return [(handler.lineno, "swallowed-exception", "every error is dropped without a word")]
    return []


def odd_comparison(node: ast.Compare) -> list[tuple[int, str, str]]:
    """Find `== None`, and `is` with a literal."""
    found: list[tuple[int, str, str]] = []
    for operator, right in zip(node.ops, node.comparators):
        if not isinstance(right, ast.Constant):
            continue
        if isinstance(operator, (ast.Eq, ast.NotEq)) and right.value is None:
            found.append((node.lineno, "equals-none", "compare to None with `is`"))
        elif isinstance(operator, (ast.Is, ast.IsNot)) and type(right.value) in (int, str, bytes):
            message = "`is` compares identity; use `==` for a literal"
            found.append((node.lineno, "is-literal", message))
    return found


def tuple_assertion(node: ast.Assert) -> list[tuple[int, str, str]]:
    """Find an assertion that always holds."""
    if isinstance(node.test, ast.Tuple) and node.test.elts:
        return [(node.lineno, "assert-tuple", "a tuple is always true")]
    return []


def no_exception(node: ast.Raise) -> list[tuple[int, str, str]]:
    """Find `raise NotImplemented`."""
    name = getattr(node.exc, "id", getattr(getattr(node.exc, "func", None), "id", ""))
    if name != "NotImplemented":
        return []
    message = "`NotImplemented` is no exception; `NotImplementedError` is"
    return [(node.lineno, "raise-not-implemented", message)]


def jump_in_finally(node: ast.Try) -> list[tuple[int, str, str]]:
    """Find a `return` in a `finally`, which drops the exception on its way."""
    found: list[tuple[int, str, str]] = []
    waiting: list[ast.AST] = list(node.finalbody)
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(inner, ast.Return):
            message = "a `return` in `finally` drops the exception on its way"
            found.append((inner.lineno, "return-in-finally", message))
        waiting += ast.iter_child_nodes(inner)
    return found


def repeated_keys(node: ast.Dict | ast.Set) -> list[tuple[int, str, str]]:
    """Find a literal key that a dict or set names twice."""
    found: list[tuple[int, str, str]] = []
    seen: set[tuple[str, object]] = set()
    for key in node.keys if isinstance(node, ast.Dict) else node.elts:
        if not isinstance(key, ast.Constant):
            continue
        identity = (type(key.value).__name__, key.value)
        if identity in seen:
            found.append((key.lineno, "repeated-key", f"`{key.value!r:.40}` is there twice"))
        seen.add(identity)
    return found


CHECKS: dict[type[ast.AST], Callable[[Any], list[tuple[int, str, str]]]] = {
    ast.FunctionDef: mutable_defaults,
    ast.AsyncFunctionDef: mutable_defaults,
    ast.Lambda: mutable_defaults,
    ast.ExceptHandler: silent_handler,
    ast.Compare: odd_comparison,
    ast.Assert: tuple_assertion,
    ast.Raise: no_exception,
    ast.Try: jump_in_finally,
    ast.Dict: repeated_keys,
    ast.Set: repeated_keys,
}
