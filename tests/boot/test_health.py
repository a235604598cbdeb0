"""`system.health()`: everyone side by side, each with its deadline, states and reasons."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Optional

import numpy as np
import pytest
from symphony import (
    BootError,
    BootTimeoutError,
    Health,
    InvalidValueError,
    StoppedError,
    UnhealthyError,
    WrongThreadError,
    boot,
    component,
)
from workshop import native_threads, wait_until

pytestmark = pytest.mark.usefixtures("nothing_left")


def saying(name: str, *answers, **settings):
    """A component whose `health()` gives these answers, one after the other, the last for ever."""
    left = list(answers)

    def health(self):
        answer = left.pop(0) if len(left) > 1 else left[0]
        answer = answer() if callable(answer) else answer
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return component(**settings)(type(name, (), {"health": health}))


def test_states_and_reasons_arrive():
    kinds = [
        saying("Silent", None),
        saying("Well", True),
        saying("Half", None, Health.degraded("half the disks")),
        saying("Ill", None, Health.unhealthy("no disk"), required=False),
        saying("Refuses", None, False, required=False),
        saying("Breaks", None, OSError("no route"), required=False),
    ]
    with boot(components=kinds) as system:
        health = system.health()
    assert {name: health.components[name] for name in ("Silent", "Well")} == {
        "Silent": Health(),
        "Well": Health(),
    }
    assert health.components["Half"] == Health.degraded("half the disks")
    assert health.components["Ill"] == Health.unhealthy("no disk")
    assert health.components["Refuses"].reason == "its `health()` returned False"
    assert health.components["Breaks"] == Health.unhealthy("OSError: no route")
    assert health.state == "degraded"
    assert health.reason == "`Half`: half the disks"
    lines = str(health).splitlines()
    assert lines[0] == "degraded"
    assert "  `Ill` is unhealthy: no disk" in lines
    assert len(lines) == 5


def test_a_required_one_that_is_ill_makes_the_system_unhealthy():
    with boot(components=[saying("Ill", None, False), saying("Half", Health.degraded("x"))]) as it:
        health = it.health()
        assert (health.state, health.reason) == (
            "unhealthy",
            "`Ill`: its `health()` returned False",
        )
        # Another question, another answer: nothing is remembered.
    with boot(components=[saying("Ill", None, False, None)]) as it:
        assert it.health().state == "unhealthy"
        assert it.health().state == "healthy"
        assert it.health().reason is None


def test_everything_of_the_core_answers_too():
    with boot() as system:
        health = system.health()
    assert health.state == "healthy"
    assert {"ipc-bus", "artifact-store", "orchestra-kit", "state"} <= set(health.components)


def test_one_that_hangs_costs_its_deadline_and_the_others_answer():
    free = threading.Event()
    answered = []

    def hang() -> None:
        free.wait(30)

    def answer() -> None:
        answered.append(time.monotonic())

    kinds = [
        saying("Hangs", None, hang, required=False),
        *(saying(f"Well{number}", None, answer) for number in range(3)),
    ]
    with boot(components=kinds) as system:
        began = time.monotonic()
        health = system.health(timeout=0.2)
        took = time.monotonic() - began
        assert 0.2 <= took < 4 * 0.2
        # They were asked side by side, not behind it.
        assert len(answered) == 3
        assert all(moment - began < 0.2 for moment in answered)
        assert health.state == "degraded"
        told = health.components["Hangs"]
        assert told.state == "unhealthy"
        first, *stack = told.reason.splitlines()
        assert first == "gave no answer within 200 ms"
        assert any("test_health.py" in line and "in hang" in line for line in stack), stack
        assert all(health.components[f"Well{number}"] == Health() for number in range(3))
        free.set()


def test_one_that_still_hangs_is_not_asked_again_and_costs_no_further_thread():
    free = threading.Event()
    entered = []

    def hang() -> None:
        entered.append(1)
        free.wait(30)

    kind = saying("Hangs", None, hang, required=False)
    with boot(components=[kind]) as system:
        system.health(timeout=0.05)
        before = native_threads()
        for _ in range(5):
            began = time.monotonic()
            told = system.health(timeout=20).components["Hangs"]
            assert time.monotonic() - began < 4 * 0.5
            assert told.state == "unhealthy"
            assert "has not come back" in told.reason
        assert len(entered) == 1
        assert wait_until(lambda: native_threads() <= before)
        free.set()
        # It comes back, and is asked again like everybody.
        assert wait_until(lambda: system.health().components["Hangs"].state == "healthy")
        assert len(entered) > 1


def test_an_async_health_that_hangs_is_cancelled():
    cancelled = []

    class Loops:
        asked = 0

        async def health(self) -> None:
            self.asked += 1
            if self.asked == 2:
                try:
                    await asyncio.sleep(30)
                finally:
                    cancelled.append(True)

    with boot(components=[Loops]) as system:
        health = system.health(timeout=0.1)
        assert health.state == "unhealthy"
        assert "in health" in health.components["Loops"].reason
        assert wait_until(lambda: cancelled)
        assert system.health().state == "healthy"


def test_a_main_thread_health_that_hangs_is_interrupted():
    class Main:
        asked = 0

        def health(self) -> None:
            self.asked += 1
            if self.asked == 2:
                time.sleep(30)

    kind = component(main_thread=True)(Main)
    with boot(components=[kind]) as system:
        began = time.monotonic()
        health = system.health(timeout=0.1)
        assert time.monotonic() - began < 4 * (0.1 + 0.25)
        assert health.components["Main"].state == "unhealthy"
        assert system.health().state == "healthy"


def test_main_thread_components_are_asked_on_their_thread_alone():
    kind = saying("Main", None, main_thread=True)
    caught = []

    with boot(components=[kind]) as system:

        def ask() -> None:
            try:
                system.health()
            except WrongThreadError as error:
                caught.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(20)
        (error,) = caught
        assert error.code == "wrong-thread"
        assert "`Main`" in str(error)
        assert error.hints == ("ask for the health on the thread that called `boot()`",)
        assert system.health().state == "healthy"
        caught.clear()
        del error


def test_any_thread_may_ask_where_nobody_minds():
    states = []
    with boot(
        components=[saying("Well", None), component(main_thread=True)(type("M", (), {}))]
    ) as it:
        threads = [
            threading.Thread(target=lambda: states.append(it.health().state)) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert states == ["healthy"] * 4


def test_what_the_boot_went_on_without_shows():
    @component(required=False)
    class Cache:
        def start(self) -> None:
            raise OSError("no room")

    @component(required=False)
    class Warm:
        def __init__(self, cache: Cache) -> None: ...

    class Reader:
        def __init__(self, cache: Optional[Cache]) -> None: ...  # noqa: UP045

    with boot(components=[Cache, Warm, Reader]) as system:
        health = system.health()
    assert health.state == "degraded"
    assert health.components["Cache"] == Health.unhealthy("did not start: OSError: no room")
    assert health.components["Warm"] == Health.unhealthy(
        "did not start: it needs `Cache`, which did not start"
    )
    assert health.components["Reader"] == Health()


def test_the_gate_tells_whom_it_held_back_and_why():
    order = []

    @component(phase="pit")
    class Disk:
        def health(self) -> Health:
            order.append("asked")
            return Health.unhealthy("97% full")

        def stop(self) -> None:
            order.append("stopped")

    class Later:
        def __init__(self) -> None:
            order.append("later")

    with pytest.raises(BootError) as caught:
        boot(components=[Disk, Later])
    error = caught.value
    assert (error.code, error.phase, error.component) == ("unhealthy", "pit", "Disk")
    assert error.message == "`Disk` is not healthy after phase `pit`"
    assert str(error.__cause__) == "97% full"
    assert str(error) == f"{error.message}: 97% full"
    assert order == ["asked", "stopped"]
    entry = next(
        one for one in json.loads(error.report.to_json())["components"] if one["name"] == "Disk"
    )
    assert (entry["status"], entry["reason"]) == ("failed", "97% full")


def test_a_gate_waits_for_its_deadline_and_no_longer():
    free = threading.Event()

    @component(timeout=0.1)
    class Hangs:
        def health(self) -> None:
            free.wait(30)

    events = []
    began = time.monotonic()
    with pytest.raises(BootError) as caught:
        boot(components=[Hangs], observer=events.append)
    assert time.monotonic() - began < 4 * (0.1 + 0.25 + 0.5)
    free.set()
    assert not isinstance(caught.value, BootTimeoutError)
    assert caught.value.code == "unhealthy"
    why = str(caught.value.__cause__)
    assert why.startswith("it did not say how it is within 100 ms")
    assert "test_health.py" in why
    (gate,) = [
        event for event in events if event.name == "gate-finished" and event.phase == "conductor"
    ]
    assert gate.status == "failed"
    told = [
        event for event in events if event.name == "health-finished" and event.component == "Hangs"
    ]
    assert "did not say" in told[0].reason


def test_a_timeout_that_is_none_is_refused_and_so_is_a_system_that_is_down():
    with boot() as system:
        with pytest.raises(InvalidValueError, match="-1"):
            system.health(timeout=-1)
    with pytest.raises(StoppedError):
        system.health()


class Lying:
    """As `numpy.bool_` is: false, and not `False`."""

    def __bool__(self):
        return False


@pytest.mark.parametrize(
    "said", [0, 1, "", "down", Lying(), {"status": "down"}, (), ("healthy",), ("fine", "x"), [True]]
)
def test_what_is_no_answer_is_unhealthy_with_its_type_told(said):
    with boot(components=[saying("Odd", None, said)]) as it:
        told = it.health().components["Odd"]
        assert told.state == "unhealthy"
        assert f"a `{type(said).__name__}`" in told.reason


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ((True, None), Health()),
        ((False, "no disk"), Health.unhealthy("no disk")),
        (("degraded", "half"), Health.degraded("half")),
        (np.bool_(True), Health()),
    ],
)
def test_a_tuple_and_a_truth_value_of_numpy_say_how_a_component_is(said, right):
    with boot(components=[saying("Told", None, said)]) as it:
        assert it.health().components["Told"] == right


def test_numpys_false_is_unhealthy():
    with boot(components=[saying("Told", None, np.bool_(False))]) as it:
        told = it.health().components["Told"]
        assert told.state == "unhealthy"
        # It is an answer: what would be one is not explained.
        assert "says how it is" not in told.reason


def test_what_start_and_stop_return_says_nothing():
    class Told:
        state = "unhealthy"

        def start(self):
            return Told()

        async def stop(self):
            return False

    class Late:
        async def start(self):
            return False

        def stop(self):
            return Told()

    with boot(components=[Told, Late]) as it:
        assert it.health().state == "healthy"


class MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize(
    ("raised", "text"),
    [(ValueError("disk full"), "ValueError: disk full"), (MuteError(), "MuteError")],
    ids=["text", "no text"],
)
def test_what_a_health_raised_is_in_the_text_of_the_error(raised, text):
    class Disk:
        def health(self) -> None:
            raise raised

    with pytest.raises(UnhealthyError) as caught:
        boot(components=[Disk])
    assert str(caught.value) == f"`Disk` is not healthy after phase `conductor`: {text}"
