"""What the fixtures of the pytest plugin do; `pytest_symphony`, which pytest loads by itself, hands them out."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from symphony._boot.starter import Starter
from symphony.testing._faults import Fault, FaultPlan
from symphony.testing._leaks import Leaks, no_leaks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from symphony import System


class UnfiredFaultError(AssertionError):
    """A fault was planned and never happened: the test tests something else than it says."""


def leak_free() -> Iterator[Leaks]:
    """Holds what comes between to leaving nothing behind."""
    with no_leaks() as before:
        yield before


def booted() -> Iterator[Callable[..., System[Any]]]:
    """Hands out a `boot()` whose systems are shut down in the end."""
    with contextlib.ExitStack() as systems:

        def start(
            conductor: Any = None, *, faults: Any = None, components: Any = (), **named: Any
        ) -> System[Any]:
            prepare = named.pop("prepare", None)
            starter = Starter(
                conductor,
                namespace=sys._getframe(1).f_locals,
                config=named.pop("config", None),
                **named,
            )
            plan: FaultPlan | None = None
            if faults is not None:
                plan = faults if isinstance(faults, FaultPlan) else FaultPlan(*faults)
                plan.inject_into(starter)
                systems.callback(plan.discard)
            system = starter.boot(components, prepare)
            systems.callback(system.shutdown)
            if plan is not None:
                # Before the shutdown, which so does not wait for what was made to hang.
                systems.callback(plan.release)
            return system

        yield start


def fault_plan() -> Iterator[Callable[..., FaultPlan]]:
    """Hands out a `FaultPlan` whose hangs end in the end, and of which each fault must have happened.

    Raises:
        UnfiredFaultError: One did not.
    """
    plans: list[FaultPlan] = []

    def make(*faults: Fault) -> FaultPlan:
        plans.append(FaultPlan(*faults))
        return plans[-1]

    yield make
    for plan in plans:
        plan.discard()
    unfired = [str(fault) for plan in plans for fault in plan.faults if fault not in plan.fired]
    plans.clear()
    if unfired:
        raise UnfiredFaultError("planned, and never happened:\n  " + "\n  ".join(unfired))
