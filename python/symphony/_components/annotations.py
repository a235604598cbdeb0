"""From one annotation to what is to be injected: a key, how many, early or late, object or handle.

Called by `_components` for each parameter and result. The invariant kept here: nothing of `typing`,
`ast` or `inspect` is imported for annotations that are plain types or names of a module; what needs
more (a name under `TYPE_CHECKING`) imports it then.
"""

from __future__ import annotations

import sys
from _collections_abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)

from symphony._components.handles import Handle, Late

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Key = Any
    Resolved = tuple[Key, str, bool, "str | None"]

_HANDLE: Any = Handle
_LATE: Any = Late
_UNION_TYPE: Any = type(int | str) if sys.version_info >= (3, 10) else None
_ABSENT: Any = object()
_ITERATORS: tuple[Any, ...] = (Iterator, Generator, Iterable)
_ASYNC_ITERATORS: tuple[Any, ...] = (AsyncIterator, AsyncGenerator, AsyncIterable)
# From 3.12 on `Box[int]` imports while it is evaluated; every other name is looked up by `Scope`.
_IMPORTING: dict[str, Any] = {"__import__": __import__}
# These mark the choice that an annotation makes, in the order in which the kinds exclude each
# other.
ONE, OPTIONAL, EVERY, LATE = "one", "optional", "every", "late"


class Unresolved(Exception):  # noqa: N818 - it never leaves the package.
    """An annotation that names something that cannot be found.

    Attributes:
        text: The annotation as it was written.
    """

    def __init__(self, text: str) -> None:
        """Keeps the text."""
        super().__init__(text)
        self.text = text


class Scope:
    """Where the names of one function's string annotations are looked up.

    The order is: the module's globals, classes that were registered from the same function body,
    what the caller of `boot()` sees, the builtins, and last the module's own import statements.
    """

    __slots__ = ("_globals", "_imports", "_namespace", "_siblings")

    def __init__(
        self,
        module_globals: Mapping[str, Any],
        imports: dict[str, Mapping[str, Callable[[], Any]]],
        siblings: Mapping[str, Any],
        namespace: Mapping[str, Any],
    ) -> None:
        """Keeps the places; `imports` holds the import statements of each module that was read so far."""
        self._globals = module_globals
        self._imports = imports
        self._siblings = siblings
        self._namespace = namespace

    def __getitem__(self, name: str) -> Any:
        """The value of a name; a `KeyError` when nobody knows it, as `eval` expects."""
        for place in (self._siblings, self._globals, self._namespace):
            value = place.get(name, _ABSENT)
            if value is not _ABSENT:
                return value
        builtins: Any = self._globals.get("__builtins__", {})
        known: dict[str, Any] = getattr(builtins, "__dict__", builtins)
        if name in known:
            return known[name]
        module = self._globals.get("__name__")
        if not isinstance(module, str):
            raise KeyError(name)
        if module.startswith("symphony."):
            # Our own modules name public types under `TYPE_CHECKING`; the package knows them
            # without `ast`.
            public = getattr(sys.modules["symphony"], name, None)
            if public is not None:
                return public
        bound = self._imports.get(module)
        if bound is None:
            # Rare, and so not among the modules that `boot` imports.
            from symphony._components.module_imports import names_bound_in

            bound = self._imports[module] = names_bound_in(module)
        imported = bound.get(name)
        if imported is None:
            raise KeyError(name)
        return imported()


def evaluate(text: str, scope: Scope) -> Any:
    """The object that a string annotation names.

    Raises:
        Unresolved: It cannot be found, or is no expression.
    """
    text = text.strip()
    names: Any = scope
    try:
        if text.isidentifier():
            return None if text == "None" else scope[text]
        try:
            return eval(text, {"__builtins__": _IMPORTING}, names)  # noqa: S307 - the user's.
        except TypeError:
            # Before 3.10 `type | None` is no expression, and `list[int]`'s kin may not be either.
            known: dict[str, Any] = {"__builtins__": _IMPORTING, "_union": _union}
            return eval(_without_bars(text), known, names)  # noqa: S307
    except Unresolved:
        raise
    except NameError as error:
        # Its message quotes the one name of the expression that is unknown; `.name` came with 3.10.
        raise Unresolved(str(error).split("'")[1]) from error
    except Exception as error:
        raise Unresolved(text) from error


