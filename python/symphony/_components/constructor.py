"""Which parameters a live class or callable takes, as Python calls it.

Called by `collect`. Only looked up here; which of them a class takes together is told by the core, of a
source alike. The invariant kept here: nothing is called, and a plain class costs a few microseconds.
"""

from __future__ import annotations

import sys

from symphony._components.annotations import is_protocol, substitute, unwrapped
from symphony._core import Diagnostic, Rest, Signature, parameters_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    # Name, annotation (nothing: it has none), whether it has a default, whether it goes by position; the function that
    # takes it.
    Parameter = tuple[str, Any, bool, bool, Any]

_FUNCTION: Any = type(lambda: None)
_STAR, _STARS = 0x04, 0x08
_LIVES = ((0x20, "generator"), (0x80, "async-function"), (0x200, "async-generator"))
_ABSTRACT = 1 << 20
_OBJECT_INIT: Any = object.__init__
_OBJECT_NEW: Any = object.__new__
_NOT_THEIRS = ("typing", "typing_extensions")
_MOST_WRAPPERS = 100
"""Decorators around one function; one that wraps itself has no last."""
_EMPTY: Mapping[str, Any] = {}


def is_generated(function: Any) -> bool:
    """Whether a class decorator, or a class of the library, may have made it from fields: its code has no file."""
    return function is None or function.__code__.co_filename.startswith("<")


def of_function(function: Any, first: int) -> Iterator[Parameter]:
    """The parameters of a function from `first` on."""
    declared = getattr(function, "__signature__", None)
    if declared is not None:
        yield from list(_of_signature(declared, function))[first:]
        return
    code = function.__code__
    count = code.co_argcount
    total = count + code.co_kwonlyargcount
    if total <= first:
        return
    annotations = function.__annotations__
    defaults = count - len(function.__defaults__ or ())
    keyword_defaults = function.__kwdefaults__ or _EMPTY
    names = code.co_varnames
    for index in range(first, total):
        name = names[index]
        has_default = index >= defaults if index < count else name in keyword_defaults
        annotation = _annotation(annotations, name)
        yield name, annotation, has_default, index < code.co_posonlyargcount, function


def _annotation(annotations: Mapping[str, Any], name: str) -> Any:
    """What was written, nothing where nothing was."""
    found = annotations.get(name)
    return "None" if found is None and name in annotations else found


def _of_signature(declared: Any, function: Any) -> Iterator[Parameter]:
    """The parameters of an `inspect.Signature`."""
    for parameter in declared.parameters.values():
        if parameter.kind in (2, 4):
            continue
        empty, found = parameter.empty, parameter.annotation
        annotation = None if found is empty else "None" if found is None else found
        has_default = parameter.default is not empty
        yield parameter.name, annotation, has_default, parameter.kind == 0, function


def of_class(
    kind: Any, name: str, place: Callable[[], Any]
) -> tuple[Iterator[Parameter] | list[Parameter], Diagnostic | None]:
    """The parameters of a class, and why there are none where it cannot be built by injection."""
    initializer = kind.__init__
    if type(kind) is type and kind.__new__ is _OBJECT_NEW and "__signature__" not in vars(kind):
        # Most classes: only their `__init__` is asked.
        if initializer is _OBJECT_INIT:
            return (), None  # type: ignore[return-value]
        if (
            type(initializer) is _FUNCTION
            and not initializer.__code__.co_flags & (_STAR | _STARS)
            and not hasattr(initializer, "__wrapped__")
        ):
            return of_function(initializer, 1), None
    return parameters_of(name, _Construction(kind), place)


