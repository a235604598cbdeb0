"""`System`: a running system, and the way to end it."""

from __future__ import annotations

import atexit
import os

from symphony._container import _ABSENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Any, Generic, TypeVar, overload

    from symphony import _core
    from symphony._boot import Starter
    from symphony._components import ComponentSpec
    from symphony._handles import Handle
    from symphony._health import SystemHealth
    from symphony._kit import OrchestraKit
    from symphony._pit import Pit
    from symphony._work import RunSummary
    from symphony.config import StrPath

    C = TypeVar("C")
    T = TypeVar("T")
    D = TypeVar("D")
else:

    class _Subscriptable:
        """Lets `System[C]` be written without `typing`."""

        __slots__ = ()
        __class_getitem__ = classmethod(type(list[int]))

    def overload(function):
        """Stands in for `typing.overload`, which only type checkers read."""
        return function

    C = None
    Generic = {C: _Subscriptable}


class System(Generic[C]):
    """A running system. A context manager: leaving it shuts the system down.

    Attributes:
        conductor: Your Conductor.
        bus: The bus.
        pit: The Pit's handles.
        kit: The Orchestra Kit.
        report: How the boot went.
    """

    def __init__(self, starter: Starter, running: _core.Running, spec: ComponentSpec | None) -> None:
        """Called by `boot()` with what the core made."""
        self._starter = starter
        self._running = running
        self._container = starter.container
        self._process = os.getpid()
        self.report: _core.BootReport = running.report()
        self.bus: _core.IpcBus = starter.core.bus()
        self.pit: Pit = starter.pit
        self.kit: OrchestraKit = starter.kit
        self.conductor: Any = None
        if spec is not None:
            self.conductor = starter.container.lives[-1].instance
            self.kit.work().attach(self.conductor)
        atexit.register(self._at_exit)

    def __getitem__(self, key: Callable[..., T]) -> T:
        """The object that was registered for a type.

        Raises:
            ComponentNotFoundError: There is none.
            StoppedError: The system was shut down.
        """
        value: T = self._container.get(key)
        return value

    @overload
    def get(self, key: Callable[..., T]) -> T: ...
    @overload
    def get(self, key: Callable[..., T], default: D) -> T | D: ...
    def get(self, key: Any, default: Any = _ABSENT) -> Any:
        """The object that was registered for a type, or the default.

        Raises:
            ComponentNotFoundError: There is none, and no default was given.
            StoppedError: The system was shut down.
        """
        return self._container.get(key, default)

    def handle(self, key: Callable[..., T]) -> Handle[T]:
        """The handle of a type: `.value` is its current object.

        Raises:
            ComponentNotFoundError: There is none.
        """
        handle: Handle[T] = self._container.handle(key)
        return handle

    def health(self, timeout: float = 1.0) -> SystemHealth:
        """Asks every component how it is, side by side.

        Args:
            timeout: Seconds for each.
        """
        from symphony._health import Health, SystemHealth

        pending = self._running.begin_health(timeout)
        self._starter.serve()
        state, components = pending.result()
        return SystemHealth(state, {name: Health(*health) for name, health in components})

    def submit(
        self, melody: _core.Melody | StrPath, inputs: Mapping[str, Any] | None = None, *, priority: int = 0
    ) -> _core.Run:
        """Starts a Melody at once.

        Args:
            melody: A `Melody`, or the path of one.
            inputs: A value for each of its inputs.
            priority: 1000 critical, 100 high, 0 normal, -100 low, -1000 background.

        Raises:
            MelodyError: The Melody cannot be read or is at fault, or an input is missing.
            StoppedError: The system was shut down.
        """
        return self.kit._core.submit(melody, dict(inputs or {}), priority)

    def run(self, forever: bool = False) -> RunSummary:
        """Runs the Conductor: until nothing is left to do, or for ever.

        Returns:
            What it came to.
        """
        if forever:
            summary: RunSummary = self.conductor.run(forever=True)
        else:
            summary = self.conductor.run()
        return summary

    def shutdown(self, timeout: float = 3.0) -> None:
        """Stops everything, in reverse, side by side where the graph allows. May be called twice and from any thread.

        Args:
            timeout: Seconds for all of it; what is left then is killed.
        """
        if os.getpid() != self._process:
            return
        pending = self._running.begin_shutdown(timeout)
        if pending is not None:
            self._starter.serve()
            pending.result()
            self._container.close()
            self._starter.close_threads()
        atexit.unregister(self._at_exit)

    def _at_exit(self) -> None:
        self.shutdown(3.0)

    def __enter__(self) -> System[C]:
        """The system itself."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Shuts down."""
        self.shutdown()

    def __repr__(self) -> str:
        """Its name and how long it took to be ready."""
        return f"<System {self.report.system!r} ready in {self.report.ready_seconds * 1e3:.0f} ms>"
