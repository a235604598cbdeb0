"""Calls as a root makes them: typed errors, deadlines, queues, cancels, streams."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from kit_processes import running
from symphony.exceptions import (
    CallTimeoutError,
    ComponentNotFoundError,
    ExtensionError,
    OverloadedError,
    RemoteError,
    UnknownOperationError,
)
from workshop import ECHO, wait_until

TOOLS = (
    ECHO
    + """
import asyncio, time

@extension.operation
def fails():
    try:
        {}["key"]
    except KeyError as cause:
        raise ValueError("no such thing") from cause

@extension.operation
def returns_a_range():
    return range(2)

class Anything:
    def __getattr__(self, name):
        return lambda *arguments: None

@extension.operation
def returns_anything():
    return Anything()

class HostileError(Exception):
    def __str__(self):
        raise RuntimeError("no text")

@extension.operation
def hostile():
    raise HostileError

@extension.operation
def two(first: int, second: int = 2):
    return [first, second]

@extension.operation
def sleeps(seconds: float):
    time.sleep(seconds)
    return seconds

@extension.operation
def until_cancelled(path: str):
    while not extension.cancelled():
        time.sleep(0.005)
    with open(path, "w") as file:
        file.write("cancelled")

@extension.operation
async def waits(seconds: float):
    await asyncio.sleep(seconds)
    return seconds

@extension.operation
async def waits_until_cancelled(path: str):
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        with open(path, "w") as file:
            file.write("cancelled")
        raise

@extension.operation
async def fails_later():
    await asyncio.sleep(0)
    raise LookupError("later")

@extension.operation
def odd(number: int):
    if number % 2 == 0:
        raise ValueError(f"{number} is even")
    return number

@extension.operation
def numbers(count: int, path: str = ""):
    try:
        for number in range(count):
            yield number
    finally:
        if path:
            with open(path, "w") as file:
                file.write("closed")

@extension.operation
async def slow_numbers(count: int):
    for number in range(count):
        await asyncio.sleep(0)
        yield number

@extension.operation
def breaks_off():
    yield 1
    raise ValueError("in the middle")
