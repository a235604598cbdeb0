"""`system.experiment()`: several objects in one component's place, each with a share.

While it lasts a router stands in the injection sites; `promote` and `stop` put the real object
back, so that nothing of it is left on the call path. Invariant: a call goes to one variant, is
counted there, and no variant is stopped while a call is inside it.
"""

from __future__ import annotations

import _thread
import time
from hashlib import blake2b
from random import Random
from types import CoroutineType

from symphony._components.annotations import text_of
from symphony._core import CallCounts, ExperimentReport, SwapReport, is_shared, shares_of
from symphony._swap import swap as swapping
from symphony._swap.router import make_router
from symphony._swap.trial import Trial
from symphony.exceptions import InvalidValueError, StoppedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType
    from typing import Any

    from symphony._boot.container import Live
    from symphony._boot.starter import Starter
    from symphony._core import CallBegun


class Variant:
    """One object that is tried out, and the calls that it had."""

    __slots__ = ("counts", "live", "name", "share")

    def __init__(self, name: str, live: Live, share: float) -> None:
        """No call was made yet."""
        self.name = name
        self.live = live
        self.share = share
        self.counts = CallCounts()


class Experiment(Trial):
    """A running experiment: leaving it as a context manager stops it.

    Attributes:
        component: The component's name.
    """

    def __init__(
        self,
        starter: Starter,
        kind: Any,
        variants: list[Variant],
        standing: Live,
        key: Any,
        seed: int,
    ) -> None:
        """Called by `system.experiment()`."""
        super().__init__(starter, standing.spec.name, [one.name for one in variants])
        self._kind = kind
        self._variants = variants
        self._standing = standing
        self._key = key
        self._seed = seed.to_bytes(16, "big", signed=True)
        self._random = Random(seed)  # noqa: S311 - it draws variants, not secrets.
        self._lock = _thread.allocate_lock()
        self._over = False
        self.router = make_router(self, type(standing.instance))

    def report(self) -> ExperimentReport:
        """What the variants did so far."""
        counts = [(one.name, one.share, one.counts) for one in self._variants]
        return ExperimentReport(self.component, counts)

    def _end(self, name: str | None, drain: float) -> SwapReport:
        starter, standing = self._starter, self._standing
        winner = next((one.live for one in self._variants if one.name == name), standing)
        container = starter.container
        swaps = swapping.swaps_of(container)
        swapping.assert_thread(starter, *(one.live.spec for one in self._variants))
        losers = [one for one in self._variants if one.live is not winner]
        if winner is not standing and not any(one.live is standing for one in losers):
            losers.append(Variant("", standing, 0.0))
        with swaps.lock:
            if container.stopped:
                raise StoppedError("the system was shut down")
            if standing not in swaps.experiments:
                raise InvalidValueError(f"the experiment on `{self.component}` is over")
            others = [one.live.stepper for one in self._variants if one.live is not standing]
            if not standing.slot.reclaim(others):
                raise StoppedError("the system is being shut down")
            del others
            sites = swapping.find_sites(starter, standing, self.router, None)
            if winner is not standing:
                swapping.put_in(container, standing, winner)
            sites.put(self.router, winner.instance)
            with self._lock:
                self._over = True
            del swaps.experiments[standing]
        names = [type(live.instance).__qualname__ for live in (standing, winner)]
        report = self._outcome = SwapReport(
            self.component, names[0], names[1], sites.rewritten, sites.handles
        )
        began = time.monotonic()
        for one in losers:
            left = max(0.0, drain - (time.monotonic() - began))
            swapping.take_out(
                starter, one.live, left, report, text_of(self._kind), one.counts.is_idle
            )
        report.seconds = time.monotonic() - began
        return report

    def _choose(self, args: tuple[Any, ...], named: dict[str, Any]) -> Variant:
        """The variant of a call: by its key, or by chance."""
        if self._key is None:
            point = self._random.random()
        else:
            text = repr(self._key(*args, **named)).encode("utf-8", "surrogatepass")
            point = (
                int.from_bytes(blake2b(text, digest_size=7, key=self._seed).digest(), "big")
                / 256**7
            )
        for one in self._variants:
            point -= one.share
            if point < 0:
                return one
        return self._variants[-1]

    def call(self, name: str, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Routes one call; after the experiment it goes to what stands in the component's place."""
        chosen: Variant | None = None
        begun: Any = None
        if not self._over:
            chosen = self._choose(args, named)
            with self._lock:
                if self._over:
                    chosen = None
                else:
                    begun = chosen.counts.begun()
        if chosen is None:
            return getattr(self.current(), name)(*args, **named)
        try:
            result = getattr(chosen.live.instance, name)(*args, **named)
        except BaseException:
            chosen.counts.ended(begun, failed=True)
            raise
        if isinstance(result, CoroutineType):
            return _awaited(chosen, begun, result)
        if hasattr(type(result), "add_done_callback"):
            # A task or a future stays what it is.
            counts = chosen.counts

            def done(future: Any) -> None:
                counts.ended(begun, failed=_has_failed(future))

            result.add_done_callback(done)
            return result
        chosen.counts.ended(begun, failed=False)
        return result

    def current(self) -> Any:
        """What stands in the component's place."""
        if not self._over:
            return self._standing.instance
        return self._starter.container.get(self._kind)


def _has_failed(future: Any) -> bool:
    """Whether a future ended with an exception.

    Never by `exception()`: asyncio would take it for told, and tell nobody of a task that failed and was forgotten.
    """
    return future.cancelled() or getattr(future, "_exception", None) is not None


async def _awaited(variant: Variant, begun: CallBegun, result: Any) -> Any:
    """A call of an async method ends when it was awaited."""
    failed = True
    try:
        value = await result
        failed = False
    finally:
        variant.counts.ended(begun, failed)
    return value


def begin(
    starter: Starter,
    kind: Any,
    variants: Mapping[str, Any],
    split: Mapping[str, float] | None,
    key: Callable[..., object] | None,
    seed: int,
    caller: FrameType,
) -> Experiment:
    """Builds the variants and puts the router into every injection site."""
    shares = shares_of(variants, split)
    container = starter.container
    standing = swapping.standing(starter, kind)
    swapping.refuse_overridden(container, standing)
    if standing.spec.kind == "member":
        raise InvalidValueError(
            f"an experiment on Pit member `{standing.spec.name}` would split what it keeps",
            hints=["swap it, or try out a component of yours that uses it"],
        )
    if is_shared(standing.instance):
        raise InvalidValueError(f"`{text_of(kind)}` is a plain value, which has no calls to share")
    built: list[Variant] = []
    try:
        for name, target in variants.items():
            same = target is standing.instance or (
                isinstance(target, type) and target is standing.spec.target
            )
            if same and not any(one.live is standing for one in built):
                live = standing
            else:
                live = swapping.bring_up(starter, standing, kind, target, caller)
                container.bind_late(live)
            built.append(Variant(name, live, shares[name]))
        experiment = Experiment(starter, kind, built, standing, key, seed)
        swaps = swapping.swaps_of(container)
        with swaps.lock:
            if swapping.standing(starter, kind) is not standing:
                raise InvalidValueError(f"`{standing.spec.name}` was swapped meanwhile")
            _put_router(
                starter,
                experiment,
                standing,
                [one.live for one in built if one.live is not standing],
            )
    except BaseException:
        for one in built:
            if one.live is not standing:
                swapping.take_down(starter, one.live)
        raise
    return experiment


def _put_router(
    starter: Starter, experiment: Experiment, standing: Live, others: list[Live]
) -> None:
    container = starter.container
    left: list[Live] = []
    try:
        sites = swapping.find_sites(starter, standing, standing.instance, None)
        for live in others:
            # It is stopped with the place, should the system be shut down before the experiment is.
            if not live.slot.retire(live.stepper):
                raise StoppedError("the system is being shut down")
            left.append(live)
        sites.put(standing.instance, experiment.router)
    except BaseException:
        for live in left:
            live.slot.reclaim([live.stepper])
        raise
    swapping.swaps_of(container).experiments[standing] = experiment
