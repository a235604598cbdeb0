"""Async components share one event loop: one that holds it costs itself, and none of the others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING

import pytest
from symphony import BootTimeoutError, UnhealthyError, boot, component

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.usefixtures("nothing_left"), pytest.mark.timeout(60)]


def statuses(system) -> dict[str, str]:
    document = json.loads(system.report.to_json())
    return {entry["name"]: entry["status"] for entry in document["components"]}


def holding(seconds: float) -> None:
    """Holds the thread, and swallows what would free it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(BaseException):
            time.sleep(0.01)


class Late:
    """Its start would be begun after those that hold the loop."""

    def __init__(self) -> None:
        self.starts = 0

    async def start(self) -> None:
        self.starts += 1
        await asyncio.sleep(0.01)
        self.thread_is_served = True


def test_an_optional_one_that_holds_the_loop_strands_no_other():
    @component(required=False, timeout=0.2)
    class First:
        async def start(self) -> None:
            holding(1)

    @component(required=False, timeout=0.2)
    class Second(First):
        pass

    class Third(Late):
        pass

    with boot(components=[First, Second, Late, Third]) as system:
        assert statuses(system)["First"] == "failed"
        assert statuses(system)["Second"] == "failed"
        assert system[Late].starts == system[Third].starts == 1
        assert system[Late].thread_is_served


def test_a_second_loop_is_left_behind_as_the_first_was():
    @component(required=False, timeout=0.2)
    class First:
        async def start(self) -> None:
            holding(1)

    @component(required=False, timeout=0.2)
    class Second:
        def __init__(self, last: Late) -> None:
            self.last = last

        async def start(self) -> None:
            holding(1)

    @component(required=False, timeout=0.2)
    class Third(Second):
        pass

    class Last(Late):
        def __init__(self, second: Second | None, third: Third | None) -> None:
            super().__init__()

    with boot(components=[First, Second, Third, Late, Last]) as system:
        assert [statuses(system)[name] for name in ("First", "Second", "Third")] == ["failed"] * 3
        assert system[Last].starts == 1


def test_who_was_never_begun_is_told_what_held_the_loop():
    class Holds:
        async def start(self) -> None:
            holding(1)

    @component(timeout=0.3)
    class Waits(Late):
        pass

    with pytest.raises(BootTimeoutError) as failed:
        boot(components=[Holds, Waits])
    assert "`Waits` did not start within 300 ms" in str(failed.value)
    assert "waits for the event loop, which is held at" in str(failed.value)
    assert f"{__file__}:" in str(failed.value)


def test_a_stop_does_not_take_the_turn_of_a_health_that_was_cut_short():
    """A component may have two steps under way: each is begun, or closed, and Python warns of none."""
    begun, turns = threading.Event(), []

    class Answer:
        def __init__(self) -> None:
            turns.append("asked")

        def __await__(self) -> Iterator[None]:
            turns.append("had its turn")
            yield

        def close(self) -> None:
            turns.append("closed")

    class Holder:
        async def health(self) -> None:
            begun.set()
            holding(0.2)

    class Waits:
        async def start(self) -> None:
            turns.clear()

        def health(self) -> Answer:
            return Answer()

        async def stop(self) -> None:
            turns.append("stopped")

    class Fails:
        def health(self) -> None:
            assert begun.wait(10)
            time.sleep(0.05)
            raise ValueError("on purpose")

    with pytest.raises(UnhealthyError):
        boot(components=[Holder, Waits, Fails])
    assert turns in (["asked", "had its turn", "stopped"], ["asked", "closed", "stopped"])
