"""Calls from an extension's event loop to others: many at once, each with its own outcome, none on a thread."""

from __future__ import annotations

import pytest
from kit_processes import running
from symphony.exceptions import CallTimeoutError
from workshop import Workshop

pytestmark = pytest.mark.timeout(120)

ASKS = """
import asyncio, threading
@extension.operation
async def many(count: int) -> list:
    before = threading.active_count()
    tasks = [asyncio.ensure_future(extension.call_async("answers.later", value=n)) for n in range(count)]
    await asyncio.sleep(0.1)
    threads = threading.active_count() - before
    return [threads, await asyncio.gather(*tasks)]
@extension.operation
async def fails() -> list:
    outcomes = []
    for call in ("answers.fails", "answers.unknown", "artifact-store.put"):
        try:
            outcomes.append(await extension.call_async(call))
        except Exception as error:
            outcomes.append([type(error).__name__, str(error)])
    return outcomes
@extension.operation
async def gives_up() -> list:
    try:
        await asyncio.wait_for(extension.call_async("answers.waits"), 0.2)
    except asyncio.TimeoutError:
        pass
    while not await extension.call_async("answers.given_up"):
        await asyncio.sleep(0.01)
    return await extension.call_async("answers.later", value=[1, b"x"])
@extension.operation
async def in_time() -> list:
    return await extension.call_async("answers.waits")
@extension.operation
async def in_turn() -> list:
    return [await extension.call_async("answers.later", value=n) for n in range(3)]
"""

ANSWERS = """
import asyncio
GIVEN_UP = []
@extension.operation
async def later(value):
    await asyncio.sleep(0.3)
    return value
@extension.operation
def fails():
    raise KeyError("nothing there")
@extension.operation
async def waits():
    try:
        await asyncio.sleep(1000)
    finally:
        GIVEN_UP.append(1)
@extension.operation
def given_up() -> bool:
    return bool(GIVEN_UP)
"""


@pytest.fixture(scope="module")
def asks(tmp_path_factory):
    workshop = Workshop(tmp_path_factory.mktemp("guests"))
    workshop.extension("asks", ASKS, '[extension.permissions]\ncalls = ["answers.*"]\n')
    workshop.extension("answers", ANSWERS)
    with running(workshop) as system:
        yield system.kit.extension("asks").options(timeout=30)


def test_many_are_on_their_way_and_none_takes_a_thread(asks):
    threads, values = asks.call("many", count=50)
    assert values == list(range(50))
    assert threads == 0


def test_each_has_its_own_error(asks):
    failed, unknown, refused = asks.call("fails")
    assert failed[0] == "RemoteError"
    assert "nothing there" in failed[1]
    assert "has no operation" in unknown[1]
    assert refused[0] == "NotGrantedError"


def test_one_that_is_given_up_is_cancelled_and_the_next_is_answered(asks):
    assert asks.call("gives_up") == [1, b"x"]


def test_it_has_the_deadline_of_the_request_for_whose_sake_it_is_made(asks):
    with pytest.raises(CallTimeoutError):
        asks.options(timeout=0.3).call("in_time")
    # Nobody cancelled it by hand, and the extension goes on.
    assert asks.call("in_turn") == [0, 1, 2]


def test_one_after_the_other(asks):
    assert asks.call("in_turn") == [0, 1, 2]
