"""The extension author's side of Symphony.

An extension is one module with one `Extension` and functions marked as its operations:

    from symphony.extension import Extension

    extension = Extension("outline")


    @extension.operation
    def outline(source: str) -> list[dict]: ...

A marked function stays the plain function that it was, so a test calls it directly, and an
`Extension` needs neither a running Symphony nor its compiled core until it is served.
This module imports nothing: it is part of the image that every extension is forked from.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Protocol, TypeVar, overload

    Operation = TypeVar("Operation", bound=Callable[..., Any])
    Hook = TypeVar("Hook", bound=Callable[[], Any])

    class Lane(Protocol):
        """What an extension needs of its lane: `symphony._core.GuestLane`, or a test's stand-in."""

        def call(self, operation: str, inputs: dict[str, Any], timeout: float | None) -> Any:
            """Call an operation of the Pit or of another extension and wait for its result."""
            ...

        def publish(self, topic: str, value: Any) -> None:
            """Publish a value to whoever subscribed to the topic."""

        def cancelled(self, correlation: int) -> bool:
            """Tell whether the caller of that request has given it up."""
            ...


__all__ = ["Extension", "OperationDescription", "serve"]

_POSITIONAL_ONLY, _BY_NAME, _VARIABLE_POSITIONAL, _VARIABLE_KEYWORDS = 0, 1, 2, 4
"""The kinds of parameters, as `inspect` numbers them."""
_MOST_DECORATORS = 100
"""A wrapper may wrap itself."""
_HAS_VARIABLE_POSITIONAL = 0x04
_HAS_VARIABLE_KEYWORDS = 0x08
_IS_GENERATOR = 0x20
_IS_COROUTINE = 0x80
_IS_ASYNC_GENERATOR = 0x200


class OperationDescription:
    """What an operation takes and gives, read from its function without importing `inspect`.

    Attributes:
        name: The name that callers use.
        required: Inputs that every call must bring, in order.
        optional: Inputs that have a default, in order.
        takes_any: Whether further inputs are accepted (`**inputs`).
        is_stream: Whether what is called is a generator function. What another one gives is told when it is called.
        is_async: Whether what is called is a coroutine function or an asynchronous generator function.
        summary: The first line of the docstring.
        layers: What is called and what it wraps, outermost first; the last one has the inputs.
    """

    __slots__ = (
        "_known",
        "_required",
        "is_async",
        "is_stream",
        "layers",
        "name",
        "optional",
        "required",
        "summary",
        "takes_any",
    )

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        """Describe a function.

        Args:
            name: The operation's name.
            function: What is called: a function, a bound method, a `partial`, an object with `__call__`. Whether it is
                a stream is read from it, its inputs from what its decorators wrap.

        Raises:
            TypeError: What it is, or its signature, cannot be called by name.
        """
        self.name = name
        self.layers = _layers_of(function)
        self.required, self.optional, self.takes_any = _inputs_of(name, function)
        # Each call asks: two sets are compared in a fraction of the time of their tuples.
        self._required = frozenset(self.required)
        self._known = self._required.union(self.optional)
        flags = _flags_of(function)
        self.is_stream = bool(flags & (_IS_GENERATOR | _IS_ASYNC_GENERATOR))
        self.is_async = bool(flags & (_IS_COROUTINE | _IS_ASYNC_GENERATOR))
        text = (getattr(function, "__doc__", None) or "").strip()
        self.summary: str = text.split("\n", 1)[0].rstrip()

    def as_message(self) -> dict[str, Any]:
        """Return the description as the handshake carries it."""
        inputs = [{"name": name, "required": True} for name in self.required]
        inputs += [{"name": name, "required": False} for name in self.optional]
        message = {
            "name": self.name,
            "inputs": inputs,
            "stream": self.is_stream,
            "doc": self.summary,
        }
        # A word that is left out is false.
        return {**message, "async": True} if self.is_async else message

    def fault_of(self, given: dict[str, Any]) -> str | None:
        """Say what is wrong with a call's inputs.

        Args:
            given: The inputs that a caller sent, by name.

        Returns:
            A sentence that names the operation's inputs, or None when the call is lawful.
        """
        names = given.keys()
        if names >= self._required and (self.takes_any or names <= self._known):
            return None
        missing = [name for name in self.required if name not in given]
        unknown = [] if self.takes_any else [name for name in given if name not in self._known]
        faults = [f"lacks {_quoted(missing)}"] if missing else []
        if unknown:
            faults.append(f"does not know {_quoted(unknown)}")
        inputs = [f"`{name}`" for name in self.required]
        inputs += [f"`{name}` (optional)" for name in self.optional]
        takes = ", ".join(inputs) if inputs else "no inputs"
        return f"operation `{self.name}` {' and '.join(faults)}; it takes {takes}"


