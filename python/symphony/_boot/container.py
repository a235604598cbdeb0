"""The container: the instances of one system, and the steps of the components that made them.

The registry of recipes and the order in which they run are the core's; here an object is built from its specification
by injection, started, asked for its health, and stopped. Invariant: no user code runs under a lock, and nothing is
built that was not registered.
"""

from __future__ import annotations

from symphony._components import handles as handle_makers
from symphony.exceptions import BootError, ComponentNotFoundError, StoppedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from symphony._core import ComponentSpec, Job, NeedSpec

ABSENT: Any = object()
"""Stands where there is no object."""


class Live:
    """A component of one system: its specification and what became of it.

    Attributes:
        spec: What it is built from.
        instance: The object, once it is built.
        injected: What its target was called with, while it waits to be swapped in.
        slot: Its place in the core, in which a swap puts another one.
        stepper: Its steps in the core, once it came by a swap.
        up: Whether it has started, and others may have it.
    """

    __slots__ = (
        "_container",
        "_generator",
        "injected",
        "instance",
        "slot",
        "spec",
        "stepper",
        "up",
    )

    def __init__(self, spec: ComponentSpec, container: Container) -> None:
        """Keeps both; nothing is built yet."""
        self.spec = spec
        self._container = container
        self._generator: Any = None
        self.instance: Any = ABSENT
        self.injected: list[tuple[NeedSpec, Any]] | None = None
        self.slot: Any = None
        self.stepper: Any = None
        self.up = False

    @property
    def threads_in_step(self) -> list[int]:
        """The threads that run a step of its system, each as often as it does."""
        return self._container.threads_in_step

    def start(self, job: Job) -> Any:
        """Builds the object by injection and starts it.

        Args:
            job: The step, which may be given up meanwhile.

        Returns:
            What its `start()` said, or an awaitable of it.
        """
        try:
            outcome = self._start(job)
        except Exception as error:
            self._start_raised(job, error)
            raise
        return self._start_awaited(job, outcome) if hasattr(type(outcome), "__await__") else outcome

    async def _start_awaited(self, job: Job, outcome: Any) -> Any:
        try:
            return await outcome
        except Exception as error:
            self._start_raised(job, error)
            raise

    def _start_raised(self, job: Job, error: Exception) -> None:
        # The boot does not fail with it: it goes on, or fails because this start was late.
        if not self.spec.required or job.given_up:
            self._told("start", error)

    def _told(self, step: str, error: BaseException) -> None:
        """Tells what the core keeps only the text of; whoever gave the step up is told already."""
        from symphony._boot.failed_stops import tell_raised
        from symphony._boot.threads import InterruptedStep

        # So ends a boot within a step that was given up.
        ours = isinstance(error, BootError) and isinstance(error.__cause__, InterruptedStep)
        if not ours and not isinstance(error, StoppedError):
            tell_raised(self.spec.name, step, error)

    async def _awaited(self, step: str, outcome: Any) -> Any:
        try:
            return await outcome
        except Exception as error:
            self._told(step, error)
            raise

    def _start(self, job: Job) -> Any:
        spec = self.spec
        kind = spec.kind
        if kind == "instance":
            return self._built(spec.target, job)
        made = self._container.build(self)
        if kind in ("class", "function"):
            return self._built(made, job)
        if kind == "generator":
            generator: Any = _entered(made, self.spec) if hasattr(made, "__enter__") else made
            made = next(generator)
            self._generator = generator
            return self._built(made, job)
        return self._build_async(made, job)

    async def _build_async(self, made: Any, job: Job) -> Any:
        if hasattr(type(made), "__await__"):
            made = await made
        if self.spec.kind == "async-generator":
            generator: Any = (
                _entered_async(made, self.spec) if hasattr(made, "__aenter__") else made
            )
            made = await generator.__anext__()
            self._generator = generator
            try:
                self._check(made)
            except TypeError:
                self._generator = None
                await generator.aclose()
                raise
        outcome = self._built(made, job)
        return await outcome if hasattr(type(outcome), "__await__") else outcome

    def _check(self, instance: Any) -> None:
        """Refuses what is not of the type that its factory says."""
        made = self.spec.made
        if type(instance) is made or made is None:
            return
        from symphony._components.results import refuse_other

        refuse_other(self.spec, instance)

    def _built(self, instance: Any, job: Job) -> Any:
        if type(instance) is not self.spec.made:
            try:
                self._check(instance)
            except TypeError:
                generator, self._generator = self._generator, None
                if hasattr(generator, "close"):
                    generator.close()
                raise
        if not self.spec.start:
            self._is_up(instance)
            return None
        if job.given_up:
            raise StoppedError(f"`{self.spec.name}` was given up before its `start()`")
        self.instance = instance
        outcome = instance.start()
        if hasattr(type(outcome), "__await__"):
            return self._started_async(instance, outcome)
        self._is_up(instance)
        return outcome

    async def _started_async(self, instance: Any, outcome: Any) -> Any:
        outcome = await outcome
        self._is_up(instance)
        return outcome

    def _is_up(self, instance: Any) -> None:
        # Once more: a start that was given up may end long after its system let go of every
        # object, and is stopped then.
        self.instance = instance
        self._container.provide(self)

    def health(self) -> Any:
        """What its `health()` says; healthy when it has none."""
        if not self.spec.health:
            return None
        try:
            outcome = self.instance.health()
        except Exception as error:
            self._told("health", error)
            raise
        return self._awaited("health", outcome) if hasattr(type(outcome), "__await__") else outcome

    @property
    def is_built(self) -> bool:
        """Whether there is an object of it."""
        return self.instance is not ABSENT

    @property
    def generator(self) -> Any:
        """The generator that made it and will stop it."""
        return self._generator

    def stop(self) -> Any:
        """Stops the object, or runs what stands after its generator's `yield`."""
        try:
            outcome = self._stop()
        except BaseException as error:
            self._container.raised_in_stop[self.spec.name] = error
            raise
        return self._stopped_async(outcome) if hasattr(type(outcome), "__await__") else outcome

    async def _stopped_async(self, outcome: Any) -> Any:
        try:
            return await outcome
        except BaseException as error:
            self._container.raised_in_stop[self.spec.name] = error
            raise

    def _stop(self) -> Any:
        self._container.withdraw(self)
        instance = self.instance
        if self._container.stopped:
            self.instance = ABSENT
        if self._generator is not None:
            generator, self._generator = self._generator, None
            if self.spec.kind == "async-generator":
                return _finish_async(generator)
            _finish(generator)
            return None
        if instance is not ABSENT and self.spec.stop:
            return instance.stop()
        return None


