"""`boot()`: from a Conductor's factory to a running system.

The calling thread imports what only it may import and runs the steps that belong to it; everything else happens in
the core meanwhile. Invariant: whatever happens here, either a whole system is returned or nothing of it is left.
"""

from __future__ import annotations

import _signal
import _thread
import sys

from symphony import _core
from symphony._boot import fork_guard, signals
from symphony._boot.container import ABSENT, Container
from symphony._boot.log_lines import follow as follow_log
from symphony._boot.log_lines import settle as settle_log
from symphony._boot.registration import conductor_spec, register, relocate, resolve_conductor
from symphony._boot.system import System
from symphony._boot.threads import InterruptedStep, Terminated, Threads, run_job
from symphony._work.kit import OrchestraKit
from symphony._work.pit import Pit
from symphony.exceptions import InvalidValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Protocol, TypedDict, TypeVar, overload

    from typing_extensions import Unpack

    from symphony._core import BootEvent, ComponentSpec, Job
    from symphony.conductor import Conductor
    from symphony.config import StrPath, SystemConfig

    C = TypeVar("C")

    class Options(TypedDict, total=False):
        """What `boot()` takes by keyword, beside the Conductor."""

        config: SystemConfig | StrPath | None
        components: Iterable[Any]
        overrides: Mapping[Any, Any] | None
        prepare: Callable[[], object] | None
        observer: Callable[[BootEvent], object] | None
        timeout: float | None
        on_hang: str

    class Steps(Protocol):
        """Steps for the calling thread: a `JobQueue`, or what stands for one."""

        def take_polling(self, timeout: float | None = None, /) -> Job | None:
            """The next one; `None` when none comes any more, or in so many seconds."""
            ...
else:

    def overload(function):  # noqa: ANN001, ANN202
        """Stands in for `typing.overload`, which only type checkers read."""
        return function


@overload
def boot(**options: Unpack[Options]) -> System[Conductor]: ...
@overload
def boot(conductor: str, **options: Unpack[Options]) -> System[Any]: ...  # noqa: F811
@overload
def boot(conductor: Callable[..., C], **options: Unpack[Options]) -> System[C]: ...  # noqa: F811


def boot(  # noqa: F811
    conductor: Any = None,
    *,
    config: SystemConfig | StrPath | None = None,
    components: Iterable[Any] = (),
    overrides: Mapping[Any, Any] | None = None,
    prepare: Callable[[], object] | None = None,
    observer: Callable[[BootEvent], object] | None = None,
    timeout: float | None = None,
    on_hang: str = "report",
) -> System[Any]:
    """Brings up a system: supervisor, bus, Pit, Orchestra Kit, your components, then the Conductor.

    Args:
        conductor: A callable whose annotated parameters are injected, or `"package.module:callable"`, whose module is
            imported on this thread while the core boots. None: the base `Conductor`, which serves the oldest run
            first.
        config: Path of a `Symphony.toml`, or a `SystemConfig`. None: no extensions, and a temporary state folder.
        components: Classes, factories, objects, modules or `"package.module"`.
        overrides: What takes the place of a type; what is overridden is never started.
        prepare: Called on this thread before the Conductor's import, while the core boots.
        observer: Called with each `BootEvent`, on a thread of its own.
        timeout: Seconds for the whole boot; 60 when none.
        on_hang: What to do when this thread itself cannot be freed: `"report"`, or `"abort"` with exit code 70.

    Returns:
        The running system, a context manager.

    Raises:
        PlanError: The components, manifests or Melodies are at fault; all faults at once.
        BootError: A step failed, hung or said that it is unhealthy; everything that had started was stopped.
    """
    starter = Starter(
        conductor,
        namespace=sys._getframe(1).f_locals,
        config=config,
        overrides=overrides,
        observer=observer,
        timeout=timeout,
        on_hang=on_hang,
    )
    return starter.boot(components, prepare)


_GRACE_SECONDS = 3.0


