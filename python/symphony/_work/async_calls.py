"""Calls and subscriptions for asyncio. Imported with the first of them only.

Invariant: results reach a loop through one descriptor that it watches, so that no thread of the core ever touches the
interpreter for them.
"""

from __future__ import annotations

import asyncio

from symphony import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class _Calls:
    """The calls of one event loop that are on their way."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._completions = _core.Completions()
        self._futures: dict[int, tuple[asyncio.Future[Any], _core.PendingCall]] = {}
        self._next = 0
        loop.add_reader(self._completions.descriptor, self._arrived)

    def _arrived(self) -> None:
        for token, value, error in self._completions.drain():
            entry = self._futures.pop(token, None)
            if entry is None or entry[0].done():
                continue
            if error is None:
                entry[0].set_result(value)
            else:
                entry[0].set_exception(error)

    async def call(
        self,
        handle: _core.ExtensionHandle,
        operation: str,
        inputs: dict[str, Any],
        timeout: float | None,
        priority: int,
    ) -> Any:
        token = self._next
        self._next += 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        pending = handle._submit(  # noqa: SLF001 - the core has it for this module alone.
            self._completions, token, operation, inputs, timeout, priority
        )
        self._futures[token] = (future, pending)
        try:
            return await future
        except asyncio.CancelledError:
            self._futures.pop(token, None)
            pending.cancel()
            raise


_calls: dict[int, tuple[asyncio.AbstractEventLoop, _Calls]] = {}


async def call(
    handle: _core.ExtensionHandle,
    operation: str,
    inputs: dict[str, Any],
    timeout: float | None,
    priority: int,
) -> Any:
    """Calls an operation and awaits its result; a cancelled task cancels the call."""
    loop = asyncio.get_running_loop()
    for key in [key for key, (other, _) in _calls.items() if other.is_closed()]:
        del _calls[key]
    entry = _calls.get(id(loop))
    if entry is None:
        entry = _calls[id(loop)] = (loop, _Calls(loop))
    return await entry[1].call(handle, operation, inputs, timeout, priority)


class AsyncValues:
    """`async for value in topic.subscribe()`, or in a handle's `stream(...)`."""

    def __init__(self, source: Iterator[Any]) -> None:
        """Keeps what is waited on."""
        self._source = source

    def __aiter__(self) -> AsyncValues:
        """Itself."""
        return self

    async def __anext__(self) -> Any:
        """The next value, waited for on a thread of the loop's own pool."""
        loop = asyncio.get_running_loop()
        value = await loop.run_in_executor(None, self._next)
        if value is _END:
            raise StopAsyncIteration
        return value

    def _next(self) -> Any:
        return next(self._source, _END)


_END = object()
