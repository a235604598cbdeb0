"""Calls, streams, subscriptions, runs and restarts for asyncio. Imported with the first of them only.

Called by the handles of `symphony._core`. Invariants: an event loop has one descriptor by which it hears of all of
them, so that no thread is held by what waits and no thread of the core ever touches the interpreter for it; a value is
taken only by the step of a coroutine that returns it, so that a wait that is cancelled or timed out loses none.
"""

from __future__ import annotations

import asyncio

from symphony._work.loop_waits import waits_of_running_loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from symphony import _core
    from symphony._work.loop_waits import Source

    class _Values(Source, Protocol):
        """Values that come one by one: `Stream` and `Subscription`."""

        def _take(self) -> tuple[Any, ...] | None: ...


_AT_ONCE = 64
"""So many values that are there already are taken before the loop's other tasks have their turn."""


async def call(
    handle: _core.ExtensionHandle,
    operation: str,
    inputs: dict[str, Any],
    timeout: float | None,
    priority: int,
) -> Any:
    """Calls an operation and awaits its result; a cancelled task cancels the call."""

    def send(completions: _core.Completions, token: int) -> _core.PendingCall:
        return handle._submit(  # noqa: SLF001 - the core has it for this module alone.
            completions, token, operation, inputs, timeout, priority
        )

    return await waits_of_running_loop().result(send)


def restart(handle: _core.ExtensionHandle) -> asyncio.Future[None]:
    """Begins a restart; the future is done when the extension is ready again. It goes on when nobody waits any more."""
    waits = waits_of_running_loop()
    token, future = waits.begin()
    try:
        handle._restart(waits.completions, token)  # noqa: SLF001 - the core has it for this module alone.
    except BaseException:
        waits.forget(token)
        raise
    return future


async def ended(run: _core.Run) -> dict[str, Any]:
    """Awaits the results of a run."""
    await waits_of_running_loop().look(run)
    return run.result(0)


class AsyncValues:
    """`async for value in topic.subscribe()`, or in a handle's `stream(...)`."""

    def __init__(self, source: _Values) -> None:
        """Keeps what the values come from."""
        self._source = source
        self._at_once = 0

    def __aiter__(self) -> AsyncValues:
        """Itself."""
        return self

    async def __anext__(self) -> Any:
        """The next value. A wait for it that is given up takes none."""
        self._at_once += 1
        if self._at_once > _AT_ONCE:
            self._at_once = 0
            await asyncio.sleep(0)
        while True:
            # Nothing is awaited between this and the return, so nothing that was taken can be lost.
            taken = self._source._take()  # noqa: SLF001 - the core has it for this module alone.
            if taken is not None:
                break
            self._at_once = 0
            await waits_of_running_loop().look(self._source)
        if not taken:
            raise StopAsyncIteration
        return taken[0]
