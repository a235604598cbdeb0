"""Starts that are declared transient: tried again with growing pauses, inside the component's deadline."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Optional

import pytest
from symphony import (
    BootError,
    BootTimeoutError,
    Conductor,
    OrchestraKit,
    TransientError,
    boot,
    component,
)

pytestmark = pytest.mark.usefixtures("nothing_left")


class BusyError(OSError):
    """A library's own error, declared transient by its attribute."""

    transient = True


def entry_of(report, name: str) -> dict:
    entries = json.loads(report.to_json())["components"]
    return next(entry for entry in entries if entry["name"] == name)


def flaky(error, failures: int, *, step: str = "start", stopped=None, **settings):
    """A component whose first starts fail; with the moments at which they were tried."""
    tries: list[float] = []

    def attempt() -> None:
        tries.append(time.monotonic())
        if len(tries) <= failures:
            raise error

    @component(**settings)
    class Flaky:
        def __init__(self) -> None:
            if step == "init":
                attempt()

        def start(self) -> None:
            if step == "start":
                attempt()

        def stop(self) -> None:
            if stopped is not None:
                stopped.append("Flaky")

    return Flaky, tries


@pytest.mark.parametrize("step", ["init", "start"])
@pytest.mark.parametrize("error", [TransientError("not yet"), BusyError("not yet")])
def test_it_is_tried_again_after_pauses_that_double(error, step):
    kind, tries = flaky(error, 3, step=step)
    events = []
    with boot(components=[kind], observer=events.append) as system:
        assert type(system[kind]) is kind
        pauses = [later - earlier for earlier, later in zip(tries, tries[1:])]
        assert len(tries) == 4
        for pause, least in zip(pauses, (0.05, 0.1, 0.2)):
            assert pause >= least
        entry = entry_of(system.report, "Flaky")
        assert (entry["status"], entry["attempts"]) == ("ready", 4)
        assert entry["seconds"] >= 0.35
        assert "tried 4 times" in str(system.report)
    retries = [event for event in events if event.name == "component-retried"]
    assert [event.component for event in retries] == ["Flaky"] * 3
    assert all("not yet" in event.reason for event in retries)
    assert [f"(attempt {number})" in str(event) for number, event in enumerate(retries, 2)] == [
        True
    ] * 3
    assert "in 200 ms" in str(retries[2]), str(retries[2])
    # The pair of the start is one pair, whatever stands between.
    names = [event.name for event in events if event.component == "Flaky"]
    assert names.count("component-started") == names.count("component-finished") == 1


def test_an_error_that_says_nothing_is_not_tried_again():
    kind, tries = flaky(OSError("no disk"), 1)
    with pytest.raises(BootError) as caught:
        boot(components=[kind])
    assert len(tries) == 1
    assert caught.value.message == "`Flaky` failed to start in phase `conductor`"
    assert "attempts" not in entry_of(caught.value.report, "Flaky")


def test_false_is_no_declaration():
    class FinalError(TransientError):
        transient = False

    kind, tries = flaky(FinalError("for good"), 1)
    with pytest.raises(BootError):
        boot(components=[kind])
    assert len(tries) == 1


def test_after_the_last_attempt_the_boot_is_rolled_back_with_the_last_failure():
    stopped: list[str] = []

    class Base:
        def stop(self) -> None:
            stopped.append("Base")

    errors = [TransientError(f"number {number}") for number in range(1, 9)]
    left = iter(errors)

    class Flaky:
        def __init__(self, base: Base) -> None: ...

        def start(self) -> None:
            raise next(left)

        def stop(self) -> None:
            stopped.append("Flaky")

    with pytest.raises(BootError) as caught:
        boot(components=[Base, Flaky])
    error = caught.value
    assert error.__cause__ is errors[3]
    assert error.code == "start-failed"
    assert error.message == "`Flaky` failed to start in phase `conductor`, tried 4 times"
    assert stopped == ["Base"]
    entry = entry_of(error.report, "Flaky")
    assert (entry["status"], entry["attempts"]) == ("failed", 4)
    assert entry["reason"].endswith("number 4, tried 4 times")


def test_no_attempt_begins_that_the_deadline_has_no_room_for():
    kind, tries = flaky(TransientError("not yet"), 99, timeout=0.12)
    with pytest.raises(BootError) as caught:
        boot(components=[kind])
    # 50 ms after the first there is room, another 100 ms later there is none: it failed, and did not hang.
    assert len(tries) == 2
    assert caught.value.code == "start-failed"
    assert caught.value.message.endswith("tried 2 times")


def test_the_deadline_holds_for_all_attempts_together():
    tries = []

    @component(timeout=0.3)
    class Slow:
        def start(self) -> None:
            tries.append(time.monotonic())
            if len(tries) == 1:
                raise TransientError("not yet")
            time.sleep(2)

    began = time.monotonic()
    with pytest.raises(BootTimeoutError, match=r"`Slow` did not start within 300"):
        boot(components=[Slow])
    took = time.monotonic() - began
    assert len(tries) == 2
    assert took < 4 * (0.3 + 0.25)
    time.sleep(max(0.0, tries[1] + 2.1 - time.monotonic()))


def test_an_optional_one_degrades_the_system_after_its_last_attempt():
    kind, tries = flaky(TransientError("not yet"), 99, required=False)

    class Reader:
        def __init__(self, cache: Optional[kind]) -> None:  # noqa: UP045
            self.cache = cache

    with boot(components=[kind, Reader]) as system:
        assert len(tries) == 4
        assert system[Reader].cache is None
        entry = entry_of(system.report, "Flaky")
        assert (entry["status"], entry["attempts"]) == ("failed", 4)
        health = system.health()
        assert health.state == "degraded"
        reason = health.components["Flaky"].reason
        assert reason == "did not start: TransientError: not yet, tried 4 times"


def test_a_neighbour_starts_while_one_rests():
    kind, tries = flaky(TransientError("not yet"), 3)
    seen = []

    class Neighbour:
        def start(self) -> None:
            seen.append(len(tries))

    with boot(components=[kind, Neighbour]):
        assert seen[0] < 4


def test_async_starts_generators_and_the_conductors_factory_are_tried_again_too():
    tries = {"async": 0, "generator": 0, "conductor": 0}

    def attempt(name: str) -> None:
        tries[name] += 1
        if tries[name] < 2:
            raise BusyError(name)

    class Loops:
        async def start(self) -> None:
            attempt("async")

    class Session: ...

    def session() -> Iterator[Session]:
        attempt("generator")
        yield Session()
        tries["generator"] += 10

    def make(kit: OrchestraKit) -> Conductor:
        attempt("conductor")
        return Conductor.from_components(kit)

    with boot(make, components=[Loops, session]) as system:
        assert isinstance(system[Session], Session)
    assert tries == {"async": 2, "generator": 12, "conductor": 2}


def test_a_stop_is_never_tried_again_and_keeps_its_own_code():
    stops = []

    class Sticks:
        def stop(self) -> None:
            stops.append(1)
            raise TransientError("still busy")

    class Fails:
        def __init__(self, sticks: Sticks) -> None:
            raise OSError("no disk")

    with pytest.raises(BootError) as caught:
        boot(components=[Sticks, Fails])
    (rollback,) = caught.value.rollback_errors
    assert rollback.code == "stop-failed"
    assert len(stops) == 1
