"""What a stream that is read slowly, or no more, leaves to others: everything but itself."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time

import pytest
from kit_processes import running
from symphony.exceptions import CallTimeoutError, ExtensionError
from workshop import ECHO, wait_until

SOURCE = (
    ECHO
    + """
import asyncio, threading, time

threads = set()

@extension.operation
def numbers(count: int, pause: float = 0.0, path: str = ""):
    try:
        for number in range(count):
            threads.add(threading.get_ident())
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
            if pause:
                await asyncio.sleep(pause)
            yield number
    finally:
        if path:
            with open(path, "w") as file:
                file.write("closed")

@extension.operation
async def later_echo(value):
    return value

@extension.operation
def used_threads():
    threads.add(threading.get_ident())
    return [len(threads), threading.active_count()]

@extension.operation
def says(topic: str, count: int):
    for number in range(count):
        extension.publish(topic, number)
    return count
"""
)

KINDS = ["numbers", "later_numbers"]
ENDLESS = 10**9


@pytest.fixture(scope="module")
def system(shared_workshop):
    shared_workshop.extension("tools", SOURCE)
    with running(shared_workshop) as system:
        yield system


@pytest.fixture
def tools(system):
    return system.kit.extension("tools").options(timeout=40)


def in_time(work, seconds: float = 40.0):
    """What the work gives; it must not hang."""
    box = []
    thread = threading.Thread(target=lambda: box.append(work()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert box, "it hangs"
    return box[0]


@pytest.mark.parametrize("inner", ["echo", "later_echo"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [64, 65, 300])
def test_a_call_for_each_value(tools, kind, inner, count):
    def work():
        return [tools.call(inner, value=value) for value in tools.stream(kind, count=count)]

    assert in_time(work) == list(range(count))


@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
def test_streams_side_by_side(tools, first, second):
    def work():
        streams = [tools.stream(kind, count=200) for kind in (first, second, first)]
        return list(zip(*streams))

    assert in_time(work) == [(number,) * 3 for number in range(200)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_within_a_stream(tools, kind):
    def work():
        return sum(
            len(list(tools.stream(inner, count=70)))
            for inner in KINDS
            for _ in tools.stream(kind, count=70)
        )

    assert in_time(work) == 2 * 70 * 70


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [1, 20])
def test_half_read_streams_leave_everything_else_alone(system, tools, shared_workshop, kind, kept):
    melody = shared_workshop.melody(
        '[melody]\nname = "m"\n[[node]]\nid = "n"\ncall = "tools.echo"\nwith = { value = 1 }\n'
    )

    def work():
        streams = [tools.stream(kind, count=ENDLESS) for _ in range(kept)]
        for stream in streams:
            assert [next(stream) for _ in range(5)] == list(range(5))
        subscription = system.bus.topic("said").subscribe()
        outcomes = [
            tools.call("echo", value=1),
            asyncio.run(_call(tools, "later_echo", value=2)),
            system.submit(melody).result(20),
            tools.call("says", topic="said", count=3),
            list(itertools.islice(subscription, 3)),
            list(tools.stream(kind, count=100))[-1],
        ]
        # They go on where they were left.
        for stream in streams:
            assert list(itertools.islice(stream, 200)) == list(range(5, 205))
            stream.close()
        return outcomes

    assert in_time(work) == [1, 2, {"n": 1}, 3, [0, 1, 2], 99]


async def _call(handle, operation, **inputs):
    return await handle.call_async(operation, **inputs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pause", [0.0, 0.005])
def test_an_endless_stream_that_is_read_leaves_calls_their_turn(tools, kind, pause):
    stop = threading.Event()
    stream = tools.stream(kind, count=ENDLESS, pause=pause)

    def read():
        for _ in stream:
            if stop.is_set():
                break

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    try:
        for operation in ("echo", "later_echo"):
            assert in_time(lambda op=operation: [tools.call(op, value=n) for n in range(20)])
    finally:
        stop.set()
        reading.join(20)
        stream.close()


def test_generators_stay_on_the_one_thread_of_plain_operations(tools):
    streams = [tools.stream("numbers", count=ENDLESS) for _ in range(10)]
    for stream in streams:
        next(stream)
    assert tools.call("used_threads")[0] == 1
    for stream in streams:
        stream.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("read", [0, 5, 100])
def test_a_stream_that_is_not_read_by_its_deadline_is_ended(tools, tmp_path, kind, read):
    sign = tmp_path / "sign"
    stream = tools.options(timeout=0.5).stream(kind, count=ENDLESS, path=str(sign))
    for number in range(read):
        assert next(stream) == number
    # Nobody reads it: the generator over there is closed all the same.
    assert wait_until(sign.exists)
    with pytest.raises(CallTimeoutError):
        list(stream)
    assert list(stream) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("left", ["close", "drop", "stop"])
def test_a_generator_that_waits_for_its_reader_is_closed(system, tools, tmp_path, kind, left):
    sign = tmp_path / "sign"
    stream = tools.stream(kind, count=ENDLESS, path=str(sign))
    next(stream)
    time.sleep(0.2)
    if left == "close":
        stream.close()
    elif left == "stop":
        system.kit.extension("tools").restart()
    else:
        del stream
    assert wait_until(sign.exists)
    if left == "stop":
        with pytest.raises(ExtensionError):
            list(stream)
    assert tools.call("echo", value=1) == 1
