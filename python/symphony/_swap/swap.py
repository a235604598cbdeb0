"""`system.swap()`: another object takes a component's place while the system runs.

The new one is built, started and asked for its health first; then every injection site and handle
is rewritten at once; then the old one is drained and stopped. Invariant: until the rewrite nobody
sees the new one and any failure leaves the old one in place; after it the old one is stopped once,
here when it is drained or else with the system.
"""

from __future__ import annotations

import _thread
import sys
import time

from symphony._boot.container import ABSENT, Live
from symphony._boot.registration import newcomer_faults
from symphony._components.annotations import text_of
from symphony._components.collect import Collector, Factory, lifecycle
from symphony._core import (
    ComponentSpec,
    Diagnostic,
    ExtensionHandle,
    Sites,
    SwapReport,
    boot_error,
    checked_seconds,
    is_shared,
    main_thread_faults,
    own_parts_by_class,
    plan_error,
    refresh,
    settle_names,
    tell_holders,
    wait_drained,
)
from symphony._swap import members
from symphony._work.pit import Pit
from symphony.exceptions import (
    InvalidValueError,
    StoppedError,
    SymphonyError,
    WrongThreadError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType
    from typing import Any

    from symphony._boot.container import Container
    from symphony._boot.starter import Starter
    from symphony._core import Holder

_OPTIMIZED = 0x01


class Swaps:
    """What one system remembers of its swaps.

    Attributes:
        lock: Held while places are found and rewritten; no step of a component runs under it.
        retired: What was taken out and is still held by somebody.
        experiments: The component of each running experiment, with what its consumers see.
        overrides: For each component that is overridden at present what stands for it, the last one on top.
    """

    __slots__ = ("experiments", "lock", "overrides", "retired")

    def __init__(self) -> None:
        """Nothing was swapped yet."""
        self.lock = _thread.allocate_lock()
        self.retired: list[Live] = []
        self.experiments: dict[Live, Any] = {}
        self.overrides: list[Any] = []

    def close(self) -> None:
        """Lets go of every object; the system is down."""
        for live in self.retired:
            live.instance = ABSENT
        self.retired.clear()
        self.experiments.clear()
        self.overrides.clear()


def swaps_of(container: Container) -> Swaps:
    """What this system remembers of its swaps."""
    if container.swaps is None:
        container.swaps = Swaps()
    swaps: Swaps = container.swaps
    return swaps


def swap(starter: Starter, key: Any, new: Any, drain: float, caller: FrameType) -> SwapReport:
    """Puts another object into a component's place.

    Args:
        starter: What booted the system.
        key: The component's type.
        new: A class, a factory or an instance.
        drain: Seconds that calls in progress on the old one have.
        caller: The frame of the caller, which sees classes made in a function.
    """
    began = time.monotonic()
    container = starter.container
    drain = checked_seconds("drain", drain)
    if isinstance(key, (str, ExtensionHandle)):
        from symphony._swap.versions import swap as swap_version

        return swap_version(starter, key, new, drain)
    refuse_overridden(container, standing(starter, key))
    candidate = bring_up(starter, standing(starter, key), key, new, caller)
    try:
        with swaps_of(container).lock:
            old = standing(starter, key)
            refuse_overridden(container, old)
            sites = find_sites(starter, old, old.instance, candidate)
            put_in(container, old, candidate)
            rewrite(container, sites, old, candidate, old.instance, candidate.instance)
    except BaseException:
        take_down(starter, candidate)
        raise
    report = SwapReport(
        old.spec.name,
        type(old.instance).__qualname__,
        type(candidate.instance).__qualname__,
        sites.rewritten,
        sites.handles,
    )
    take_out(starter, old, drain, report, text_of(key))
    report.seconds = time.monotonic() - began
    return report


def standing(starter: Starter, key: Any) -> Live:
    """The component that provides a key.

    Raises:
        InvalidValueError: It is a part of the core that is no member, it is the Conductor, or an experiment runs on it.
        ComponentNotFoundError: There is none, or there are several.
        StoppedError: The system was shut down.
    """
    container = starter.container
    if container.stopped:
        raise StoppedError(f"the system of `{text_of(key)}` was shut down")
    providers = container.providers(key)
    if key in own_parts_by_class() and not providers:
        return members.standing(starter, key)
    if len(providers) != 1 or providers[0].instance is ABSENT:
        raise container.not_found(key, text_of(key))
    live = providers[0]
    if starter.spec is not None and live.instance is container.lives[-1].instance:
        raise InvalidValueError(
            f"the Conductor `{live.spec.name}` cannot be swapped",
            hints=["swap a component that it uses"],
        )
    if live in swaps_of(container).experiments:
        raise InvalidValueError(
            f"an experiment runs on `{live.spec.name}`",
            hints=["call its `promote(name)` or `stop()` first"],
        )
    return live


def refuse_overridden(container: Container, live: Live) -> None:
    """What a test has overridden for a while stays until the override ends.

    Raises:
        InvalidValueError: The component is overridden at present.
    """
    if any(one.stands_for(live) for one in swaps_of(container).overrides):
        raise InvalidValueError(
            f"`{live.spec.name}` is overridden at present",
            hints=["leave the block of its `system.override(...)` first"],
        )


def bring_up(starter: Starter, old: Live, key: Any, new: Any, caller: FrameType) -> Live:
    """Builds, starts and health-checks what may come into a component's place.

    Raises:
        PlanError: What it needs is missing, or needs the component in turn.
        BootError: Its construction, start or health failed, or was not done in time.
        WrongThreadError: It or the old one belongs to the thread that booted, and this is another one.
    """
    container = starter.container
    if old.spec.provides and old.spec.provides[0] in own_parts_by_class():
        members.refuse_itself(key, new)
        if isinstance(new, ExtensionHandle):
            new = members.client(key, new)
    spec = _describe(key, new, caller)
    name, spec.name, spec.named = spec.name, old.spec.name, True
    spec.provides, spec.phase, spec.required = (
        list(old.spec.provides),
        old.spec.phase,
        old.spec.required,
    )
    _check(starter, old, spec, name)
    live = Live(spec, container)
    live.injected = []
    live.slot = old.slot
    live.stepper = old.slot.candidate(live, spec.thread)
    place = f"`{name}`, which was to take the place of `{spec.name}`,"
    try:
        run_step(starter, live, "start", spec.timeout or None)
    except Exception as error:
        container.forget(live)
        live.stepper = None
        raise _failure(f"{place} did not start", "start-failed", spec, error) from error
    try:
        state, reason = (
            run_step(starter, live, "health", spec.timeout or None)
            if spec.health
            else ("healthy", None)
        )
    except Exception as error:
        take_down(starter, live)
        raise _failure(f"{place} is not well", "unhealthy", spec, error) from error
    except BaseException:
        take_down(starter, live)
        raise
    if state == "unhealthy":
        take_down(starter, live)
        raise boot_error(
            f"{place} is not well: {reason or 'no reason given'}",
            code="unhealthy",
            phase=spec.phase,
            component=spec.name,
        )
    return live


def _describe(key: Any, new: Any, caller: FrameType) -> ComponentSpec:
    """What is to come, as `overrides=` has it; of a class made in a function the caller knows the names."""
    target = new.target if isinstance(new, Factory) else new
    local = "<locals>" in getattr(target, "__qualname__", "")
    collector = Collector(_names(caller) if local else None)
    spec = collector.describe_stand_in(new, text_of(type(new)))
    if spec.kind == "instance":
        lifecycle(spec, type(new))
    elif isinstance(key, type) and spec.kind != "class" and not spec.provides:
        lifecycle(spec, key)
    if collector.diagnostics:
        raise plan_error(collector.diagnostics)
    return spec


def _names(caller: FrameType) -> Mapping[str, Any]:
    """The names that a frame sees."""
    seen = caller.f_locals
    names = dict(seen)
    if sys.version_info < (3, 13) and caller.f_code.co_flags & _OPTIMIZED:
        # A copy that the frame would keep, with every object in it.
        seen.clear()
    return names


def _check(starter: Starter, old: Live, spec: ComponentSpec, name: str) -> None:
    """Refuses before anything is built."""
    assert_thread(starter, spec, old.spec)
    fixed = find_sites(starter, old, old.instance, None).fixed(old.instance) if old.is_built else []
    if fixed:
        kept = ", ".join(f"`{place}`" for place in fixed)
        raise InvalidValueError(
            f"`{old.spec.name}` cannot be replaced: {kept} cannot be written to",
            hints=["ask for `Handle[…]` there, and read `.value` at each use"],
        )
    faults: list[Diagnostic] = []
    if spec.main_thread:
        from symphony._components.places import place

        faults += main_thread_faults(name, spec.phase, spec.is_async, lambda: place(spec))
    if any(getattr(key, "_is_protocol", False) for key in spec.provides):
        from symphony._components.contracts import contract_faults

        faults += contract_faults([spec])
    # What did not start provides nothing to who comes now.
    there = [live for live in starter.container.lives if live.up or live is old]
    specs = [spec if live is old else live.spec for live in there]
    if old not in there:
        specs.append(spec)
    settle_names([spec], specs)
    faults += newcomer_faults(starter, specs, spec, name, is_up=True)
    if faults:
        raise plan_error(faults)


def assert_thread(starter: Starter, *specs: ComponentSpec) -> None:
    """Refuses on another thread than the one that booted where a step belongs there.

    Raises:
        WrongThreadError: It is another thread.
    """
    for spec in specs:
        if spec.main_thread and starter.booted_on != _thread.get_ident():
            raise WrongThreadError(
                f"`{spec.name}` says `main_thread=True` and is swapped on another thread",
                hints=["swap it on the thread that called `boot()`"],
            )


def run_step(
    starter: Starter, live: Live, step: str, seconds: float | None = None
) -> tuple[str, str | None]:
    """Runs a step where it belongs, and waits for it; one that is not done in time is given up.

    Returns:
        State and reason of the component after it.
    """
    if not live.spec.main_thread:
        outcome: tuple[str, str | None] = live.stepper.run(step, seconds)
        return outcome
    pending = live.stepper.begin(step, seconds)
    starter.serve_later(pending.calling)
    outcome = pending.result()
    return outcome  # noqa: RET504 - its type is checked here.


def _failure(message: str, code: str, spec: ComponentSpec, error: Exception) -> SymphonyError:
    if isinstance(error, TimeoutError) and isinstance(error, SymphonyError):
        code = error.code
    return boot_error(
        f"{message}: {type(error).__name__}: {error}",
        code=code,
        phase=spec.phase,
        component=spec.name,
    )


def consumers_of(container: Container) -> dict[Live, None]:
    """Every component whose object may be called: also what was taken out and is held, or stands aside for a while."""
    swaps = swaps_of(container)
    set_aside = [one.root for one in swaps.overrides]
    return dict.fromkeys([*container.lives, *swaps.retired, *set_aside])


def find_sites(starter: Starter, live: Live, shown: Any, candidate: Live | None) -> Sites:
    """Every place in which consumers see a component; the one that is to come is brought up to date as well."""
    container = starter.container
    sites = Sites.find(container, live, shown, consumers_of(container))
    if type(starter.pit) is Pit:
        sites.add_pit(starter.pit, shown)
    if candidate is not None:
        refresh(container, candidate)
    return sites


def put_in(container: Container, old: Live, new: Live) -> None:
    """The core stops and asks the new one from now on.

    Raises:
        StoppedError: The system is being shut down.
    """
    before = old.slot.exchange(new.stepper)
    if before is None:
        raise StoppedError("the system is being shut down")
    old.stepper, new.stepper = before, None
    container.replace(old, new)


def rewrite(
    container: Container, sites: Sites, old: Live, new: Live, shown: Any, value: Any
) -> None:
    """Rewrites every place, or none and puts the old component back."""
    try:
        sites.put(shown, value)
    except BaseException:
        new.stepper = old.slot.exchange(old.stepper)
        old.stepper = None
        container.replace(new, old)
        raise
    container.bind_late(new)


def _always() -> bool:
    return True


def take_out(
    starter: Starter,
    old: Live,
    drain: float,
    report: SwapReport,
    label: str,
    idle: Callable[[], bool] = _always,
) -> None:
    """Drains and stops a component that nobody is given any more; what is not drained is left to the shutdown."""
    container = starter.container
    if old.spec.kind == "instance":
        _let_go(starter, old)
    if isinstance(old, members.Member):
        idle = old.slot.is_idle
        if old.slot.tell(report):
            _retire(starter, old)
            return
    try:
        drained = _drained(container, old, drain, idle)
    except BaseException:
        _retire(starter, old)
        raise
    if not drained:
        tell_holders(report, old, label, [*container.lives, *swaps_of(container).retired])
        _retire(starter, old)
        return
    report.stop_error = take_down(starter, old) or report.stop_error


def kept_by_consumers(starter: Starter, old: Live, label: str) -> list[Holder]:
    """Which consumers still hold a component that stands aside, where no swap reaches it.

    Where nobody holds it nothing is looked for.
    """
    container = starter.container
    if is_shared(old.instance) or isinstance(old, members.Member):
        return []
    if old.spec.kind != "instance" and _drained(container, old, 0.0, _always):
        return []
    report = SwapReport(old.spec.name, "", "")
    tell_holders(report, old, label, list(consumers_of(container)))
    return [one for one in report.holders if one.consumer is not None]


def _drained(container: Container, live: Live, seconds: float, idle: Callable[[], bool]) -> bool:
    """Waits until nobody can call a component that was taken out."""
    others = [other.instance for other in container.lives if other is not live]
    return wait_drained(live, [*others, container], seconds, idle)


def _let_go(starter: Starter, live: Live) -> None:
    """An instance that was given is held by its specification and by `overrides` too."""
    live.spec.target = None
    for key in [key for key, value in starter.overrides.items() if value is live.instance]:
        del starter.overrides[key]


def _retire(starter: Starter, live: Live) -> None:
    """Leaves a component running; it is stopped with its place."""
    stepper, live.stepper = live.stepper, None
    if live.slot.retire(stepper):
        swaps_of(starter.container).retired.append(live)
    else:
        live.stepper = stepper
        take_down(starter, live)


def take_down(starter: Starter, live: Live) -> BaseException | None:
    """Stops a component that is not in its place; what its stop raised is its outcome."""
    failed: BaseException | None = None
    try:
        if live.spec.stop or live.generator is not None:
            run_step(starter, live, "stop")
    except Exception as error:  # noqa: BLE001 - what a stop raises is its outcome.
        failed = error
    live.instance = ABSENT
    live.stepper = live.injected = None
    # It is this outcome, and no failure of the shutdown that comes one day.
    starter.container.raised_in_stop.pop(live.spec.name, None)
    starter.container.forget(live)
    return failed
