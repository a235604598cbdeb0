"""What the tasks of an event loop wait for, behind one descriptor. Imported with the first of them only.

Called by `symphony._work.async_calls` in the root, and by an extension's side for its own loops. Invariant: what
arrives is given to futures on the loop's own thread, and nothing else of a loop is kept alive here.
"""

from __future__ import annotations

import asyncio
import itertools
import weakref

from symphony import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class PendingResult(Protocol):
        """What was sent, and can be given up."""

        def cancel(self) -> None: ...

    class Source(Protocol):
        """What can be looked at, and says once when it is worth looking again."""

        def _watch(self, completions: _core.Completions, token: int, /) -> bool: ...
        def _unwatch(self, token: int, /) -> None: ...


_tokens = itertools.count(1)


class Waits:
    """What the tasks of one event loop wait for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Has the loop watch the descriptor of what arrives."""
        self.completions = _core.Completions()
        self._futures: dict[int, asyncio.Future[Any]] = {}
        loop.add_reader(self.completions.descriptor, self._arrived)

    def _arrived(self) -> None:
        for token, value, error in self.completions.drain():
            future = self._futures.pop(token, None)
            if future is None or future.done():
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

    def begin(self) -> tuple[int, asyncio.Future[Any]]:
        """A future, and the token under which its result arrives."""
        token = next(_tokens)
        future = self._futures[token] = asyncio.get_running_loop().create_future()
        return token, future

    async def result(self, send: Callable[[_core.Completions, int], PendingResult]) -> Any:
        """Has something sent whose result arrives under a token, and awaits that; who is cancelled gives it up."""
        token, future = self.begin()
        try:
            pending = send(self.completions, token)
            try:
                return await future
            except asyncio.CancelledError:
                if future.done() and not future.cancelled():
                    future.exception()  # It is known, and nobody wants it any more.
                pending.cancel()
                raise
        finally:
            self.forget(token)

    def forget(self, token: int) -> None:
        """Nobody waits for that token any more."""
        self._futures.pop(token, None)

    async def look(self, source: Source) -> None:
        """Waits until it is worth looking at the source again."""
        token, future = self.begin()
        try:
            if source._watch(self.completions, token):  # noqa: SLF001 - the core has it for this module alone.
                await future
        finally:
            self.forget(token)
            if not future.done() or future.cancelled():
                source._unwatch(token)  # noqa: SLF001


_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Waits] = weakref.WeakKeyDictionary()


def waits_of_running_loop() -> Waits:
    """What the running loop waits for."""
    loop = asyncio.get_running_loop()
    waits = _loops.get(loop)
    if waits is None:
        waits = _loops[loop] = Waits(loop)
    return waits