"""
)


@pytest.fixture(scope="module")
def system(shared_workshop):
    shared_workshop.extension("tools", TOOLS)
    shared_workshop.extension(
        "narrow",
        """
        import time
        @extension.operation
        def sleeps(seconds: float):
            time.sleep(seconds)
            return seconds
        """,
        "[extension.limits]\nqueue = 4\n",
    )
    with running(shared_workshop) as system:
        yield system


@pytest.fixture
def tools(system):
    return system.kit.extension("tools")


def test_an_operation_that_raises_tells_what_and_where(tools):
    with pytest.raises(RemoteError) as caught:
        tools.call("fails")
    error = caught.value
    assert (error.extension, error.operation, error.code) == ("tools", "fails", "remote-error")
    assert error.type_name == "ValueError"
    assert "no such thing" in str(error)
    assert "tools.py" in error.traceback
    assert 'raise ValueError("no such thing")' in error.traceback
    assert "_guest.py" not in error.traceback
    assert error.causes == ("KeyError: 'key'",)
    assert "KeyError" in str(error.__cause__)


def test_an_async_operation_that_raises_tells_the_same(tools):
    with pytest.raises(RemoteError, match="later") as caught:
        tools.call("fails_later")
    assert caught.value.type_name == "LookupError"
    assert "tools.py" in caught.value.traceback


def test_an_exception_without_a_text_and_a_result_that_cannot_be_sent(tools):
    with pytest.raises(RemoteError, match="unprintable"):
        tools.call("hostile")
    with pytest.raises(RemoteError, match="`range` cannot be sent") as caught:
        tools.call("returns_a_range")
    assert caught.value.type_name == "TypeError"
    # What has whatever it is asked for is no awaitable and no stream for that.
    with pytest.raises(RemoteError, match="`Anything` cannot be sent"):
        tools.call("returns_anything")
    assert tools.call("echo", value=1) == 1


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({}, "lacks `first`"),
        ({"first": 1, "third": 3}, "does not know `third`"),
        ({"second": 1}, "lacks `first`"),
    ],
)
def test_wrong_inputs_are_told_with_the_right_ones(tools, inputs, text):
    with pytest.raises(RemoteError, match=text) as caught:
        tools.call("two", **inputs)
    assert caught.value.type_name == "TypeError"
    assert "it takes `first`, `second` (optional)" in str(caught.value)
    assert tools.call("two", first=1) == [1, 2]


def test_an_unknown_operation_or_extension_names_the_nearest(system, tools):
    with pytest.raises(UnknownOperationError) as caught:
        tools.call("ecko", value=1)
    assert caught.value.hints == ("did you mean `echo`?",)
    assert isinstance(caught.value, LookupError)
    assert (caught.value.extension, caught.value.operation) == ("tools", "ecko")
    with pytest.raises(UnknownOperationError):
        asyncio.run(_call(tools, "ecko", value=1))
    with pytest.raises(ComponentNotFoundError) as caught:
        system.kit.extension("tool")
    assert caught.value.hints == ("did you mean `tools`?",)


async def _call(handle, operation, **inputs):
    return await handle.call_async(operation, **inputs)


def test_a_call_without_an_answer_times_out_and_the_extension_goes_on(tools):
    begun = time.monotonic()
    with pytest.raises(CallTimeoutError) as caught:
        tools.options(timeout=0.1).call("sleeps", seconds=0.5)
    assert time.monotonic() - begun < 0.4
    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.extension, caught.value.operation) == ("tools", "sleeps")
    assert tools.call("echo", value=1) == 1
    with pytest.raises(CallTimeoutError):
        asyncio.run(_call(tools.options(timeout=0.1), "sleeps", seconds=0.5))
    [error] = tools.options(timeout=0.1).call_many("sleeps", [{"seconds": 0.5}])
    assert isinstance(error, CallTimeoutError)
    assert tools.call("echo", value=2) == 2


@pytest.mark.parametrize("timeout", [-1.0, float("nan"), float("-inf"), -1e30])
def test_a_timeout_that_is_none_is_refused_at_once(tools, timeout):
    with pytest.raises(ValueError, match="timeout"):
        tools.options(timeout=timeout)


def test_options_are_a_view(tools):
    view = tools.options(timeout=5.0, priority=100)
    assert view.call("echo", value=1) == 1
    assert view.options(priority=-100).call("echo", value=1) == 1
    assert tools.name == view.name == "tools"


def test_a_full_queue_refuses_and_what_it_took_is_answered(system):
    narrow = system.kit.extension("narrow")
    assert narrow.call("sleeps", seconds=0) == 0

    async def flood():
        calls = [narrow.call_async("sleeps", seconds=0.05) for _ in range(12)]
        return await asyncio.gather(*calls, return_exceptions=True)

    outcomes = asyncio.run(flood())
    refused = [outcome for outcome in outcomes if isinstance(outcome, OverloadedError)]
    assert [outcome for outcome in outcomes if outcome not in refused] == [0.05] * 4
    assert len(refused) == 8
    assert refused[0].extension == "narrow"
    assert narrow.call("sleeps", seconds=0) == 0


def test_many_calls_keep_within_a_narrow_queue(system):
    narrow = system.kit.extension("narrow")
    assert narrow.call_many("sleeps", [{"seconds": 0.001}] * 50) == [0.001] * 50


def test_many_calls_mix_values_and_exceptions_in_order(tools):
    outcomes = tools.call_many("odd", [{"number": number} for number in range(300)])
    assert [outcome for outcome in outcomes if isinstance(outcome, int)] == list(range(1, 300, 2))
    for number in range(0, 300, 2):
        assert isinstance(outcomes[number], RemoteError)
        assert f"{number} is even" in str(outcomes[number])
    assert tools.call_many("odd", []) == []


def test_two_hundred_calls_at_once(tools):
    async def gathered():
        calls = [tools.call_async("echo", value=number) for number in range(200)]
        return await asyncio.gather(*calls)

    assert asyncio.run(gathered()) == list(range(200))
    # In a second loop too.
    assert asyncio.run(gathered()) == list(range(200))


def test_async_operations_wait_side_by_side(tools):
    async def gathered():
        calls = [tools.call_async("waits", seconds=0.2) for _ in range(20)]
        return await asyncio.gather(*calls)

    begun = time.monotonic()
    assert asyncio.run(gathered()) == [0.2] * 20
    assert time.monotonic() - begun < 0.2 * 8


@pytest.mark.parametrize("operation", ["until_cancelled", "waits_until_cancelled"])
def test_a_cancelled_task_cancels_the_call_over_there(tools, tmp_path, operation):
    sign = tmp_path / "sign"

    async def cancelled():
        task = asyncio.ensure_future(tools.call_async(operation, path=str(sign)))
        await asyncio.sleep(0.05)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert wait_until(sign.exists)
    assert tools.call("echo", value=1) == 1


def test_a_call_that_timed_out_is_cancelled_over_there(tools, tmp_path):
    sign = tmp_path / "sign"
    with pytest.raises(CallTimeoutError):
        tools.options(timeout=0.05).call("until_cancelled", path=str(sign))
    assert wait_until(sign.exists)


def test_calls_from_many_threads(tools):
    wrong = []

    def work(thread):
        for number in range(100):
            value = [thread, number]
            if tools.call("echo", value=value) != value:
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("operation", ["numbers", "slow_numbers"])
@pytest.mark.parametrize("count", [0, 1, 3, 500])
def test_a_stream_is_an_iterator_and_a_list_to_a_plain_call(tools, operation, count):
    expected = list(range(count))
    assert list(tools.stream(operation, count=count)) == expected
    assert tools.call(operation, count=count) == expected
    assert asyncio.run(_call(tools, operation, count=count)) == expected
    assert asyncio.run(_items(tools.stream(operation, count=count))) == expected


async def _items(stream):
    return [item async for item in stream]


def test_a_stream_that_is_left_early_is_closed_over_there(tools, tmp_path):
    for close in ("close", "with", "drop"):
        sign = tmp_path / close
        stream = tools.stream("numbers", count=10**9, path=str(sign))
        assert [next(stream), next(stream)] == [0, 1]
        if close == "close":
            stream.close()
            assert list(stream) == []
        elif close == "with":
            with stream:
                pass
        del stream
        assert wait_until(sign.exists), close
    assert tools.call("echo", value=1) == 1


def test_a_stream_that_breaks_off_gives_what_came_then_raises(tools):
    stream = tools.stream("breaks_off")
    assert next(stream) == 1
    with pytest.raises(RemoteError, match="in the middle"):
        next(stream)
    assert list(stream) == []
    with pytest.raises(RemoteError, match="in the middle"):
        tools.call("breaks_off")


def test_one_value_is_a_stream_of_one(tools):
    assert list(tools.stream("echo", value=7)) == [7]
    with pytest.raises(UnknownOperationError):
        list(tools.stream("ecko"))


def test_an_input_may_have_any_name(system, tools):
    with pytest.raises(ExtensionError, match="does not know `operation`, `self`"):
        tools.call("two", first=1, operation=2, self=3)
