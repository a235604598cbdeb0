"""`System`: a running system, and the way to end it."""

from __future__ import annotations

import _thread
import atexit
import os
import sys

from symphony import _core
from symphony._work.kit import OrchestraKit
from symphony.exceptions import StoppedError, SymphonyError, WrongThreadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Generic, TypeVar, overload

    from symphony._boot.starter import Starter
    from symphony._components.handles import Handle
    from symphony._core import ComponentSpec
    from symphony._swap.experiment import Experiment
    from symphony._swap.override import Override
    from symphony._swap.versions import ExtensionExperiment
    from symphony._work.conductor_thread import RunSummary
    from symphony._work.pit import Pit
    from symphony.config import StrPath

    C = TypeVar("C")
    T = TypeVar("T")
    D = TypeVar("D")
else:

    class _Found(_core.Lookup):
        """What was asked for by `system[T]`, answered by the core. `System[C]` can be written without `typing`."""

        __slots__ = ()
        __class_getitem__ = classmethod(type(list[int]))

    def overload(function):  # noqa: ANN001, ANN202
        """Stands in for `typing.overload`, which only type checkers read."""
        return function

    C = None
    Generic = {C: _Found}


class System(Generic[C]):
    """A running system. A context manager: leaving it shuts the system down.

    Attributes:
        conductor: Your Conductor.
        bus: The bus.
        pit: The Pit's handles.
        kit: The Orchestra Kit.
        report: How the boot went.
    """

    def __init__(
        self, starter: Starter, running: _core.Running, spec: ComponentSpec | None
    ) -> None:
        """Called by `boot()` with what the core made."""
        super().__init__()
        self._starter = starter
        self._running = running
        self._container = starter.container
        self._container.found = self._found
        self._process = os.getpid()
        self._shutting_down: set[int] = set()
        self._left_early = False
        self._unserved: _core.PendingShutdown | None = None
        self.report: _core.BootReport = running.report()
        self.bus: _core.IpcBus = starter.bus
        self.pit: Pit = starter.pit
        self.kit: OrchestraKit = starter.kit
        conductor: Any = None
        if spec is not None:
            conductor = starter.container.lives[-1].instance
            kit: Any = self.kit
            if isinstance(kit, OrchestraKit):
                from symphony._boot.failed_stops import log_raised

                kit.work().attach(conductor, log_raised)
        self.conductor: C = conductor
        atexit.register(self._at_exit)

    def _repr_html_(self) -> str:
        """What a notebook shows: how the boot went."""
        return self.report._repr_html_()

    if TYPE_CHECKING:
        _found: dict[Any, Any]

        # At run time both are the dictionary's and the core's: nothing of Python's runs on the way.
        def __getitem__(self, key: Callable[..., T]) -> T:
            """The object that was registered for a type.

            Raises:
                ComponentNotFoundError: There is none.
                StoppedError: The system was shut down.
            """
            ...

        @overload
        def get(self, key: Callable[..., T], /) -> T:
            """The object that was registered for a type.

            Raises:
                ComponentNotFoundError: There is none.
                StoppedError: The system was shut down.
            """
            ...

        @overload
        def get(self, key: Callable[..., T], default: D, /) -> T | D:  # noqa: F811
            """The object that was registered for a type, or the default."""
            ...

        def get(self, key: Any, default: Any = ..., /) -> Any: ...  # noqa: F811

    def handle(self, key: Callable[..., T]) -> Handle[T]:
        """The handle of a type: `.value` is its current object.

        Raises:
            ComponentNotFoundError: There is none.
        """
        handle: Handle[T] = self._container.handle(key)
        return handle

    def health(self, timeout: float = 1.0) -> _core.SystemHealth:
        """Asks every component how it is, side by side.

        One that does not answer in time is unhealthy, with its Python stack as reason, and costs the others nothing.

        Args:
            timeout: Seconds that each has.

        Raises:
            InvalidValueError: `timeout` is negative or no number.
            StoppedError: The system was shut down.
            WrongThreadError: One with a health of its own says `main_thread=True`, and this is not the thread that
                booted.
        """
        self._refuse_stopped()
        foreign = self._foreign("health")
        if foreign:
            raise WrongThreadError(
                f"{foreign} say `main_thread=True`, and this is not the thread that booted",
                hints=["ask for the health on the thread that called `boot()`"],
            )
        pending = self._running.begin_health(timeout)
        self._starter.serve_later(pending.calling)
        return pending.result()

    def swap(
        self,
        component: Callable[..., T] | str | _core.ExtensionHandle,
        new: Any,
        *,
        drain: float = 5.0,
    ) -> _core.SwapReport:
        """Puts something else into the place of a component, a Pit member or an extension while the system runs.

        The new one is built, started and asked for its health first; then everybody who was given the old one has the
        new one, at once; then the old one is drained and stopped. After any failure the old one is still in its place.

        A Pit member's operations in Melodies and extensions go to the new one as well. Its state does not: what the
        artifact store kept stays in its folder, and the next boot finds it there.

        Args:
            component: The type of the component or member; the name or the handle of an extension.
            new: A class, a function or `factory(x)`, built by injection; any other value is the instance. For a member
                also an extension that declares its operations, such as a Pit library. For an extension the folder of
                another version of it.
            drain: Seconds that calls in progress on the old one have; after that it is left running.

        Returns:
            What was rewritten, and who still holds the old object.

        Raises:
            BootError: The new one did not start, is not well, or needs what is not there.
            ComponentNotFoundError: There is no such component.
            ExtensionError: The other version of an extension did not start.
            InvalidValueError: It is the Conductor, it is overridden, or an experiment runs on it.
            StoppedError: The system was shut down.
            WrongThreadError: It says `main_thread=True`, and this is not the thread that booted.
        """
        from symphony._swap.swap import swap

        return swap(self._starter, component, new, drain, sys._getframe(1))

    def override(self, component: Callable[..., T], new: Any, *, drain: float = 1.0) -> Override:
        """A context manager: inside it something else stands in a component's place, also for who has it already.

            with system.override(Mailer, FakeMailer()) as fake: ...

        What is overridden goes on running and is put back exactly where it was, also when the block raises. Overrides
        may lie in each other, and end in any order.

        Args:
            component: The type of a component or Pit member.
            new: As for `swap()`.
            drain: Seconds that calls in progress on what stood in have at the end, before it is stopped.

        Raises:
            BootError: The new one did not start, is not well, or needs what is not there.
            ComponentNotFoundError: There is no such component.
            InvalidValueError: It is the Conductor or an extension, or an experiment runs on it.
            StoppedError: The system was shut down.
        """
        from symphony._swap.override import Override

        return Override(self._starter, component, new, drain, sys._getframe(1))

    @overload
    def experiment(
        self,
        component: str | _core.ExtensionHandle,
        variants: Mapping[str, Any],
        split: Mapping[str, float] | None = None,
        key: Callable[..., object] | str | None = None,
        *,
        seed: int = 0,
    ) -> ExtensionExperiment: ...
    @overload
    def experiment(  # noqa: F811
        self,
        component: Callable[..., T],
        variants: Mapping[str, Any],
        split: Mapping[str, float] | None = None,
        key: Callable[..., object] | None = None,
        *,
        seed: int = 0,
    ) -> Experiment: ...
    def experiment(  # noqa: F811
        self,
        component: Any,
        variants: Mapping[str, Any],
        split: Mapping[str, float] | None = None,
        key: Any = None,
        *,
        seed: int = 0,
    ) -> Experiment | ExtensionExperiment:
        """Tries out several objects in a component's place, each with its share of the calls.

        Args:
            component: The type of the component; the name or the handle of an extension.
            variants: What to try, by name: as for `swap()`; what stands there now (its class, or `system[T]`; of an
                extension its name, handle or folder) is not built again.
            split: The share of each; alike when none.
            key: Called with the call's arguments: calls of one key always go to one variant. None: each call by chance.
                For an extension also the name of an input; calls from Melodies and other extensions, for which no
                function of yours is called, are kept together by all of their inputs otherwise.
            seed: Another one gives the keys to other variants.

        Raises:
            BootError: A variant did not start, is not well, or needs what is not there.
            ComponentNotFoundError: There is no such component.
            InvalidValueError: The split is none, or the component cannot be swapped.
            StoppedError: The system was shut down.
            WrongThreadError: One says `main_thread=True`, and this is not the thread that booted.
        """
        if isinstance(component, (str, _core.ExtensionHandle)):
            from symphony._swap import versions

            return versions.begin(self._starter, component, variants, split, key, seed)
        from symphony._swap.experiment import begin

        return begin(self._starter, component, variants, split, key, seed, sys._getframe(1))

    def submit(
        self,
        melody: _core.Melody | StrPath,
        inputs: Mapping[str, Any] | None = None,
        *,
        priority: int = 0,
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
        return self.kit.work().core.submit(melody, dict(inputs or {}), priority)

    def run(self, forever: bool = False) -> RunSummary:
        """Runs the Conductor: until nothing is left to do, or for ever.

        Returns:
            What it came to.

        Raises:
            StoppedError: The system was shut down.
            SymphonyError: The Conductor has no `run` (`contract-mismatch`).
        """
        self._refuse_stopped()
        conductor: Any = self.conductor
        if not callable(getattr(conductor, "run", None)):
            raise SymphonyError(
                f"the Conductor is `{type(conductor).__name__}`, which has no `run`",
                code="contract-mismatch",
                hints=["derive its class from `symphony.Conductor`, or start Melodies with `system.submit`"],
            )
        summary: RunSummary = conductor.run(forever=True) if forever else conductor.run()
        return summary

    def shutdown(self, timeout: float = 3.0) -> None:
        """Stops everything, in reverse, side by side where the graph allows. May be called twice and from any thread.

        Args:
            timeout: Seconds for all of it; what is left then is killed. Infinity for no limit.

        Raises:
            InvalidValueError: `timeout` is negative or no number; nothing was stopped.
        """
        thread = _thread.get_ident()
        # A signal's handler, or a stop, in the middle of a shutdown by this thread would wait for itself.
        if os.getpid() != self._process or thread in self._shutting_down:
            return
        if thread in self._container.threads_in_step:
            # The shutdown waits for this very step: it is begun, and not waited for.
            if not self._running.stopping:
                self._left_early = True
                self._unserved = self._running.begin_shutdown(timeout)
            return
        self._shutting_down.add(thread)
        try:
            self._shut_down(timeout)
        finally:
            self._shutting_down.discard(thread)

    def _shut_down(self, timeout: float) -> None:
        # A signal's exception may come between the core's word and this thread's having it.
        left_early, self._left_early = self._left_early, True
        # One that was begun in a step, or left for a signal, has steps for whoever comes next: nobody else serves them.
        pending, self._unserved = self._unserved, None
        if pending is None:
            pending = self._running.begin_shutdown(timeout)
        if pending is None:
            self._left_early = False
            if left_early:
                self._starter.let_go()
        else:
            try:
                self._warn_of_foreign_stops(4)
            finally:
                # Whatever comes out of here, the shutdown is on its way.
                self._see_through(pending)
        atexit.unregister(self._at_exit)

    def _see_through(self, pending: _core.PendingShutdown) -> None:
        """Serves a shutdown to its end, if no signal makes this thread leave before."""
        try:
            self._starter.serve_later(pending.calling, to_the_end=True)
        finally:
            if pending.ended:
                self._tell_failed(pending.result())
                self._starter.let_go()
                self._left_early = False
            else:
                self._unserved = pending

    def _tell_failed(self, failures: list[str]) -> None:
        if failures:
            from symphony._boot.failed_stops import tell

            raised, self._container.raised_in_stop = self._container.raised_in_stop, {}
            tell(failures, raised)

    def _warn_of_foreign_stops(self, level: int) -> None:
        foreign = self._foreign("stop")
        if foreign:
            import warnings

            text = (
                f"{foreign} say `main_thread=True` and are stopped on another thread than the one "
                "that booted"
            )
            warnings.warn(text, RuntimeWarning, stacklevel=level)

    def _look_up(self, key: Any, *default: Any) -> Any:
        """Called by the core for what was not asked for yet, or is not there."""
        return self._container.get(key, *default)

    def _refuse_stopped(self) -> None:
        if self._container.stopped:
            raise StoppedError("the system was shut down")

    def _foreign(self, step: str) -> str:
        """The components whose step belongs to the thread that booted, where this is another one."""
        if self._starter.booted_on == _thread.get_ident():
            return ""
        specs = [live.spec for live in self._container.lives]
        return ", ".join(
            f"`{spec.name}`" for spec in specs if spec.main_thread and getattr(spec, step)
        )

    def _at_exit(self) -> None:
        self.shutdown(3.0)

    def __enter__(self) -> System[C]:
        """The system itself."""
        return self

    def __exit__(self, *_raised: object) -> None:
        """Shuts down."""
        self.shutdown()

    async def __aenter__(self) -> System[C]:
        """The system itself."""
        return self

    async def __aexit__(self, *_raised: object) -> None:
        """Shuts down as `__exit__` does, while the event loop goes on."""
        thread = _thread.get_ident()
        if os.getpid() != self._process or thread in self._shutting_down:
            return
        cancelled: BaseException | None = None
        self._shutting_down.add(thread)
        try:
            pending = self._running.begin_shutdown(3.0)
            if pending is not None:
                from symphony._boot.async_exit import serve

                self._warn_of_foreign_stops(3)
                cancelled = await serve(pending.calling, self._starter)
                self._tell_failed(pending.result())
                self._starter.let_go()
            atexit.unregister(self._at_exit)
        finally:
            self._shutting_down.discard(thread)
        if cancelled is not None:
            raise cancelled

    def __repr__(self) -> str:
        """Its name and how long it took to be ready."""
        ready = self.report.ready_seconds or 0.0
        return f"<System {self.report.system!r} ready in {ready * 1e3:.0f} ms>"
