"""`async with boot(…)`: the system stops while the event loop goes on."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from symphony import StoppedError, boot, component


class Ticks:
    """Counts the turns of an event loop."""

    def __init__(self) -> None:
        self.count = 0

    async def run(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0.01)


def components(stops: list[tuple[str, bool]], pause: float):
    """One whose stop takes long on a thread of its own, and one whose stop belongs to the thread that booted."""

    def here() -> bool:
        return threading.current_thread() is threading.main_thread()

    class Slow:
        def stop(self) -> None:
            time.sleep(pause)
            stops.append(("slow", here()))

    @component(main_thread=True, phase="conductor")
    class Own:
        def stop(self) -> None:
            stops.append(("own", here()))

    return [Slow, Own]


@pytest.mark.timeout(60)
def test_the_loop_goes_on_while_the_system_stops():
    stops: list[tuple[str, bool]] = []

    async def work():
        ticks = Ticks()
        ticking = asyncio.ensure_future(ticks.run())
        async with boot(components=components(stops, 0.3)) as system:
            subscription = system.bus.topic("x").subscribe()

            async def listen():
                return [value async for value in subscription]

            listening = asyncio.ensure_future(listen())
            await asyncio.sleep(0)
            system.bus.topic("x").publish(1)
            await asyncio.sleep(0.05)
            before = ticks.count
        assert ticks.count > before + 5
        ticking.cancel()
        assert await asyncio.wait_for(listening, 20) == [1]
        with pytest.raises(StoppedError):
            system.health()
        system.shutdown()

    asyncio.run(work())
    assert sorted(stops) == [("own", True), ("slow", False)]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("how", ["raise", "cancel", "cancel while it stops"])
def test_whoever_leaves_early_leaves_a_system_that_is_down(how):
    stops: list[tuple[str, bool]] = []

    async def work():
        async with boot(components=components(stops, 0.2)):
            if how == "raise":
                raise LookupError("mine")
            task = asyncio.current_task()
            assert task is not None
            if how == "cancel":
                task.cancel()
            else:
                asyncio.get_running_loop().call_later(0.05, task.cancel)

    with pytest.raises(LookupError if how == "raise" else asyncio.CancelledError):
        asyncio.run(work())
    assert len(stops) == 2


@pytest.mark.timeout(60)
def test_a_second_end_does_nothing():
    async def work():
        system = boot()
        async with system:
            system.shutdown()
        async with system:
            pass

    asyncio.run(work())
