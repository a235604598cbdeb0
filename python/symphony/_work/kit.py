"""`OrchestraKit`: the extensions of a system, and the Melodies that run over them."""

from __future__ import annotations

from symphony import _core
from symphony._work.conductor_thread import Work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    from symphony._work.pit import Pit
    from symphony.records import EngineStats, Grants

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

    def operations(self, name: str) -> list[str] | None:
        """The operations of an extension that are known without starting it; `None` where they are not."""
        return self._core.operations(name)

    def version(self, name: str) -> tuple[str, str]:
        """The version that has the name of an extension, and its folder.

        Raises:
            ComponentNotFoundError: The catalogue has none of that name.
        """
        return self._core.version(name)

    def grants(self, name: str) -> Grants:
        """What the manifest of an extension grants: files that it may write, programs, network, calls of others.

        Raises:
            ComponentNotFoundError: The catalogue has none of that name.
        """
        return self._core.grants(name)

    def enforcement(self, name: str) -> dict[str, str]:
        """How far each grant of an extension's manifest holds: `enforced`, `degraded` or `not enforced`, and why.

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

        Results are what the methods say: data classes, enumerations, dates, paths, sets, … One that is none is an
        `InvalidValueError` that names its place in the value.

        Args:
            name: The extension.
            protocol: A `Protocol` whose methods are operations of the extension. One that is `async def` is awaited,
                one whose result is an `Iterator` or an `AsyncIterator` is a stream.

        Raises:
            ComponentNotFoundError: The catalogue has no such extension.
            PlanError: The extension declares no operation of a method's name (`contract-mismatch`).
        """
        handle = self._core.extension(name)
        methods = _methods_of(protocol)
        wanted = sorted(methods)
        declared = handle.operations()
        if declared is None:
            # It never ran; its manifest or its source may tell.
            declared = self._core.operations(name)
        if declared is not None:
            absent = [method for method in wanted if method not in declared]
            if absent:
                raise _core.plan_error(self._mismatches(name, protocol, absent, declared))
        from symphony._work.typed_client import Client

        return Client(handle, methods)  # type: ignore[return-value]

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


def _methods_of(protocol: Any) -> dict[str, Any]:
    """The methods of a Protocol and of those that it extends, by name."""
    found: dict[str, Any] = {}
    for base in reversed(getattr(protocol, "__mro__", (protocol,))):
        if base is protocol or getattr(base, "_is_protocol", False):
            found.update(
                (name, value)
                for name, value in vars(base).items()
                if callable(value) and not name.startswith("_")
            )
    return found


class Restarted:
    """A restart that has ended well, which can be awaited as one that an event loop began."""

    __slots__ = ()

    def __await__(self) -> Iterator[None]:
        """Returns at once."""
        return iter(())


RESTARTED = Restarted()