class Extension:
    """An extension: a name and the operations that others may call.

    Attributes:
        name: The name in the extension's `Symphony.toml`.
        version: The author's version of it.
        operations: The functions by operation name, callable without Symphony.
        descriptions: What each operation takes and gives, by operation name.
        start_hooks: What runs before the first request, in order.
        stop_hooks: What runs at an orderly end, in reverse order.
    """

    def __init__(self, name: str, version: str = "0.0.0") -> None:
        """Create an extension without operations.

        Args:
            name: The name in the extension's `Symphony.toml`.
            version: The author's version of it.
        """
        self.name = name
        self.version = version
        self.operations: dict[str, Callable[..., Any]] = {}
        self.descriptions: dict[str, OperationDescription] = {}
        self.start_hooks: list[Callable[[], Any]] = []
        self.stop_hooks: list[Callable[[], Any]] = []
        self._lane: Lane | None = None
        self._current: Callable[[], int | None] = _no_request
        self._calling: Callable[[], int | None] = _no_request

    if TYPE_CHECKING:

        @overload
        def operation(self, function: Operation, /) -> Operation: ...

        @overload
        def operation(self, /, *, name: str | None = None) -> Callable[[Operation], Operation]: ...

    def operation(self, function: Any = None, /, *, name: str | None = None) -> Any:
        """Mark a function as an operation, bare or with a name of its own.

        A generator function is a stream, and `async def` works for both. Every input is passed
        by name. Values may be None, bool, int (64 bits), float, str, bytes, and lists and dicts
        (with str keys) of them.

        Args:
            function: The function.
            name: The operation's name; by default that of the function.

        Returns:
            The same function, unchanged.

        Raises:
            TypeError: The function has no name, or cannot be called by named inputs.
            ValueError: The extension has an operation of that name.
        """

        def mark(marked: Any) -> Any:
            operation = str(getattr(marked, "__name__", "")) if name is None else name
            if not operation:
                raise TypeError(
                    f"a `{type(marked).__name__}` has no name of its own: give it one by "
                    "`extension.operation(name=...)`"
                )
            description = OperationDescription(operation, marked)
            if operation in self.operations:
                raise ValueError(f"extension `{self.name}` has two operations `{operation}`")
            self.operations[operation] = marked
            self.descriptions[operation] = description
            return marked

        return mark if function is None else mark(function)

    def on_start(self, hook: Hook) -> Hook:
        """Have a function run in the extension's process before its first request; `async def` works too.

        Several run in the order of their marks, within the deadline of the start (`limits.start`); one that raises
        fails the start. What an asynchronous hook opens belongs to the event loop of the `async def` operations.

        Args:
            hook: A function without inputs.

        Returns:
            The same function, unchanged.
        """
        self.start_hooks.append(hook)
        return hook

    def on_stop(self, hook: Hook) -> Hook:
        """Have a function run when the extension ends in order: asked to, or by `sys.exit`; `async def` works too.

        Several run in reverse order of their marks, after the running operations have ended and before `atexit`, and
        all of it has two seconds. They do not run where the start failed or the process is killed.

        Args:
            hook: A function without inputs.

        Returns:
            The same function, unchanged.
        """
        self.stop_hooks.append(hook)
        return hook

    def call(self, operation: str, /, **inputs: Any) -> Any:
        """Call the Pit or another extension, where `calls` in the manifest grants it.

        A call made by an operation ends with it: at its deadline, and when its caller gives it up.

        Args:
            operation: `member.operation` or `extension.operation`, as `artifact-store.put`.
            inputs: The operation's inputs.

        Returns:
            The operation's result.
        """
        return self.call_within(operation, inputs, None)

    def call_within(self, operation: str, inputs: dict[str, Any], timeout: float | None) -> Any:
        """Call as `call` does, for so many seconds at most.

        Args:
            operation: `member.operation` or `extension.operation`.
            inputs: The operation's inputs.
            timeout: Seconds, or None for no limit of its own.

        Returns:
            The operation's result.
        """
        return self._prepared_call(operation, inputs, timeout)()

    def _prepared_call(
        self, operation: str, inputs: dict[str, Any], timeout: float | None
    ) -> Callable[[], Any]:
        """The call as this thread and this task would make it, for whichever thread makes it."""
        lane: Any = self.lane_for("call")
        served = self._calling()
        # A lane that a test attached need not know of requests.
        under = () if served is None else (served,)
        return lambda: lane.call(operation, inputs, timeout, *under)

    async def call_async(self, operation: str, /, **inputs: Any) -> Any:
        """Call as `call` does, from an `async def` operation, without holding up the others.

        Args:
            operation: `member.operation` or `extension.operation`.
            inputs: The operation's inputs.

        Returns:
            The operation's result.
        """
        lane: Any = self.lane_for("call")
        if not hasattr(lane, "submit"):
            # A test's stand-in, which knows how to call alone.
            import asyncio

            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(None, self._prepared_call(operation, inputs, None))
        from symphony._work.loop_waits import waits_of_running_loop

        served = self._calling()
        return await waits_of_running_loop().result(
            lambda completions, token: lane.submit(completions, token, operation, inputs, served)
        )

    def options(self, *, timeout: float | None = None) -> CallView:
        """Return a view whose calls have these options.

        Args:
            timeout: Seconds after which a call is given up; None or infinity for no limit.

        Returns:
            A view with the method `call`.

        Raises:
            InvalidValueError: `timeout` is negative or no number.
        """
        if timeout is not None:
            from symphony._core import checked_seconds

            timeout = checked_seconds("timeout", timeout)
        return CallView(self, timeout)

    def publish(self, topic: str, value: Any) -> None:
        """Publish a value to a topic of the bus.

        Args:
            topic: The topic's name.
            value: What its subscribers get.
        """
        self.lane_for("publish").publish(topic, value)

    def cancelled(self) -> bool:
        """Tell whether the caller has given up the request that is being answered.

        A long operation asks now and then and returns early. Outside of a request, and in a
        test without Symphony, the answer is False.
        """
        correlation = self._current()
        if self._lane is None or correlation is None:
            return False
        return self._lane.cancelled(correlation)

    def attach(
        self,
        lane: Lane | None,
        current: Callable[[], int | None] | None = None,
        calling: Callable[[], int | None] | None = None,
    ) -> None:
        """Give the extension the lane that `call`, `publish` and `cancelled` use.

        `serve` does this; a test may do it with an object of its own.

        Args:
            lane: The lane; None where it is served no more.
            current: Returns the correlation of the request being answered.
            calling: The same, of the request that the asking thread or task answers: its calls end with it.
        """
        self._lane = lane
        self._current = current or _no_request
        self._calling = calling or _no_request

    def lane_for(self, wish: str) -> Lane:
        """Return the lane, or raise a `RuntimeError` that says what cannot be done without it."""
        if self._lane is None:
            raise RuntimeError(
                f"extension `{self.name}` cannot {wish}: it is not served by Symphony; "
                "a test may attach() a lane of its own"
            )
        return self._lane

    def __repr__(self) -> str:
        """Name the extension and its operations."""
        return f"<Extension `{self.name}`: {', '.join(self.operations) or 'no operations'}>"


