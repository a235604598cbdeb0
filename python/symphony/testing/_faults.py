"""Faults on purpose: which step of which component goes wrong, and how.

They act in the core's engine, so they reach every component by its name: Symphony's own, extensions, yours, the
Conductor. Invariant: a fault that can never happen is refused, for it would test nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from symphony import _core
from symphony._boot.starter import Starter
from symphony._core import checked_seconds
from symphony.exceptions import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from symphony import System
    from symphony._core import BootEvent
    from symphony.config import StrPath, SystemConfig

STEPS = ("start", "health", "stop")
KINDS = ("fail", "hang", "panic", "slow")


class _Fields(NamedTuple):
    component: str
    step: str
    kind: str = "fail"
    call: int = 1
    seconds: float = 0.0
    message: str | None = None


class Fault(_Fields):
    """One fault: a step of a component that goes wrong in one of its calls.

    Attributes:
        component: The component's name, as the report has it.
        step: `"start"`, `"health"` or `"stop"`.
        kind: `"fail"`, `"hang"`, `"panic"`: the component's own step is not run. `"slow"`: it begins later.
        call: Which call of that step, counted from 1.
        seconds: How much later, for `"slow"`.
        message: What a failure or a panic says.
    """

    __slots__ = ()

    def __new__(  # noqa: PYI034 - `Self` is not in `typing` before 3.11.
        cls,
        component: str,
        step: str,
        kind: str = "fail",
        *,
        call: int = 1,
        seconds: float = 0.0,
        message: str | None = None,
    ) -> Fault:
        """Plans the fault.

        Raises:
            InvalidValueError: There is no such step, kind, call or time.
        """
        for what, value, known in (("step", step, STEPS), ("kind", kind, KINDS)):
            if value not in known:
                raise InvalidValueError(
                    f"there is no {what} `{value}`",
                    hints=[f"it is one of {', '.join(known)}"],
                )
        if call < 1:
            raise InvalidValueError(f"there is no call {call}", hints=["calls are counted from 1"])
        seconds = checked_seconds("seconds", seconds)
        return super().__new__(cls, component, step, kind, call, seconds, message)

    def __str__(self) -> str:
        """What goes wrong, in words."""
        call = f" (call {self.call})" if self.call > 1 else ""
        return f"`{self.component}`: {self.kind} in {self.step}{call}"


class FaultPlan:
    """Faults for one boot and the life of its system.

        plan = FaultPlan(Fault("artifact-store", "start", "hang"), Fault("Index", "health", call=2))
        with pytest.raises(BootTimeoutError):
            plan.boot(components=[Index], timeout=1.0)

    Keep it as long as the system lives: once it is gone nothing hangs any more.

    Attributes:
        faults: The faults that were planned.
    """

    def __init__(self, *faults: Fault) -> None:
        """Plans them; where two name one call, the first happens."""
        self.faults = faults
        self._core = _core.FaultPlan([_told(fault) for fault in faults])

    @property
    def fired(self) -> list[Fault]:
        """The faults that happened, in order."""
        return [self.faults[place] for place in self._core.fired]

    def release(self) -> None:
        """Ends every hang and every wait, now and later: the components' own steps begin, as if they had been slow."""
        self._core.release()

    def discard(self) -> None:
        """Ends every hang and every wait, now and later; the components' own steps never begin.

        For the end of a test, when the boot is over: a step that began then could leave something behind.
        """
        self._core.discard()

    def boot(
        self,
        conductor: str | Callable[..., Any] | None = None,
        *,
        config: SystemConfig | StrPath | None = None,
        components: Iterable[Any] = (),
        overrides: Mapping[Any, Any] | None = None,
        prepare: Callable[[], object] | None = None,
        observer: Callable[[BootEvent], object] | None = None,
        timeout: float | None = None,
        on_hang: str = "report",
    ) -> System[Any]:
        """Boots as `symphony.boot()` does, with these faults.

        Args:
            conductor: As for `boot()`, like all that follow.
            config: Path of a `Symphony.toml`, or a `SystemConfig`.
            components: Classes, factories, modules or `"package.module"`.
            overrides: What takes the place of a type.
            prepare: Called on this thread before the Conductor's import.
            observer: Called with each `BootEvent`.
            timeout: Seconds for the whole boot.
            on_hang: What to do when this thread itself cannot be freed.

        Returns:
            The running system.

        Raises:
            InvalidValueError: A fault can never happen: nobody registered its component.
            PlanError: As for `boot()`.
            BootError: As for `boot()`.
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
        self.inject_into(starter)
        return starter.boot(components, prepare)

    def inject_into(self, starter: Starter) -> None:
        """Has the faults happen in a boot that has not begun."""
        starter.core.inject(self._core)


def _told(fault: Fault) -> tuple[str, str, str, int, float, str]:
    """The fields as the core takes them."""
    message = fault.message
    if message is None:
        message = f"a planned fault of `{fault.component}` in its {fault.step}"
    return (fault.component, fault.step, fault.kind, fault.call, fault.seconds, message)
