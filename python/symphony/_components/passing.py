"""What a function passes on of its `*` and `**` arguments, read from its text.

Asked for by both readers of constructors, and only where one takes such arguments and another one comes
after it. The invariant kept here: what the text does not tell plainly is hidden, never guessed.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from symphony._components.places import Function, Sources
from symphony._core import Rest

if TYPE_CHECKING:
    from typing import Any, Union

    AnyFunction = Union[ast.FunctionDef, ast.AsyncFunctionDef]


def rest_of_live(function: Any, attribute: str) -> Rest:
    """As `rest_of`, of a function of which the source can be read."""
    code = function.__code__
    source = Sources().of(code.co_filename)
    path = function.__qualname__.split(".")
    node = source.definition(path, code.co_firstlineno) if source else None
    return rest_of(node, attribute) if isinstance(node, Function) else Rest(hidden=True)


def rest_of(node: AnyFunction, attribute: str) -> Rest:
    """What becomes of the `*` and `**` arguments of a method that may call the next one of its name."""
    star = node.args.vararg.arg if node.args.vararg else None
    stars = node.args.kwarg.arg if node.args.kwarg else None
    found: tuple[int, list[str], bool, bool] | None = None
    changed: list[str] = []
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            called = inner.func
            if called.attr == attribute:
                passed = _passed(inner, called, attribute, star, stars)
                if passed is None:
                    return Rest(hidden=True)
                found = passed if found is None else found
            elif stars and _is(called.value, stars) and called.attr not in ("get", "items", "keys"):
                first = inner.args[0] if inner.args else None
                if called.attr != "setdefault" or not isinstance(first, ast.Constant):
                    return Rest(hidden=True)
                changed.append(str(first.value))
        elif isinstance(inner, ast.Subscript) and stars and _is(inner.value, stars):
            if not isinstance(inner.slice, ast.Constant):
                return Rest(hidden=True)
            changed.append(str(inner.slice.value))
    if found is None or not (found[2] or found[3]):
        return Rest()
    return Rest((found[0], found[1] + changed, found[2], found[3]))


def _passed(
    call: ast.Call, called: ast.Attribute, attribute: str, star: str | None, stars: str | None
) -> tuple[int, list[str], bool, bool] | None:
    """What one call gives: how many by position, which by name, whether the `*` and whether the `**` arguments."""
    spread = [one.value for one in call.args if isinstance(one, ast.Starred)]
    named = [keyword.value for keyword in call.keywords if keyword.arg is None]
    if any(not _is(one, star) for one in spread) or any(not _is(one, stars) for one in named):
        return None
    positional = sum(not isinstance(one, ast.Starred) for one in call.args)
    # `super().__init__(…)` is bound; `Base.__init__(self, …)` and every `__new__` name what they are called on.
    is_bound = isinstance(called.value, ast.Call) and attribute != "__new__"
    names = [keyword.arg for keyword in call.keywords if keyword.arg]
    return max(0, positional - (not is_bound)), names, bool(spread), bool(named)


def _is(node: ast.expr, name: str | None) -> bool:
    return isinstance(node, ast.Name) and node.id == name