class Starter:
    """One boot, from the plan to the system or to nothing."""

    def __init__(
        self,
        conductor: Any,
        *,
        namespace: Mapping[str, Any] | None = None,
        config: SystemConfig | StrPath | None,
        overrides: Mapping[Any, Any] | None = None,
        observer: Callable[[BootEvent], object] | None = None,
        timeout: float | None = None,
        on_hang: str = "report",
        stepwise: bool = False,
    ) -> None:
        """Starts the supervisor at once, so that it comes up while the rest is read and planned."""
        if on_hang not in ("report", "abort"):
            raise InvalidValueError(f"`on_hang` is `report` or `abort`, not `{on_hang}`")
        settings = None if config is None else _settings(config)
        self.declared: list[str] = []
        if settings is not None and settings.path is not None:
            conductor = self._take_declared(settings.path, conductor)
        if isinstance(conductor, str) and not all(conductor.partition(":")):
            raise InvalidValueError(
                f"`conductor` names a callable as `package.module:callable`, not as `{conductor}`"
            )
        if "gevent.monkey" in sys.modules or "eventlet.patcher" in sys.modules:
            from symphony._boot import patched_threads

            patched_threads.refuse()
        if hasattr(sys, "frozen") or hasattr(sys.modules.get("__main__"), "__compiled__"):
            from symphony._guest import packaged

            packaged.refuse_as_supervisor()
        fork_guard.install()
        self.overrides = dict(overrides or {})
        self.apart: list[tuple[Any, ComponentSpec]] = []
        self.conductor = conductor
        self.namespace = namespace
        self.spec: ComponentSpec | None = None
        self.binds_late = False
        self.booted_on = 0
        self._caller = _thread.get_ident()
        self._gate = _thread.allocate_lock()
        self._current: Job | str | None = None
        self._outside_failed = False
        self._concluded = False
        self.interrupted = False
        self.core = _core.Boot(
            **_configured(settings),
            timeout=timeout,
            abort_on_hang=on_hang == "abort",
            stepwise=stepwise,
        )
        self._observer = observer
        self.container = Container(self._builtin)
        self._pit: Any = None
        self._kit: Any = None
        self._on_main = _core.is_main_thread()
        self.threads: Threads | None = None
        self._log: _core.LogFollower | None = None

    def _take_declared(self, path: str, conductor: Any) -> Any:
        """Takes the components of the manifest, and its Conductor where there is no other."""
        declared = _core.declared_in(path)
        if declared is None:
            return conductor
        _, components, named = declared
        self.declared = [module for module, _, _ in components]
        return named[0] if conductor is None and named is not None else conductor

    def boot(self, components: Iterable[Any], prepare: Callable[[], object] | None) -> System[Any]:
        """Runs the whole boot."""
        try:
            register(self, components)
            spec = conductor_spec(self)
            self.namespace = None
            self.begin()
            self._on_calling_thread(prepare, spec)
            self.serve(self.core.calling)
            return self.finish(spec)
        except BaseException:
            if not self._concluded:
                self.abandon()
            raise

    def begin(self) -> None:
        """Starts the core's boot; it runs beside this thread from now on."""
        signals.arm(self)
        if self._on_main:
            signals.guard(self, terminate=True)
        self.threads = Threads(self.core.keeper, self)
        if self._observer is not None:
            self.core.events.follow(self._observer)
        self._log = follow_log()
        self.core.start()

    def _on_calling_thread(self, prepare: Callable[[], object] | None, spec: ComponentSpec) -> None:
        """Runs `prepare` and the Conductor's import while the core works on its phases."""
        if prepare is not None:
            self._outside("prepare", prepare)
        if isinstance(self.conductor, str):
            module = self.conductor.partition(":")[0]
            self._outside(f"import {module}", lambda: resolve_conductor(self, spec))

    def _outside(self, name: str, work: Callable[[], object]) -> None:
        """Runs work that is no component's step; what it raises fails the boot."""
        if self._outside_failed:
            return
        token = self.core.outside_begun(name)
        try:
            try:
                self._current = name
                work()
            except InterruptedStep:
                self._outside_failed = True
            except BaseException as error:  # noqa: BLE001 - handed to the core, which rolls back and raises it.
                self._outside_failed = True
                if not self._stop_for(error):
                    self.core.outside_failed(name, error)
            finally:
                self._leave()
        except InterruptedStep as stop:
            self._outside_failed = True
            self._leave()
            if signals.within_interrupted(self):
                self.core.interrupt(stop)
        self.core.outside_ended(token)

    def serve(self, queue: Steps) -> None:
        """Works off the steps that belong to the calling thread, until the boot, or what it asked, has ended."""
        while True:
            job = None
            try:
                try:
                    job = queue.take_polling()
                    if job is None:
                        return
                    if self._outside_failed and job.step == "start":
                        # The boot fails already: without its import, or its preparation, nothing of it may run.
                        job.skip()
                        continue
                    self._current = job
                    run_job(job, None, self._stop_for)
                except (KeyboardInterrupt, Terminated) as stop:
                    self._stop(stop)
                    if job is not None:
                        # It may have come just before the step, or after it and before that was told.
                        job.fail(stop)
                finally:
                    self._leave()
            except InterruptedStep as stop:
                self._leave()
                if signals.within_interrupted(self):
                    # As after Ctrl-C: this boot is rolled back, and ends with what ends the outer one's step.
                    self.core.interrupt(stop)

    def _stop_for(self, error: BaseException) -> bool:
        """The boot ends with this, where a signal's handler raised it: false where it did not."""
        stops = signals.came_from_handler(error)
        if stops:
            self._stop(error)
        return stops

    def _stop(self, stop: BaseException) -> None:
        """Ctrl-C or SIGTERM: the boot is rolled back, and ends with it."""
        signals.hush(self)
        self.core.interrupt(stop)

    def serve_later(self, queue: Steps, *, to_the_end: bool = False) -> None:
        """Works off steps of a system that is up, on the thread that asks for its health or shuts it down.

        What a signal's handler raises comes out of here: at once, or where it has to be served to the end, then. A
        second one, or 3 s after the first, leaves in any case.

        Args:
            queue: The steps, until what was asked has ended.
            to_the_end: It is not left half done for a signal: a shutdown.
        """
        self._caller = _thread.get_ident()
        self._on_main = _core.is_main_thread()
        self._outside_failed = False
        raised: list[BaseException] = []
        try:
            if self._on_main:
                signals.guard(self, terminate=False)
            while self._serve_one(queue, raised) and len(raised) <= to_the_end:
                pass
        finally:
            signals.release(self)
        if raised:
            raise raised[0]

    def _serve_one(self, queue: Steps, raised: list[BaseException]) -> bool:
        """Works off one step and adds what a signal's handler raised meanwhile; false at the end."""

        def tell(error: BaseException) -> None:
            if signals.came_from_handler(error):
                raised.append(error)

        job = None
        try:
            try:
                job = queue.take_polling(_GRACE_SECONDS if raised else None)
                if job is None:
                    return False
                self._current = job
                run_job(job, None, tell)
            finally:
                self._leave()
        except InterruptedStep:
            self._leave()
        except BaseException as error:  # noqa: BLE001 - raised when it has been left.
            raised.append(error)
            if job is not None:
                # It may have come just before the step, or after it and before that was told.
                job.fail(error)
        return True

    def interrupt(self) -> None:
        """Raises in the calling thread, where it is in work that was given up; called on the keeper's thread.

        By a signal on the main thread, else by an asynchronous exception.
        """
        with self._gate:
            current = self._current
            if current is None or not (isinstance(current, str) or current.given_up):
                return
            self.interrupted = True
            if self._on_main:
                _signal.pthread_kill(self._caller, signals.INTERRUPT)
            else:
                _raise_in(self._caller, InterruptedStep)

    def _leave(self) -> None:
        """The calling thread has left its step: from now on no interruption comes."""
        while self._current is not None:
            try:
                with self._gate:
                    self._current = None
                    self.interrupted = False
                    if not self._on_main:
                        _raise_in(self._caller, None)
            except InterruptedStep:
                continue

    def busy(self) -> tuple[int, list[str]]:
        """The calling thread, and what it is busy with, in words."""
        current = self._current
        return self._caller, [f"the calling thread is in `{current}`"] if isinstance(
            current, str
        ) else []

    def finish(self, spec: ComponentSpec | None) -> System[Any]:
        """The system, or the failure."""
        running: _core.Running | None = None
        try:
            running = self.core.result(lambda: relocate(self))
            if self._log is not None:
                settle_log(self._log)
            if not self.binds_late and self.container.lates:
                # A Conductor named by a string may ask for what its source did not tell.
                _core.bind_late(self.container)
            self.booted_on = _thread.get_ident()
            system: System[Any] = System(self, running, spec)
            safe = running.report().safe_mode
            if safe is not None:
                from symphony._boot import safe_mode

                safe_mode.tell(safe)
            self.core.handed()
        except BaseException:
            self._concluded = True
            try:
                # A signal's exception may come between the core's word and this thread's having it.
                running = running or self.core.handed()
                pending = None if running is None else running.begin_shutdown(3.0)
                if pending is not None:
                    self.serve_later(pending.calling, to_the_end=True)
                    pending.result()
            finally:
                self.let_go()
            raise
        else:
            return system
        finally:
            signals.release(self)

    def abandon(self) -> None:
        """Something broke before the core could end the boot by itself."""
        try:
            self.core.cancel()
        finally:
            # Another interruption may come out of the wait for the rollback.
            self.let_go()
            signals.release(self)

    def let_go(self) -> None:
        """The system is down: its threads end, and its objects are nobody's but the user's."""
        self.core.calling.end()
        threads, self.threads = self.threads, None
        if threads is not None:
            threads.close()
        log, self._log = self._log, None
        if log is not None:
            log.close()
        self.container.close()
        if isinstance(self._kit, OrchestraKit):
            self._kit.let_go()
        self._pit = self._kit = None

    def _builtin(self, key: Any) -> Any:
        """What the core provides for a key."""
        if key is Pit:
            return self.pit
        if key is OrchestraKit:
            return self.kit
        if key is _core.IpcBus:
            return self.bus
        part = _core.own_parts_by_class().get(key)
        attribute = None if part is None else part.attribute
        return ABSENT if attribute is None else getattr(self.pit, attribute, ABSENT)

    @property
    def pit(self) -> Any:
        """The Pit's handle; built when it is first asked for."""
        if self._pit is None:
            self._pit = self.container.instances.get(Pit)
        if self._pit is None:
            pit: Any = Pit()
            for key, part in _core.own_parts_by_class().items():
                if part.attribute is not None and isinstance(key, type):
                    value = self.container.instances.get(key)
                    value = self.core.member(part.name) if value is None else value
                    if value is not None:
                        setattr(pit, part.attribute, value)
            self._pit = pit
        return self._pit

    @property
    def kit(self) -> Any:
        """The Orchestra Kit's handle; built when it is first asked for."""
        if self._kit is None:
            self._kit = self.container.instances.get(OrchestraKit)
        if self._kit is None:
            self._kit = OrchestraKit(self.core.kit(), self.pit, self.bus)
        return self._kit

    @property
    def bus(self) -> Any:
        """The bus's handle."""
        override = self.container.instances.get(_core.IpcBus)
        return self.core.bus() if override is None else override

    def is_in_step(self) -> bool:
        """Whether the calling thread is in a step."""
        return self._current is not None


def _settings(config: SystemConfig | StrPath) -> SystemConfig:
    from symphony.config import as_config

    return as_config(config)


def _configured(settings: SystemConfig | None) -> dict[str, Any]:
    """What the core takes from a configuration: its fields, and how guests are started.

    Nothing without one, which spares such a boot three imports.
    """
    if settings is None:
        return {}
    from symphony._guest.launch import foreign_command, own_command, supervisor_command

    fields = {name: getattr(settings, name) for name in type(settings).__slots__}
    return {
        **fields,
        "supervisor": supervisor_command(settings.python),
        "foreign_python": foreign_command(),
        "own_python": own_command(),
    }


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raises in a thread the next time it runs Python code; `None` takes back what was not raised yet."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error)
    )
