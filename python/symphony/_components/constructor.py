"""Which parameters a live class or callable takes, as Python calls it.

Called by `collect`. Only looked up here; which of them a class takes together is told by the core, of a
source alike. The invariant kept here: nothing is called, and a plain class costs a few microseconds.
"""

from __future__ import annotations

import sys

from symphony._components.annotations import is_protocol, substitute, unwrapped
from symphony._core import Diagnostic, Rest, Signature, not_injectable, parameters_of

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
    """Whether a class decorator, or a class of the library, made it from fields."""
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
    fault = _refused(kind, name, place)
    if fault is not None:
        return [], fault
    declared = _declared(kind)
    return (
        _combined(kind, name, place)
        if declared is None
        else (list(_of_signature(declared, None)), None)
    )


def _refused(kind: Any, name: str, place: Callable[[], Any]) -> Diagnostic | None:
    """Why a class has no objects of its own."""
    if kind.__flags__ & _ABSTRACT:
        return not_injectable(name, "abstract", place, sorted(kind.__abstractmethods__))
    if is_protocol(kind):
        return not_injectable(name, "protocol", place)
    # What a `TypedDict` makes is a dictionary, and an `Enum` makes nothing.
    is_plain = type(kind).__name__ == "_TypedDictMeta" or hasattr(kind, "_member_map_")
    return not_injectable(name, "plain", place) if is_plain else None


def _combined(
    kind: Any, name: str, place: Callable[[], Any]
) -> tuple[list[Parameter], Diagnostic | None]:
    """What its metaclass's `__call__`, its `__new__` and its `__init__` take together."""
    groups: list[list[tuple[Any, type]]] = []
    written: list[list[tuple[str, Signature, Rest]]] = []
    for line, attribute in ((type(kind), "__call__"), (kind, "__new__"), (kind, "__init__")):
        makers = list(_makers(line, attribute))
        for function, owner in makers:
            if type(function) is not _FUNCTION or _is_opaque(function, attribute):
                label = f"{owner.__name__}.{attribute}"
                return [], not_injectable(name, "hidden", place, [label])
        groups.append(makers)
        written.append(
            [
                (
                    f"{owner.__name__}.{attribute}",
                    Signature.of(function, 1) or Signature([], [], False, False),
                    _rest(function, attribute, is_last=at + 1 == len(makers) and line is kind),
                )
                for at, (function, owner) in enumerate(makers)
            ]
        )
    found = parameters_of(name, (written[0], written[1], written[2]), place)
    if isinstance(found, Diagnostic):
        return [], found
    taken: list[Parameter] = []
    for group, at, parameter, has_default, positional in found:
        function = groups[group][at][0]
        annotation = _annotation(function.__annotations__, parameter)
        taken.append((parameter, annotation, has_default, positional, function))
    return taken, None


def _declared(kind: Any) -> Any:
    """The `__signature__` of a class that speaks for its construction, as pydantic and msgspec say it."""
    says = any("__signature__" in vars(owner) for owner in type(kind).__mro__)
    for owner in kind.__mro__:
        if says or "__signature__" in vars(owner):
            found = getattr(kind, "__signature__", None)
            return found if hasattr(found, "parameters") else None
        if "__init__" in vars(owner) or "__new__" in vars(owner):
            break
    return None


def _makers(kind: type, attribute: str) -> Iterator[tuple[Any, type]]:
    """What of the language stands under a name in the order of resolution, with the class that has it.

    As far as each may pass on what it takes; what is not of the language takes anything.
    """
    for owner in kind.__mro__:
        value = vars(owner).get(attribute)
        if value is None:
            continue
        function = unwrapped(getattr(value, "__func__", value))
        if type(function) is not _FUNCTION:
            called = getattr(type(function), "__call__", None)  # noqa: B004 - its function is asked for.
            if type(called) is _FUNCTION or hasattr(function, "func"):
                yield function, owner
            return
        if function.__globals__.get("__name__") in _NOT_THEIRS:
            # How a `Protocol` refuses to be made; who inherits from it is made by the next one.
            continue
        yield function, owner
        if not function.__code__.co_flags & (_STAR | _STARS):
            return


def _is_opaque(function: Any, attribute: str) -> bool:
    """Whether it is what a decorator made that does not tell what it wraps."""
    stars = function.__code__.co_flags & (_STAR | _STARS)
    return bool(stars) and function.__name__ != attribute


def _rest(function: Any, attribute: str, *, is_last: bool) -> Rest:
    """What it passes on; nobody needs to know of the last one."""
    if is_last or not function.__code__.co_flags & (_STAR | _STARS):
        return Rest()
    # Only this pays for a look at the source.
    from symphony._components.passing import rest_of_live

    return rest_of_live(function, attribute)


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