class CallView:
    """Calls from an extension with options, as `extension.options(timeout=2.0)` returns it."""

    __slots__ = ("_extension", "_timeout")

    def __init__(self, extension: Extension, timeout: float | None) -> None:
        """Keep the extension and the options of its calls."""
        self._extension = extension
        self._timeout = timeout

    def call(self, operation: str, /, **inputs: Any) -> Any:
        """Call as `Extension.call` does, with this view's options."""
        return self._extension.call_within(operation, inputs, self._timeout)


def serve(entry: str, folder: str, lane_descriptor: int, begun: float | None = None) -> int:
    """Serve an extension until it is stopped; the body of a forked extension process.

    Args:
        entry: `module:attribute` of an `Extension`.
        folder: The extension's folder, put in front of `sys.path`.
        lane_descriptor: The descriptor of its lane.
        begun: When the process began, in seconds of `time.monotonic()`; now when it is not known.

    Returns:
        The exit code for the process: 0 after an orderly stop, 1 after a fault.
    """
    from symphony._guest.server import serve as serve_guest

    return serve_guest(entry, folder, lane_descriptor, begun)


def _inputs_of(name: str, function: Any) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """The inputs that are needed, those with a default, and whether others are taken, as `inspect` would read them."""
    inner, bound, preset = _innermost(function)
    signature = getattr(inner, "__signature__", None)
    if signature is not None:
        listed = [
            (key, int(parameter.kind), parameter.default is not parameter.empty)
            for key, parameter in signature.parameters.items()
        ]
    else:
        listed = _parameters_of(name, function, inner)
    listed = listed[bound:]
    if any(kind in (_POSITIONAL_ONLY, _VARIABLE_POSITIONAL) for _, kind, _ in listed):
        raise TypeError(
            f"operation `{name}` has positional-only inputs; a call names every input, "
            "so declare them without `/` and `*args`"
        )
    required, optional, takes_any = [], [], False
    for key, kind, has_default in listed:
        if kind == _VARIABLE_KEYWORDS:
            takes_any = True
        elif has_default or key in preset:
            optional.append(key)
        else:
            required.append(key)
    return tuple(required), tuple(optional), takes_any