def _union(left: Any, right: Any) -> Any:
    """`left | right` on every Python."""
    import typing

    return typing.Union[left, right]


def _without_bars(text: str) -> Any:
    """The expression, compiled with a call of `_union` in place of each `|`."""
    import ast

    class Bars(ast.NodeTransformer):
        def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
            self.generic_visit(node)
            if not isinstance(node.op, ast.BitOr):
                return node
            name = ast.Name("_union", ast.Load())
            return ast.Call(name, [node.left, node.right], [])

    return compile(
        ast.fix_missing_locations(Bars().visit(ast.parse(text, mode="eval"))), "", "eval"
    )


def resolve(annotation: Any, scope: Scope) -> Resolved:  # noqa: C901, PLR0911 - one case each.
    """What an annotation asks for: (key, kind, whether by handle, name of the provider).

    Raises:
        Unresolved: It names something that cannot be found.
    """
    if type(annotation) is type:
        return annotation, ONE, False, None
    if isinstance(annotation, str):
        return resolve(evaluate(annotation, scope), scope)
    arguments = getattr(annotation, "__args__", None)
    if arguments is None:
        forward = getattr(annotation, "__forward_arg__", None)
        if forward is not None:
            return resolve(forward, scope)
        if annotation is None or isinstance(annotation, (tuple, list, dict, int)):
            raise Unresolved(str(annotation))
        return annotation, ONE, False, None
    origin = getattr(annotation, "__origin__", None)
    if origin is _LATE:
        key, _, _, named = resolve(arguments[0], scope)
        return key, LATE, True, named
    if origin is _HANDLE:
        key, kind, _, named = resolve(arguments[0], scope)
        return key, kind, True, named
    if origin is Sequence:
        key, _, handle, named = resolve(arguments[0], scope)
        return key, EVERY, handle, named
    metadata = getattr(annotation, "__metadata__", None)
    if metadata is not None:
        key, kind, handle, named = resolve(origin, scope)
        return key, kind, handle, next((m for m in metadata if isinstance(m, str)), named)
    if is_union(annotation, origin):
        return _resolve_union(arguments, scope)
    return annotation, ONE, False, None


def is_union(annotation: Any, origin: Any) -> bool:
    """Whether it is `Union[...]`, `Optional[...]` or `a | b`."""
    if _UNION_TYPE is not None and type(annotation) is _UNION_TYPE:
        return True
    typing = sys.modules.get("typing")
    return typing is not None and origin is typing.Union


def _resolve_union(arguments: tuple[Any, ...], scope: Scope) -> Resolved:
    """`T | None` is an optional need of `T`; any other union names no one thing to inject."""
    rest: list[Any] = [argument for argument in arguments if argument is not type(None)]
    if len(rest) != 1 or len(rest) == len(arguments):
        raise Unresolved(" | ".join(text_of(argument) for argument in arguments))
    key, kind, handle, named = resolve(rest[0], scope)
    return key, OPTIONAL if kind == ONE else kind, handle, named


def resolve_result(annotation: Any, kind: str, scope: Scope) -> Key:
    """The type that a factory of this kind provides; `None` where it says that it returns nothing.

    Raises:
        Unresolved: It names something that cannot be found.
    """
    while isinstance(annotation, str):
        annotation = evaluate(annotation, scope)
    if kind in ("generator", "async-generator"):
        expected = _ITERATORS if kind == "generator" else _ASYNC_ITERATORS
        if getattr(annotation, "__origin__", None) not in expected:
            raise Unresolved(text_of(annotation))
        annotation = annotation.__args__[0]
    if annotation is None or annotation is type(None):
        return None
    return resolve(annotation, scope)[0]


def is_protocol(key: Any) -> bool:
    """Whether it is a class made with `Protocol` among its bases."""
    return isinstance(key, type) and key.__dict__.get("_is_protocol") is True


def text_of(key: Key) -> str:
    """What people read for a key: its `__name__`, or how it is written."""
    if isinstance(key, str):
        return key.rpartition(".")[2]
    if key is type(None):
        return "None"
    if getattr(key, "__args__", None) is None:
        name = getattr(key, "__name__", None)
        if isinstance(name, str):
            return name
    return repr(key).replace("typing.", "")
