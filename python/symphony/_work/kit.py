"""`OrchestraKit`: the extensions of a system, and the Melodies that run over them."""

from __future__ import annotations

from symphony import _core
from symphony._work.conductor_thread import Work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    from symphony._work.pit import Pit
    from symphony.records import EngineStats

    P = TypeVar("P")


class OrchestraKit:
    """Both hosts behind one door.

    Attributes:
        pit: The Pit's handles.
        bus: The bus.
    """

    __slots__ = ("_core", "_work", "bus", "pit")

    def __init__(self, core: _core.Kit, pit: Pit, bus: _core.IpcBus) -> None:
        """Keeps the core's end."""
        self._core = core
        self.pit = pit
        self.bus = bus
        self._work: Work | None = None

    def extension(self, name: str) -> _core.ExtensionHandle:
        """The handle of an extension; it is started by its first call.

        Raises:
            ComponentNotFoundError: The catalogue has none of that name.
        """
        return self._core.extension(name)

    def extensions(self) -> list[str]:
        """The names of all extensions, sorted."""
        return self._core.extensions()

    def enforcement(self, name: str) -> dict[str, str]:
        """How far each grant of an extension's manifest holds: `enforced`, `degraded` or `not enforced yet`.

        Raises:
            ComponentNotFoundError: The catalogue has none of that name.
        """
        return dict(self._core.enforcement(name))

    def stats(self) -> EngineStats:
        """Totals of the Melodies' engine since the boot: runs, calls, retried calls, what the Conductor was asked.

        Raises:
            StoppedError: The system was shut down.
        """
        return self._core.stats()

    def client(self, name: str, protocol: Callable[..., P]) -> P:
        """A typed client of an extension: an object with the methods of `protocol`.

        Args:
            name: The extension.
            protocol: A `Protocol` whose methods are operations of the extension. One that is `async def` is awaited,
                one whose result is an `Iterator` or an `AsyncIterator` is a stream.

        Raises:
            ComponentNotFoundError: The catalogue has no such extension.
            PlanError: The extension declares no operation of a method's name (`contract-mismatch`).
        """
        handle = self._core.extension(name)
        wanted = sorted(
            attribute
            for attribute, value in vars(protocol).items()
            if callable(value) and not attribute.startswith("_")
        )
        declared = handle.operations()
        if declared is None:
            # It never ran; its manifest or its source may tell.
            declared = self._core.operations(name)
        if declared is not None:
            absent = [method for method in wanted if method not in declared]
            if absent:
                raise _core.plan_error(self._mismatches(name, protocol, absent, declared))
        return _Client(handle, protocol, wanted)  # type: ignore[return-value]

    def _mismatches(
        self, name: str, protocol: Any, absent: list[str], declared: list[str]
    ) -> list[_core.Diagnostic]:
        """The faults of methods that an extension does not declare, in the words of `symphony check`."""
        from symphony._components.places import protocol_place

        _, folder = self._core.version(name)
        manifest = (f"{folder}/Symphony.toml", 0, 0)
        label: str = protocol.__name__
        return [
            _core.client_fault(
                label, method, name, declared, protocol_place(protocol, method), manifest
            )
            for method in absent
        ]

    def work(self) -> Work:
        """The place where Melodies run; made when it is first asked for."""
        if self._work is None:
            self._work = Work(self._core)
        return self._work

    def let_go(self) -> None:
        """The system is down: no Conductor is asked any more."""
        self._work = None

    def __repr__(self) -> str:
        """How many extensions there are."""
        return f"<OrchestraKit of {len(self.extensions())} extensions>"


_COROUTINE = 0x80
_STREAMS = ("Iterator", "Iterable", "Generator", "AsyncIterator", "AsyncIterable", "AsyncGenerator")


class Restarted:
    """A restart that has ended well, which can be awaited as one that an event loop began."""

    __slots__ = ()

    def __await__(self) -> Iterator[None]:
        """Returns at once."""
        return iter(())


RESTARTED = Restarted()


class _Client:
    """Methods that call operations by keyword."""

    def __init__(self, handle: _core.ExtensionHandle, protocol: Any, methods: list[str]) -> None:
        for method in methods:
            setattr(self, method, _method(handle, method, vars(protocol)[method]))


def _method(handle: _core.ExtensionHandle, operation: str, function: Any) -> Callable[..., Any]:
    """A method whose positional arguments get the names that the Protocol gives them."""
    code = getattr(function, "__code__", None)
    names = code.co_varnames[1 : code.co_argcount] if code is not None else ()
    made: Callable[..., Any] = handle.call
    if _is_stream(function):
        made = handle.stream
    elif code is not None and code.co_flags & _COROUTINE:
        made = handle.call_async
    return calls_by_name(made, operation, names)


def _is_stream(function: Any) -> bool:
    """Whether the result is written as an iterator: `Iterator[T]`, `AsyncIterator[T]`, a generator."""
    given = getattr(function, "__annotations__", {}).get("return")
    text = given if isinstance(given, str) else repr(given)
    return text.partition("[")[0].rpartition(".")[2] in _STREAMS


def calls_by_name(
    made: Callable[..., Any], operation: str, names: tuple[str, ...]
) -> Callable[..., Any]:
    """A function that hands an operation's inputs to a handle's method; its positional arguments get these names."""

    def call(*positional: Any, **named: Any) -> Any:
        if len(positional) > len(names):
            raise TypeError(f"`{operation}` takes {len(names)} inputs, not {len(positional)}")
        named.update(zip(names, positional))
        return made(operation, **named)

    call.__name__ = operation
    return call
