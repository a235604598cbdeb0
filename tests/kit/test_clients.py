"""`kit.client`: the Protocol says how an operation is called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

import pytest
from kit_processes import running
from symphony.exceptions import RemoteError

pytestmark = pytest.mark.timeout(60)

SOURCE = """
import asyncio
@extension.operation
def add(left: int, right: int = 1) -> int:
    return left + right
@extension.operation
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"
@extension.operation
def count(n: int):
    yield from range(n)
@extension.operation
def fails():
    1 / 0
"""


class Plain(Protocol):
    def add(self, left: int, right: int = 1) -> int: ...
    def slow(self, seconds: float) -> str: ...
    def count(self, n: int) -> Iterator[int]: ...


class Awaited(Protocol):
    async def add(self, left: int, right: int = 1) -> int: ...
    async def slow(self, seconds: float) -> str: ...
    async def fails(self) -> None: ...
    def count(self, n: int) -> AsyncIterator[int]: ...


class Gathered(Protocol):
    def count(self, n: int) -> list[int]: ...
    async def slow(self, seconds: float) -> str: ...


def test_a_plain_method_waits_and_a_stream_is_one(workshop):
    workshop.extension("lab", SOURCE)
    with running(workshop) as system:
        lab = system.kit.client("lab", Plain)
        assert (lab.add(1), lab.add(1, 2), lab.add(1, right=3)) == (2, 3, 4)
        assert lab.slow(0.01) == "done"
        values = lab.count(1_000_000_000)
        assert [next(values), next(values)] == [0, 1]
        assert system.kit.client("lab", Gathered).count(n=3) == [0, 1, 2]
        with pytest.raises(TypeError, match="takes 2 inputs, not 3"):
            lab.add(1, 2, 3)  # type: ignore[call-arg]


def test_an_asynchronous_method_is_awaited_beside_others(workshop):
    workshop.extension("lab", SOURCE)

    async def main(lab: Awaited) -> None:
        assert await lab.add(1) == 2
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        beside = asyncio.ensure_future(tick())
        assert await asyncio.gather(lab.slow(0.2), lab.slow(0.2)) == ["done", "done"]
        beside.cancel()
        assert ticks > 1
        assert [value async for value in lab.count(3)] == [0, 1, 2]
        with pytest.raises(RemoteError, match="division by zero"):
            await lab.fails()

    with running(workshop) as system:
        asyncio.run(main(system.kit.client("lab", Awaited)))
