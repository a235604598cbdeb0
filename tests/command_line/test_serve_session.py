"""`symphony serve`: one client in the system's process; what its tools give is played by the test."""

from __future__ import annotations

import asyncio
import json
import types
import weakref

import pytest
from symphony._cli._serve.session import Session
from symphony._cli._serve.tools import Tool

pytestmark = pytest.mark.timeout(30)


class Writer:
    """The way to the client, who reads at once."""

    def __init__(self):
        self.told = []
        self.answered = None
        self.transport = self

    def set_write_buffer_limits(self, _high):
        pass

    def get_write_buffer_size(self):
        return 0

    def is_closing(self):
        return False

    async def drain(self):
        pass

    def write(self, line):
        self.told.append(json.loads(line))
        if "id" in self.told[-1]:
            self.answered.set()


class Stream:
    """What an operation gives, one by one."""

    def __init__(self, values):
        self._values = iter(values)

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        for value in self._values:
            return value
        raise StopAsyncIteration

    def close(self):
        pass


def call(values, *, is_stream=False):
    """Calls a tool that gives these; the steps that were told, and the answer."""
    tool = Tool({"name": "a.b"}, reads_only=False, extension="a", operation="b")
    tool.is_stream = is_stream

    async def find(_name):
        return tool

    handle = types.SimpleNamespace(stream=lambda _operation: Stream(values))
    kit = types.SimpleNamespace(extension=lambda _name: handle)
    writer = Writer()

    async def ask():
        writer.answered = asyncio.Event()
        system, tools = types.SimpleNamespace(kit=kit), types.SimpleNamespace(find=find)
        session = Session(system, tools, writer, read_only=False, version="2025-11-25")
        reader = asyncio.StreamReader()
        params = {"name": "a.b", "_meta": {"progressToken": "t"}}
        asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        reader.feed_data(json.dumps(asked).encode() + b"\n")
        serving = asyncio.ensure_future(session.serve(reader))
        await writer.answered.wait()
        reader.feed_eof()
        await serving

    asyncio.run(ask())
    *steps, answer = writer.told
    return [step["params"] for step in steps], answer


class Step(dict):
    """One that can be counted: two that are equal count twice."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def __init__(self, done):
        super().__init__(progress=done, message="x" * 1000)


def test_steps_that_were_told_are_not_kept():
    alive, most = weakref.WeakSet(), 0

    def values():
        nonlocal most
        for done in range(1, 100):
            step = Step(done)
            alive.add(step)
            most = max(most, len(alive))
            yield step
            del step
        yield {"found": 1}

    steps, answer = call(values())
    assert [step["progress"] for step in steps] == list(range(1, 100))
    assert all(len(step["message"]) < 500 for step in steps)
    assert answer["result"]["structuredContent"] == {"found": 1}
    assert 0 < most < 5


@pytest.mark.parametrize(
    "number",
    [float("nan"), float("inf"), -float("inf"), 10**400],
    ids=["nan", "inf", "-inf", "far"],
)
def test_a_number_that_json_cannot_hold_is_no_progress(number):
    steps, answer = call([{"progress": 1, "total": number}, {"progress": number}])
    assert steps == [{"progressToken": "t", "progress": 1}]
    assert answer["result"]["isError"] is False


def test_values_of_one_that_is_not_known_to_be_a_stream_have_a_bound_too():
    values = [{"progress": 1}, "a", {"progress": 2}, "b"]
    steps, answer = call(values)
    assert [step["progress"] for step in steps] == [1, 2]
    assert answer["result"]["structuredContent"] == {"result": ["a", {"progress": 2}, "b"]}
    _, answer = call("x" * (1 << 20) for _ in range(100))
    assert answer["error"]["message"] == "the result is longer than 32 MiB"