def _entered(manager: Any, spec: ComponentSpec) -> Any:
    """What is entered, as the generator that it might have been."""
    with manager as made:
        yield _of_class(manager, made, spec)


async def _entered_async(manager: Any, spec: ComponentSpec) -> Any:
    async with manager as made:
        yield _of_class(manager, made, spec)


def _of_class(manager: Any, made: Any, spec: ComponentSpec) -> Any:
    """An object that is of the class that was promised is itself what is provided, whatever its `__enter__` gives."""
    promised = getattr(spec.made, "__origin__", None) or spec.made
    is_promised = isinstance(promised, type) and promised in type(manager).__mro__
    return manager if spec.entered and is_promised else made


def _finish(generator: Any) -> None:
    """Runs a generator to its end; a second `yield` is a fault of its author."""
    try:
        next(generator)
    except StopIteration:
        return
    generator.close()
    raise RuntimeError("a generator component may yield once")


async def _finish_async(generator: Any) -> None:
    try:
        await generator.__anext__()
    except StopAsyncIteration:
        return
    await generator.aclose()
    raise RuntimeError("a generator component may yield once")


class Container:
    """The instances of one system, by type.

    Attributes:
        instances: The object of each key that has exactly one.
        found: Those of them that were asked for by `system[T]`, which the core answers from there.
        lives: Every component, in the order of its registration.
        lates: Every late handle, with the need and the component that it was made for.
        lists: Every list of all providers of a key, likewise.
        members: The Pit's members that were asked to give their place to others, by their types.
        threads_in_step: The threads that run a step of its components at present, each as often as it does.
        swaps: What was swapped out or is tried out; `None` as long as nothing was.
        turn: Another number before and after each rewrite of `instances`, for who reads meanwhile.
    """

    __slots__ = (
        "_builtin",
        "_handle_cache",
        "_providers",
        "found",
        "instances",
        "lates",
        "lists",
        "lives",
        "members",
        "raised_in_stop",
        "stopped",
        "swaps",
        "threads_in_step",
        "turn",
    )

    def __init__(self, builtin: Callable[[Any], Any]) -> None:
        """Keeps the function that fetches what the core provides (`Pit`, `OrchestraKit`, …)."""
        self._builtin = builtin
        self._providers: dict[Any, list[Live]] = {}
        self._handle_cache: dict[Any, Any] = {}
        self.lates: list[tuple[Any, NeedSpec, Live]] = []
        self.lists: list[tuple[list[Any], NeedSpec, Live]] = []
        self.members: dict[Any, Any] = {}
        self.swaps: Any = None
        self.turn = 0
        self.instances: dict[Any, Any] = {}
        self.found: dict[Any, Any] = {}
        self.lives: list[Live] = []
        self.threads_in_step: list[int] = []
        self.raised_in_stop: dict[str, BaseException] = {}
        self.stopped = False

    def register(self, spec: ComponentSpec) -> Live:
        """Takes a specification in."""
        live = Live(spec, self)
        self.lives.append(live)
        for key in spec.provides:
            self._providers.setdefault(key, []).append(live)
        return live

    def provide(self, live: Live) -> None:
        """The component is up: others may have it."""
        live.up = True
        if self.stopped:
            return
        for key in live.spec.provides:
            known = self._providers.get(key)
            # One that is about to be swapped in is not registered yet.
            if known is not None and len(known) == 1 and known[0] is live:
                self.instances[key] = live.instance

    def withdraw(self, live: Live) -> None:
        """The component goes down."""
        live.up = False
        for key in live.spec.provides:
            if self.instances.get(key, ABSENT) is live.instance:
                del self.instances[key]
                self.found.pop(key, None)

    def build(self, live: Live) -> Any:
        """Calls a component's target with the objects that it asks for."""
        spec, instances, injected = live.spec, self.instances, live.injected
        positional: list[Any] = []
        named: dict[str, Any] = {}
        left_out = False
        for need in spec.needs:
            plain = need.kind == "one" and need.named is None and not need.handle
            value = instances.get(need.key, ABSENT) if plain else ABSENT
            if value is ABSENT:
                value = self._argument(need, live)
            if injected is not None:
                injected.append((need, value))
            if need.default and (value is None or (need.kind == "every" and not value)):
                # What has to be given by position after it has a default too, and cannot be given any more.
                left_out |= need.positional
            elif need.positional and left_out:
                continue
            elif need.positional:
                positional.append(value)
            else:
                named[need.parameter] = value
        return spec.target(*positional, **named)

    def _argument(self, need: NeedSpec, live: Live) -> Any:
        if need.kind == "late":
            late = handle_makers.make_late(_label(need.key))
            self.lates.append((late, need, live))
            return late
        if need.kind == "every":
            every = [other.instance for other in self._providers.get(need.key, ()) if other.up]
            self.lists.append((every, need, live))
            return every
        value = self.lookup(need.key, need.named)
        if value is ABSENT:
            if need.kind == "optional":
                return None
            raise self.not_found(need.key, _label(need.key))
        return self._handle(need.key, _label(need.key), need.named, value) if need.handle else value

    def lookup(self, key: Any, named: str | None = None) -> Any:
        """The object of a key, or of the provider of that name; the mark of absence when there is none."""
        value = self.instances.get(key, ABSENT)
        if value is not ABSENT and named is None:
            return value
        up = [live for live in self._providers.get(key, ()) if live.up]
        if named is not None:
            up = [live for live in up if live.spec.name == named]
        elif len(up) > 1:
            up = [live for live in up if not live.spec.named]
        if len(up) == 1:
            return up[0].instance
        return self._builtin(key) if named is None else ABSENT

    def get(self, key: Any, default: Any = ABSENT) -> Any:
        """The object of a key.

        Raises:
            ComponentNotFoundError: There is none, and no default.
            StoppedError: The system was shut down.
        """
        while not self.stopped:
            turn, known = self.turn, key in self.instances
            value = self.lookup(key)
            if value is ABSENT:
                if default is not ABSENT:
                    return default
                raise self.not_found(key, _label(key))
            self.found[key] = value = self.instances.setdefault(key, value)
            if self.turn == turn and not self.stopped:
                return value
            # A swap, or the end, came between, and what was kept here may be of before.
            self.found.pop(key, None)
            if not known:
                self.instances.pop(key, None)
        raise StoppedError(f"the system of `{_label(key)}` was shut down")

    def not_found(self, key: Any, label: str) -> ComponentNotFoundError:
        """The error for a key that nobody provides."""
        if len(self._providers.get(key, ())) > 1:
            names = ", ".join(f"`{live.spec.name}`" for live in self._providers[key])
            return ComponentNotFoundError(f"several components provide `{label}`: {names}")
        return ComponentNotFoundError(
            f"no component provides `{label}`", hints=[f"add it: `boot(components=[{label}])`"]
        )

    def handle(self, key: Any) -> Any:
        """The handle of a key; always the same one."""
        while True:
            turn = self.turn
            value = self.get(key)
            handle = self._handle(key, _label(key), None, value)
            if self.turn == turn:
                return handle
            # A swap came between, which may not have seen the handle.
            handle_makers.bind(handle, self.get(key))

    def _handle(self, key: Any, label: str, named: str | None, value: Any) -> Any:
        handle = self._handle_cache.get((key, named))
        if handle is None:
            made = handle_makers.make_handle(label, value)
            # Another thread may have come first.
            handle = self._handle_cache.setdefault((key, named), made)
        return handle

    def handles(self) -> list[Any]:
        """Every handle of every key, late ones too."""
        return [*self._handle_cache.values(), *(late for late, _, _ in self.lates)]

    def handles_of(self, keys: list[Any]) -> list[Any]:
        """Every handle of these keys, late ones too."""
        kept = [handle for (key, _), handle in self._handle_cache.items() if key in keys]
        return kept + [late for late, need, _ in self.lates if need.key in keys]

    def providers(self, key: Any) -> list[Live]:
        """Who provides a key."""
        return self._providers.get(key, [])

    def replace(self, old: Live, new: Live) -> None:
        """Another component stands where one stood, under the keys of that one.

        A member of the Pit is the core's, and none of these components.
        """
        if new.spec.kind == "member":
            self.lives.remove(old)
        elif old.spec.kind == "member":
            self.lives.insert(0, new)
        else:
            self.lives[self.lives.index(old)] = new
        for key in old.spec.provides:
            providers = self._providers.setdefault(key, [])
            if new.spec.kind == "member":
                providers.remove(old)
            elif old.spec.kind == "member":
                providers.append(new)
            else:
                providers[providers.index(old)] = new

    def forget(self, live: Live) -> None:
        """A component is gone for good, and what was made for it."""
        self.lates = [entry for entry in self.lates if entry[2] is not live]
        self.lists = [entry for entry in self.lists if entry[2] is not live]

    def bind_late(self, only: Live | None = None) -> list[tuple[NeedSpec, Live, list[Live]]]:
        """Binds every late edge of what started, or of one component that came later.

        Returns:
            The edges whose target did not start: the need, who has it, and who would provide it.
        """
        missing = []
        for late, need, live in self.lates:
            if not live.up or only not in (None, live):
                continue
            value = self.lookup(need.key, need.named)
            if value is ABSENT:
                known = self._providers.get(need.key, ())
                named = [one for one in known if need.named in (None, one.spec.name)]
                missing.append((need, live, named))
            else:
                handle_makers.bind(late, value)
        return missing

    def close(self) -> None:
        """Lets go of every object; handles raise from now on."""
        self.stopped = True
        for handle in self.handles():
            handle_makers.stop(handle)
        self.instances.clear()
        self.found.clear()
        self.raised_in_stop.clear()
        # Objects, the core and what boots are a ring through the core, where no collector sees it; it is cut here.
        self._builtin = _nothing
        for live in self.lives:
            live.instance, live.up = ABSENT, False
            live.slot = live.stepper = None
        for member in self.members.values():
            member.end()
        self.members.clear()
        if self.swaps is not None:
            self.swaps.close()


def _nothing(_key: Any) -> Any:
    return ABSENT


def _label(key: Any) -> str:
    return getattr(key, "__name__", None) or repr(key)