class _Construction:
    """A class, as the core asks for what Python calls to make an object of it."""

    __slots__ = ("_kind",)

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def refused(self) -> tuple[str, list[str]] | None:
        """Why it has no objects of its own, and what it lacks."""
        kind = self._kind
        if kind.__flags__ & _ABSTRACT:
            return "abstract", sorted(kind.__abstractmethods__)
        if is_protocol(kind):
            return "protocol", []
        # What a `TypedDict` makes is a dictionary, and an `Enum` makes nothing.
        is_plain = type(kind).__name__ == "_TypedDictMeta" or hasattr(kind, "_member_map_")
        return ("plain", []) if is_plain else None

    def declared(self) -> list[Parameter] | None:
        """What its `__signature__` says, where it speaks for its construction as pydantic and msgspec say it."""
        kind = self._kind
        says = any("__signature__" in vars(owner) for owner in type(kind).__mro__)
        for owner in kind.__mro__:
            if says or "__signature__" in vars(owner):
                found = getattr(kind, "__signature__", None)
                return list(_of_signature(found, None)) if hasattr(found, "parameters") else None
            if "__init__" in vars(owner) or "__new__" in vars(owner):
                break
        return None

    def makers(self, attribute: str) -> Iterator[tuple[str, bool, Signature | None, Any]]:
        """What of the language stands under a name in the order of resolution.

        As far as each may pass on what it takes; what is not of the language takes anything.
        """
        for owner in (type(self._kind) if attribute == "__call__" else self._kind).__mro__:
            value = vars(owner).get(attribute)
            if value is None:
                continue
            label = f"{owner.__name__}.{attribute}"
            function = unwrapped(getattr(value, "__func__", value))
            if type(function) is not _FUNCTION:
                called = getattr(type(function), "__call__", None)  # noqa: B004 - its function is asked for.
                if type(called) is _FUNCTION or hasattr(function, "func"):
                    yield label, False, None, function
                return
            if function.__globals__.get("__name__") in _NOT_THEIRS:
                # How a `Protocol` refuses to be made; who inherits from it is made by the next one.
                continue
            stars = function.__code__.co_flags & (_STAR | _STARS)
            # A decorator that does not tell what it wraps has a function of another name.
            says = not stars or function.__name__ == attribute
            yield label, says, Signature.of(function, 1), function
            if not stars:
                return

    def rest(self, function: Any, attribute: str) -> Rest:
        """What it passes on."""
        # Only this pays for a look at the source.
        from symphony._components.passing import rest_of_live

        return rest_of_live(function, attribute)

    def taken(self, function: Any, name: str, has_default: bool, positional: bool) -> Parameter:
        """A parameter of it."""
        annotation = _annotation(function.__annotations__, name)
        return name, annotation, has_default, positional, function


def variables(kind: Any, owner: type, known: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """What the type variables of a base class stand for in a class that inherits from it."""
    if kind is owner:
        return known
    for base in vars(kind).get("__orig_bases__", kind.__bases__):
        origin = getattr(base, "__origin__", base)
        if owner in getattr(origin, "__mro__", ()):
            given = [substitute(one, known) for one in getattr(base, "__args__", ())]
            return variables(origin, owner, dict(zip(getattr(origin, "__parameters__", ()), given)))
    return _EMPTY


def life_of(called: Any, function: Any) -> str:
    """The kind of component that a factory is, by what its call gives."""
    contextlib = sys.modules.get("contextlib")
    flags = function.__code__.co_flags
    for _ in range(_MOST_WRAPPERS):
        code = getattr(called, "__code__", None)
        if code is not None:
            if contextlib is not None and getattr(called, "__globals__", None) is vars(contextlib):
                # The object that enters and leaves the generator, which it wraps.
                if code in contextlib.contextmanager.__code__.co_consts:
                    return "generator"
                if code in contextlib.asynccontextmanager.__code__.co_consts:
                    return "async-generator"
            flags |= code.co_flags
        if not hasattr(called, "__wrapped__"):
            break
        called = called.__wrapped__
    for flag, kind in _LIVES:
        if flags & flag:
            return kind
    return "function"


def dispatched(taken: Iterator[Parameter]) -> Iterator[Parameter]:
    """What `singledispatch` takes: the first by position, which it looks at."""
    for at, (name, annotation, has_default, positional, function) in enumerate(taken):
        yield name, annotation, has_default and at > 0, positional or at == 0, function