def _layers_of(function: Any) -> tuple[Any, ...]:
    """What is called and what it wraps, outermost first."""
    layers = [function]
    while len(layers) <= _MOST_DECORATORS:
        within = _within(layers[-1])
        if within is None:
            break
        layers.append(within[0])
    return tuple(layers)


def _innermost(function: Any) -> tuple[Any, int, dict[str, Any]]:
    """What has the inputs, how many of its first ones are given already, and which ones by name."""
    preset: dict[str, Any] = {}
    inner, bound = function, 0
    for _ in range(_MOST_DECORATORS):
        within = _within(inner)
        if within is None:
            break
        inner, given, named = within
        bound += given
        preset = {**named, **preset}
    return inner, bound, preset


def _within(outer: Any) -> tuple[Any, int, dict[str, Any]] | None:
    """What it calls, how many first inputs it gives and which ones by name; nothing where its own are the inputs."""
    if hasattr(outer, "__signature__"):
        return None
    if getattr(outer, "__self__", None) is not None and hasattr(outer, "__func__"):
        return outer.__func__, 1, {}
    if hasattr(outer, "__wrapped__"):
        return outer.__wrapped__, 0, {}
    if _is_partial(outer):
        return outer.func, len(outer.args), outer.keywords
    if _is_callable_object(outer):
        return type(outer).__call__, 1, {}
    return None


def _parameters_of(name: str, function: Any, inner: Any) -> list[tuple[str, int, bool]]:
    """The parameters of a plain function in order: name, kind, whether it has a default."""
    code = getattr(inner, "__code__", None)
    if code is None:
        raise TypeError(f"operation `{name}` must be a function, not `{type(function).__name__}`")
    count, names = code.co_argcount, code.co_varnames
    first_default = count - len(inner.__defaults__ or ())
    with_default: dict[str, Any] = inner.__kwdefaults__ or {}
    listed = [
        (
            names[index],
            _POSITIONAL_ONLY if index < code.co_posonlyargcount else _BY_NAME,
            index >= first_default,
        )
        for index in range(count)
    ]
    last = count + code.co_kwonlyargcount
    listed += [(key, _BY_NAME, key in with_default) for key in names[count:last]]
    if code.co_flags & _HAS_VARIABLE_POSITIONAL:
        listed.append(("args", _VARIABLE_POSITIONAL, False))
    if code.co_flags & _HAS_VARIABLE_KEYWORDS:
        listed.append(("inputs", _VARIABLE_KEYWORDS, False))
    return listed


def _flags_of(function: Any) -> int:
    """What kind of function is called, whatever it wraps; 0 where that is no Python function."""
    called = function
    while _is_partial(called):
        called = called.func
    if _is_callable_object(called):
        called = type(called).__call__
    code = getattr(getattr(called, "__func__", called), "__code__", None)
    return int(getattr(code, "co_flags", 0))


def _is_partial(value: Any) -> bool:
    return all(hasattr(value, name) for name in ("func", "args", "keywords"))


def _is_callable_object(value: Any) -> bool:
    """Whether it is an object of a class whose `__call__` is written in Python."""
    if isinstance(value, type) or hasattr(value, "__code__"):
        return False
    return callable(value) and hasattr(type(value).__call__, "__code__")


def _no_request() -> int | None:
    return None


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
