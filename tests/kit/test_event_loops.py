"""Calls, streams, topics, runs and restarts in event loops: no thread waits, no value is lost, every loop ends."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from pathlib import Path

import pytest
from kit_processes import running
from symphony.exceptions import CallTimeoutError, ExtensionCrashedError, RemoteError, SymphonyError
from workshop import ECHO, wait_until

SOURCE = (
    ECHO
    + """
import asyncio, os, time

@extension.operation
def numbers(count: int, pause: float = 0.0, path: str = ""):
    try:
        for number in range(count):
            time.sleep(pause)
            yield number
    finally:
        if path:
            with open(path, "w") as file:
                file.write("closed")

@extension.operation
async def later_numbers(count: int, pause: float = 0.0, path: str = ""):
    try:
        for number in range(count):
            await asyncio.sleep(pause)
            yield number
    finally:
        if path:
            with open(path, "w") as file:
                file.write("closed")

@extension.operation
async def waits(seconds: float, value=None):
    await asyncio.sleep(seconds)
    return value

@extension.operation
def pid():
    return os.getpid()

@extension.operation
def exits_after(count: int):
    for number in range(count):
        yield number
    os._exit(3)
"""
)

LONG = 3600.0


@pytest.fixture(scope="module")
def system(shared_workshop):
    shared_workshop.extension("tools", SOURCE, "[extension.limits]\nqueue = 2048\n")
    shared_workshop.extension("lazy", "import time\ntime.sleep(0.3)\n" + SOURCE)
    shared_workshop.extension("sleepy", "import time\ntime.sleep(0.3)\n" + SOURCE)
    shared_workshop.extension("broken", "raise RuntimeError('no such thing')\n")
    with running(shared_workshop) as system:
        system.kit.extension("tools").call("echo", value=0)
        yield system


@pytest.fixture
def tools(system):
    return system.kit.extension("tools")


def tasks() -> int:
    """How many threads this process has, of Python and of Rust."""
    return len(os.listdir("/proc/self/task"))


def run(work, *, seconds: float = 60.0):
    """Runs a coroutine in a loop of its own, which has to end and to leave no thread and no descriptor behind."""
    before = tasks()
    result = []
    errors = []

    def watched():
        try:
            result.append(asyncio.run(work()))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=watched, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "asyncio.run does not end"
    if errors:
        raise errors[0]
    assert wait_until(lambda: tasks() <= before), (before, tasks())
    return result[0]


async def until(said) -> None:
    """Lets the loop go on until that is so."""
    deadline = time.monotonic() + 20
    while not said():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def in_executor(seconds: float = 20.0):
    """A call on a thread of the loop's pool, which a wait of ours must not take."""
    return asyncio.wait_for(asyncio.to_thread(lambda: "ran"), seconds)


# No thread waits -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["topics", "streams", "calls", "mixed"])
def test_what_waits_takes_no_thread(system, tools, kind):
    count = 3 * (os.cpu_count() or 1) + 32

    def waiting(number):
        async def topic():
            async for _ in system.bus.topic(f"silent-{kind}-{number}").subscribe():
                pass

        async def stream():
            async for _ in tools.stream("later_numbers", count=2, pause=LONG):
                pass

        async def call():
            await tools.call_async("waits", seconds=LONG)

        kinds = {"topics": topic, "streams": stream, "calls": call}
        return list(kinds.values())[number % 3] if kind == "mixed" else kinds[kind]

    async def work():
        before = tasks()
        idle = [asyncio.ensure_future(waiting(number)()) for number in range(count)]
        await asyncio.sleep(0.2)
        assert tasks() <= before
        assert await in_executor() == "ran"
        # One more than there would be threads for hears what is said.
        extra = system.bus.topic(f"extra-{kind}").subscribe()
        said = asyncio.ensure_future(extra.__aiter__().__anext__())
        await asyncio.sleep(0)
        system.bus.topic(f"extra-{kind}").publish("heard")
        assert await asyncio.wait_for(said, 20) == "heard"
        assert await tools.call_async("echo", value=1) == 1
        for task in idle:
            task.cancel()
        outcomes = await asyncio.gather(*idle, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)

    run(work)


def test_a_loop_has_one_descriptor_for_all_that_waits(system, tools):
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    async def work():
        await tools.call_async("echo", value=0)
        # What earlier tests left to the collector may close meanwhile: fewer says nothing here.
        gc.collect()
        before = descriptors()
        subscriptions = [system.bus.topic(f"d{number}").subscribe() for number in range(50)]
        waits = [asyncio.ensure_future(each.__aiter__().__anext__()) for each in subscriptions]
        waits += [asyncio.ensure_future(tools.call_async("waits", seconds=LONG)) for _ in range(50)]
        await asyncio.sleep(0.05)
        assert descriptors() <= before
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    for _ in range(3):
        run(work)
    gc.collect()
    before = descriptors()
    for _ in range(5):
        run(work)
    gc.collect()
    assert descriptors() <= before


