"""Components that behave as they are told: slow, failing, hanging, large."""

from __future__ import annotations

import copy
import threading
import time
from typing import TYPE_CHECKING, Any

from symphony._components.mark import component
from symphony._core import checked_seconds
from symphony.exceptions import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

STEPS = ("init", "start", "health", "stop")


class MockFailure(Exception):  # noqa: N818 - it is what a mock does, not what went wrong.
    """What a mock raises where no exception was given."""


class _Behaviour:
    """What the objects of one mock do, and what was done with them."""

    def __init__(
        self,
        latency: dict[str, float],
        fail: dict[str, BaseException],
        failures: int | None,
        hang: frozenset[str],
        health: Any,
        memory: int,
    ) -> None:
        self.latency = latency
        self.fail = fail
        self.left = dict.fromkeys(fail, failures)
        self.hang = hang
        self.health = health
        self.memory = memory
        self.calls: list[str] = []
        self.released = threading.Event()
        self.note: Callable[[str], object] = self.calls.append

    def note_with(self, note: Callable[[str], object]) -> None:
        """Has each step told to this function, before it does anything."""
        self.note = note

    def run(self, step: str) -> None:
        """One step: noted first, then slow, then hanging, then failing."""
        self.note(step)
        seconds = self.latency.get(step, 0.0)
        if seconds:
            time.sleep(seconds)
        if step in self.hang:
            self.released.wait()
        left = self.left.get(step)
        if step in self.fail and left != 0:
            if left is not None:
                self.left[step] = left - 1
            # A copy: its traceback refers to the system, and the original lives as long as the
            # class.
            raise copy.copy(self.fail[step])


class _Mock:
    """The base of all mocks."""

    _behaviour: _Behaviour
    injected: dict[str, Any]
    held: bytearray | None

    def start(self) -> None:
        self._behaviour.run("start")

    def health(self) -> Any:
        self._behaviour.run("health")
        return self._behaviour.health

    def stop(self) -> None:
        self._behaviour.run("stop")
        self.held = None


def MockComponent(  # noqa: N802 - it makes a class.
    name: str = "Mock",
    *,
    needs: Iterable[Any] = (),
    provides: Any = None,
    latency: float | Mapping[str, float] = 0.0,
    fail: str | Mapping[str, BaseException] = (),  # type: ignore[assignment]
    failures: int | None = None,
    hang: str | Iterable[str] = (),
    health: Any = None,
    memory: int = 0,
    phase: str = "conductor",
    timeout: float | None = None,
    required: bool = True,
    main_thread: bool = False,
) -> Any:
    """Makes a component class that behaves as told; its steps are `init`, `start`, `health` and `stop`.

    Args:
        name: The class's name.
        needs: What is injected into it: `instance.injected` has each under `need_0`, `need_1`, ….
        provides: A type, or a tuple of types, that it provides beside itself.
        latency: Seconds that `start` takes, or the seconds of each step.
        fail: The step that raises `MockFailure`, or the exception of each step; a copy of it is raised.
        failures: How many calls of a failing step fail; the later ones do well. None: all of them.
        hang: The step, or the steps, that do not come back before `release()`.
        health: What `health()` returns.
        memory: Bytes that each of its objects holds from its construction to the end of its stop.
        phase: As for `component()`, like all that follow.
        timeout: Its own deadline in seconds.
        required: Whether its failure fails the boot.
        main_thread: Whether its steps run on the thread that boots.

    Returns:
        A class. `.calls` is the list of the steps that its objects ran, in order; `.count(step)` says how often one was
        called; `.release()` ends every hang.

    Raises:
        InvalidValueError: There is no such step, or a number is negative.
    """
    slow = dict(latency) if not isinstance(latency, (int, float)) else {"start": float(latency)}
    failing = (
        {fail: MockFailure(f"`{name}` fails in `{fail}`")} if isinstance(fail, str) else dict(fail)
    )
    hanging = frozenset((hang,) if isinstance(hang, str) else hang)
    for step in (*slow, *failing, *hanging):
        if step not in STEPS:
            raise InvalidValueError(
                f"there is no step `{step}`", hints=[f"the steps are {', '.join(STEPS)}"]
            )
    slow = {step: checked_seconds("latency", seconds) for step, seconds in slow.items()}
    for word, number in (("failures", failures or 0), ("memory", memory)):
        if number < 0:
            raise InvalidValueError(f"`{word}` cannot be {number}")
    exceptions: dict[str, BaseException] = {**failing}
    behaviour = _Behaviour(slow, exceptions, failures, hanging, health, memory)
    body = {
        "__module__": __name__,
        "__qualname__": name,
        "__doc__": "A mock.",
        "__init__": _constructor(list(needs), behaviour),
        "_behaviour": behaviour,
        "calls": behaviour.calls,
        "note_with": staticmethod(behaviour.note_with),
        "count": staticmethod(behaviour.calls.count),
        "release": staticmethod(behaviour.released.set),
    }
    return component(
        phase=phase, provides=provides, timeout=timeout, required=required, main_thread=main_thread
    )(type(name, (_Mock,), body))


def _constructor(needs: list[Any], behaviour: _Behaviour) -> Any:
    """A constructor whose parameters are annotated with what the mock needs."""
    names = [f"need_{index}" for index in range(len(needs))]
    given = ", ".join(f"{name!r}: {name}" for name in names)
    text = f"def __init__(self, {', '.join(names)}):\n    build(self, {{{given}}})\n"

    def build(self: _Mock, injected: dict[str, Any]) -> None:
        self.injected = injected
        # Written to, so that the pages are there and not only promised.
        self.held = bytearray(b"\x01") * behaviour.memory if behaviour.memory else None
        behaviour.run("init")

    scope: dict[str, Any] = {"build": build}
    exec(text, scope)  # noqa: S102 - the text is made here, of names that were checked.
    constructor = scope["__init__"]
    constructor.__annotations__ = dict(zip(names, needs))
    return constructor
