"""A typed client of an extension: what `kit.client(name, Protocol)` returns. Imported with the first of them only.

Invariant: a result is what its method says, or an error says where it is not; what a method does not say is the plain
value.
"""

from __future__ import annotations

from symphony._work.single_values import Mismatch, refusal_of
from symphony._work.typed_values import annotations_of, converter
from symphony.exceptions import InvalidValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from symphony import _core
    from symphony._work.single_values import Convert

_COROUTINE = 0x80
_STREAMS = ("Iterator", "Iterable", "Generator", "AsyncIterator", "AsyncIterable", "AsyncGenerator")


class Client:
    """Methods that call operations by keyword."""

    def __init__(self, handle: _core.ExtensionHandle, methods: dict[str, Any]) -> None:
        """Makes a method of each.

        Args:
            handle: The extension.
            methods: The functions of the Protocol, by name.
        """
        for name, function in methods.items():
            setattr(self, name, _method(handle, name, function))


def _method(handle: _core.ExtensionHandle, operation: str, function: Any) -> Callable[..., Any]:
    """A method whose positional arguments get the names that the Protocol gives them."""
    code = getattr(function, "__code__", None)
    names = code.co_varnames[1 : code.co_argcount] if code is not None else ()
    called = f"{handle.name}.{operation}"
    if is_stream(function):
        read = _reads(called, _item(function), function)
        made: Callable[..., Any] = handle.stream
        if read is not None:
            made = _streaming(handle, read)
    elif code is not None and code.co_flags & _COROUTINE:
        read = _reads(called, _result(function), function)
        made = handle.call_async if read is None else _awaiting(handle, read)
    else:
        read = _reads(called, _result(function), function)
        made = handle.call if read is None else _calling(handle, read)
    return calls_by_name(made, operation, names)


def _calling(handle: _core.ExtensionHandle, read: Convert) -> Callable[..., Any]:
    def call(operation: str, /, **inputs: Any) -> Any:
        return read(handle.call(operation, **inputs))

    return call


def _awaiting(handle: _core.ExtensionHandle, read: Convert) -> Callable[..., Any]:
    async def call(operation: str, /, **inputs: Any) -> Any:
        return read(await handle.call_async(operation, **inputs))

    return call


def _streaming(handle: _core.ExtensionHandle, read: Convert) -> Callable[..., Any]:
    def call(operation: str, /, **inputs: Any) -> Any:
        return TypedStream(handle.stream(operation, **inputs), read)

    return call


class TypedStream:
    """The values of a stream as a Protocol says they are: an iterator, sync and async."""

    __slots__ = ("_read", "_values", "_waiting")

    def __init__(self, values: _core.Stream, read: Convert) -> None:
        """Keeps where values come from and what makes of each what is wanted."""
        self._values = values
        self._read = read
        self._waiting: Any = None

    def __iter__(self) -> TypedStream:
        """Itself."""
        return self

    def __next__(self) -> Any:
        """The next value."""
        return self._read(next(self._values))

    def __aiter__(self) -> TypedStream:
        """Itself."""
        return self

    async def __anext__(self) -> Any:
        """The next value."""
        if self._waiting is None:
            self._waiting = self._values.__aiter__()
        return self._read(await self._waiting.__anext__())

    def close(self) -> None:
        """Ends it before its end."""
        self._values.close()


def _reads(called: str, annotation: Any, function: Any) -> Convert | None:
    """What makes of a result what a method says; none where it says nothing."""
    if annotation is _NOTHING:
        return None
    names: dict[str, Any] = getattr(function, "__globals__", {})
    convert = converter(annotation, names, lenient=True)
    if convert is None:
        return None

    def read(value: Any) -> Any:
        try:
            return convert(value)
        except Mismatch as mismatch:
            raise InvalidValueError(f"the result of `{called}`{mismatch}") from None
        except Exception as fault:
            raise InvalidValueError(
                f"the result of `{called}` cannot be read ({type(fault).__name__}: {refusal_of(fault)})"
            ) from fault

    return read


_NOTHING = object()


def _result(function: Any) -> Any:
    return annotations_of(function).get("return", _NOTHING)


def _item(function: Any) -> Any:
    """What an iterator is said to give."""
    given = _result(function)
    if isinstance(given, str):
        _, bracket, rest = given.partition("[")
        inner = rest.rstrip()[:-1]
        # A generator says also what it is sent and what it returns.
        return _first(inner) if bracket else _NOTHING
    arguments = getattr(given, "__args__", ())
    return arguments[0] if arguments else _NOTHING


def _first(text: str) -> str:
    """The first of several types in a text."""
    depth = 0
    for place, char in enumerate(text):
        depth += (char in "[(") - (char in "])")
        if char == "," and not depth:
            return text[:place]
    return text


def is_stream(function: Any) -> bool:
    """Whether the result is written as an iterator: `Iterator[T]`, `AsyncIterator[T]`, a generator."""
    given = annotations_of(function).get("return")
    text = given if isinstance(given, str) else repr(given)
    return text.partition("[")[0].rpartition(".")[2] in _STREAMS


def calls_by_name(
    made: Callable[..., Any], operation: str, names: tuple[str, ...]
) -> Callable[..., Any]:
    """A function that hands an operation's inputs to a handle's method; its positional arguments get these names."""

    def call(*positional: Any, **named: Any) -> Any:
        if len(positional) > len(names):
            raise TypeError(f"`{operation}` takes {len(names)} inputs, not {len(positional)}")
        given = names[: len(positional)]
        twice = next((name for name in given if name in named), None)
        if twice is not None:
            raise TypeError(f"`{operation}` got two values for its input `{twice}`")
        named.update(zip(given, positional))
        return made(operation, **named)

    call.__name__ = operation
    return call