def test_a_thousand_calls_in_flight_on_one_loop(tools):
    async def work():
        before = tasks()
        calls = [
            asyncio.ensure_future(tools.call_async("waits", seconds=0.5, value=number))
            for number in range(1000)
        ]
        await asyncio.sleep(0.2)
        assert tasks() <= before
        assert await asyncio.gather(*calls) == list(range(1000))

    run(work)


def test_many_loops_side_by_side(system, tools):
    def one(name):
        async def work():
            values = system.bus.topic(name).subscribe().__aiter__()
            for number in range(20):
                system.bus.topic(name).publish(await tools.call_async("echo", value=number))
                assert await values.__anext__() == number
            return [value async for value in tools.stream("later_numbers", count=100)]

        return work

    outcomes = []
    threads = [
        threading.Thread(target=lambda name=name: outcomes.append(asyncio.run(one(name)())))
        for name in ("north", "south", "east")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert outcomes == [list(range(100))] * 3


# No value is lost ------------------------------------------------------------------------------


def sources(system, tools):
    """Values 0, 1, 2 … with pauses: of a topic that a thread publishes on, and of both kinds of generators."""

    def topic():
        topic = system.bus.topic(f"numbers-{time.monotonic_ns()}")
        subscription = topic.subscribe(capacity=1000)

        def publish():
            for number in range(40):
                time.sleep(0.01)
                topic.publish(number)

        threading.Thread(target=publish, daemon=True).start()
        return subscription

    return {
        "topic": topic,
        "generator": lambda: tools.stream("numbers", count=40, pause=0.01),
        "async generator": lambda: tools.stream("later_numbers", count=40, pause=0.01),
    }


@pytest.mark.parametrize("source", ["topic", "generator", "async generator"])
@pytest.mark.parametrize("give_up", ["wait_for", "cancel", "cancel at once"])
def test_a_wait_that_is_given_up_loses_no_value(system, tools, source, give_up):
    async def work():
        values = sources(system, tools)[source]().__aiter__()
        got = []
        given_up = 0
        while len(got) < 40:
            if give_up == "wait_for":
                try:
                    got.append(await asyncio.wait_for(values.__anext__(), 0.004))
                except asyncio.TimeoutError:
                    given_up += 1
                continue
            wait = asyncio.ensure_future(values.__anext__())
            await asyncio.sleep(0 if give_up == "cancel at once" else 0.004)
            wait.cancel()
            try:
                got.append(await wait)
            except asyncio.CancelledError:
                given_up += 1
        assert given_up > 0
        return got

    assert run(work) == list(range(40))


def test_what_was_published_after_a_wait_that_timed_out_is_received(system):
    async def work():
        topic = system.bus.topic("late")
        values = topic.subscribe().__aiter__()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(values.__anext__(), 0.05)
        for number in (1, 2, 3):
            topic.publish(number)
        return [await asyncio.wait_for(values.__anext__(), 20) for _ in range(3)]

    assert run(work) == [1, 2, 3]


def test_each_value_goes_to_one_of_several_tasks(system):
    async def work():
        topic = system.bus.topic("shared")
        values = topic.subscribe(capacity=1000)
        got = []

        async def take():
            async for value in values:
                got.append(value)
                await asyncio.sleep(0)

        takers = [asyncio.ensure_future(take()) for _ in range(5)]
        for number in range(100):
            topic.publish(number)
            if number % 10 == 0:
                await asyncio.sleep(0.001)
        await until(lambda: len(got) == 100)
        values.close()
        await asyncio.wait_for(asyncio.gather(*takers), 20)
        return sorted(got)

    assert run(work) == list(range(100))


def test_values_that_are_there_leave_the_loop_to_others(system):
    async def work():
        topic = system.bus.topic("flood")
        values = topic.subscribe(capacity=10_000)
        for number in range(10_000):
            topic.publish(number)
        turns = 0

        async def others():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.ensure_future(others())
        taken = 0
        async for _ in values:
            taken += 1
            if taken == 10_000:
                break
        other.cancel()
        return turns

    assert run(work) > 10


# The end ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["numbers", "later_numbers"])
@pytest.mark.parametrize("way", ["break", "cancel", "close"])
def test_whoever_leaves_a_stream_ends_it_over_there(tools, tmp_path, operation, way):
    sign = tmp_path / "sign"

    async def work():
        stream = tools.stream(operation, count=10**9, pause=0.001, path=str(sign))
        got = []

        async def read():
            async for value in stream:
                got.append(value)
                if way == "break" and value == 3:
                    break

        reading = asyncio.ensure_future(read())
        await until(lambda: len(got) >= 4)
        if way == "cancel":
            reading.cancel()
        if way == "close":
            stream.close()
        await asyncio.gather(reading, return_exceptions=True)

    run(work)
    assert wait_until(sign.exists)
    assert tools.call("echo", value=1) == 1


@pytest.mark.parametrize("kind", ["subscription", "stream"])
@pytest.mark.parametrize("reader", ["thread", "task"])
def test_close_does_not_wait_for_the_reader_which_hears_of_the_end(system, tools, kind, reader):
    def opened():
        if kind == "stream":
            return tools.stream("later_numbers", count=5, pause=LONG)
        return system.bus.topic("quiet").subscribe()

    values = opened()
    if reader == "thread":
        got = []
        thread = threading.Thread(target=lambda: got.append(list(values)), daemon=True)
        thread.start()
        time.sleep(0.2)
        values.close()
        thread.join(20)
        assert got == [[]]
        return

    async def work():
        async def read():
            return [value async for value in values]

        reading = asyncio.ensure_future(read())
        await asyncio.sleep(0.1)
        values.close()
        return await asyncio.wait_for(reading, 20)

    assert run(work) == []


def test_the_errors_of_a_stream_reach_the_loop(system, tools):
    async def all_of(stream):
        return [value async for value in stream]

    async def work():
        with pytest.raises(CallTimeoutError):
            await all_of(tools.options(timeout=0.1).stream("later_numbers", count=2, pause=LONG))
        with pytest.raises(RemoteError, match="count"):
            await all_of(tools.stream("later_numbers"))
        got = []
        with pytest.raises(ExtensionCrashedError) as raised:
            async for value in system.kit.extension("lazy").stream("exits_after", count=3):
                got.append(value)  # noqa: PERF401 - what came before the crash counts.
        assert got == [0, 1, 2]
        assert raised.value.exit_code == 3

    run(work)


def test_a_stream_that_starts_its_extension_does_not_hold_up_the_loop(system):
    sleepy = system.kit.extension("sleepy")

    async def work():
        assert sleepy.state == "installed"
        ticks = 0
        stream = sleepy.stream("numbers", count=3)
        assert sleepy.state == "loading"

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.ensure_future(tick())
        got = [value async for value in stream]
        ticking.cancel()
        assert got == [0, 1, 2]
        with pytest.raises(SymphonyError, match="no such thing"):
            await system.kit.extension("broken").stream("echo", value=1).__aiter__().__anext__()
        return ticks

    assert run(work) > 5


# Runs and restarts -----------------------------------------------------------------------------


def test_runs_are_awaited(system, shared_workshop):
    good = shared_workshop.melody(
        '[melody]\nname = "good"\n[[node]]\nid = "waits"\ncall = "tools.waits"\n'
        "with = { seconds = 0.3, value = 7 }\n",
        "good.toml",
    )
    bad = shared_workshop.melody(
        '[melody]\nname = "bad"\n[[node]]\nid = "waits"\ncall = "tools.waits"\n'
        'with = { seconds = "x" }\n',
        "bad.toml",
    )

    async def work():
        before = tasks()
        runs = [system.submit(good) for _ in range(50)]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(runs[0], 0.02)
        assert runs[0].state == "running"
        waits = [asyncio.ensure_future(_awaited(run)) for run in runs]
        await asyncio.sleep(0.05)
        assert tasks() <= before
        assert await asyncio.gather(*waits) == [{"waits": 7}] * 50
        assert await runs[0] == {"waits": 7}
        failing = system.submit(bad)
        with pytest.raises(SymphonyError):
            await failing
        cancelled = system.submit(good)
        cancelled.cancel()
        with pytest.raises(SymphonyError):
            await cancelled

    run(work)


async def _awaited(awaitable):
    return await awaitable


def test_a_restart_is_awaited_and_the_loop_goes_on(system):
    lazy = system.kit.extension("lazy")
    lazy.restart()

    async def work():
        first = await lazy.call_async("pid")
        restarting = asyncio.ensure_future(lazy.restart())
        ticks = 0
        while not restarting.done():
            ticks += 1
            await asyncio.sleep(0.01)
        assert await restarting is None
        second = await lazy.call_async("pid")
        assert first != second
        # Whoever stops waiting does not stop it.
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(lazy.restart(), 0.01)
        deadline = time.monotonic() + 20
        while await lazy.call_async("pid") == second:
            assert time.monotonic() < deadline
        with pytest.raises(SymphonyError, match="no such thing"):
            await system.kit.extension("broken").restart()
        return ticks

    assert run(work) > 5
    assert isinstance(lazy.call("pid"), int)
    # Outside of a loop it waits, and what it gives can be awaited all the same.
    assert asyncio.run(_awaited(lazy.restart())) is None


def test_a_loop_that_ends_with_calls_on_their_way_ends(tools):
    async def work():
        for _ in range(20):
            asyncio.ensure_future(tools.call_async("waits", seconds=LONG))  # noqa: RUF006
        await asyncio.sleep(0.05)

    begun = time.monotonic()
    run(work)
    assert time.monotonic() - begun < 20
    assert Path("/proc/self/task").exists()
    assert tools.call("echo", value=1) == 1
