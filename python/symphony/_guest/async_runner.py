"""Runs an extension's `async def` operations, imported with the first of them.

One event loop on a daemon thread of its own, so that many operations can wait at once while the
serving thread takes the next request. Called by `symphony._guest.server.Server` only. Keeps the promise
that every operation started here is answered exactly once, a cancelled one included.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading

from symphony._work.loop_waits import waits_of_running_loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from typing import Any

    from symphony._core import GuestLane


_correlation: contextvars.ContextVar[int | None] = contextvars.ContextVar(
    "symphony_correlation", default=None
)
_CANCEL_POLL_SECONDS = 0.02
_SETTLE_SECONDS = 1.0
"""So long may tasks take to heed their cancellation: half of what the root gives to a whole stop."""
_CLOSE_SECONDS = 0.4
_AT_ONCE = 64
"""So many values are sent before the loop's other tasks have their turn."""


async def send_values(lane: GuestLane, correlation: int, values: AsyncIterator[Any]) -> bool:
    """Send the values of an asynchronous generator, and leave the loop to others while its reader is behind.

    Args:
        lane: Where they go.
        correlation: The request that they answer.
        values: The generator.

    Returns:
        False when the reader has given the stream up.
    """
    sent = 0
    while await _has_room(lane, correlation):
        try:
            value = await values.__anext__()
        except StopAsyncIteration:
            return True
        if lane.cancelled(correlation):
            return False
        lane.item(correlation, value)
        sent += 1
        if sent % _AT_ONCE == 0:
            await asyncio.sleep(0)
    return False


async def _has_room(lane: GuestLane, correlation: int) -> bool:
    """Wait until the reader of a stream has room for the next value; False when it wants no more."""
    waits = waits_of_running_loop()
    while True:
        token, future = waits.begin()
        try:
            room = lane.room(correlation, waits.completions, token)
            if room is not False:
                return room is not None
            await future
        finally:
            waits.forget(token)


class AsyncRunner:
    """An event loop on its own thread, and the operations that run on it."""

    def __init__(
        self,
        cancelled: Callable[[int], bool],
        leave: Callable[[SystemExit], None],
        begins: Callable[[], object] = lambda: None,
    ) -> None:
        """Start the loop.

        Args:
            cancelled: Tells whether the caller of a request has given it up.
            leave: Ends the extension, when something here calls `sys.exit`.
            begins: Called on the loop's thread, before anything runs there.
        """
        self._cancelled = cancelled
        self._leave = leave
        self._begins = begins
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._given_up: set[int] = set()
        self._loop = asyncio.new_event_loop()
        self._watching = False
        self._over = False
        self._thread = threading.Thread(target=self._run, name="symphony-async", daemon=True)
        self._thread.start()

    def current(self) -> int | None:
        """Return the correlation of the operation that the asking code runs in, if any."""
        return _correlation.get()

    def was_given_up(self, correlation: int) -> bool:
        """Tell whether an operation was cancelled from here: by its caller, or at the end."""
        return correlation in self._given_up

    def start(
        self,
        correlation: int,
        work: Coroutine[Any, Any, None],
        unanswered: Callable[[int, BaseException], None],
    ) -> None:
        """Start an operation; it answers by itself.

        Args:
            correlation: The request that it answers.
            work: What runs it and answers.
            unanswered: Answers for an operation that was cancelled before its first step.
        """
        self._loop.call_soon_threadsafe(self._begin, correlation, work, unanswered)

    def wait(self, hook: Awaitable[Any], left: Callable[[], float | None]) -> None:
        """Run something on the loop and wait for it here; what it raises comes out.

        Args:
            hook: What an asynchronous hook gave.
            left: Tells for how many seconds it may be waited for, where that is bounded.

        Raises:
            TimeoutError: It has not ended by then: the loop is blocked, or the hook is slow. It is cancelled.
        """
        from concurrent.futures import TimeoutError as NotInTime

        async def run() -> None:
            await hook

        seconds = left()
        running = asyncio.run_coroutine_threadsafe(run(), self._loop)
        try:
            running.result(seconds)
        except NotInTime:
            if running.done():
                # The hook's own.
                raise
            running.cancel()
            message = f"an asynchronous hook had {seconds:.1f} s and has not ended"
            raise TimeoutError(message) from None

    def settle(self, left: float) -> None:
        """Cancel every task, the extension's own background tasks too, and give them time for their `finally`.

        Args:
            left: The seconds that all of the stop has left.
        """
        self._wait_a_while(self._cancel_all(), min(_SETTLE_SECONDS, left))

    def close(self, left: float) -> None:
        """Cancel what still runs, give it a moment to clean up, and end the thread.

        Args:
            left: The seconds that all of the stop has left.
        """
        seconds = min(_CLOSE_SECONDS, left / 2)
        self._wait_a_while(self._cancel_all(), seconds)
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(seconds)

    def _wait_a_while(self, work: Coroutine[Any, Any, None], seconds: float) -> None:
        from concurrent.futures import TimeoutError as NotInTime

        try:
            asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)
        except NotInTime:
            # A task that does not heed its cancellation ends with the process.
            return

    def _run(self) -> None:
        self._begins()
        asyncio.set_event_loop(self._loop)
        while not self._run_on():
            pass
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def _run_on(self) -> bool:
        """Run the loop; False when a task of an operation's own broke out of it, which the others survive."""
        try:
            self._loop.run_forever()
        except SystemExit as leaving:
            # As in a synchronous operation it ends the extension; the loop goes on for what the tasks have to clean up.
            self._leave(leaving)
        except BaseException:  # noqa: BLE001  # A task keeps what it raised; KeyboardInterrupt leaves the loop too.
            import traceback

            traceback.print_exc()
        return self._over

    def _stop(self) -> None:
        self._over = True
        self._loop.stop()

    def _begin(
        self,
        correlation: int,
        work: Coroutine[Any, Any, None],
        unanswered: Callable[[int, BaseException], None],
    ) -> None:
        _correlation.set(correlation)  # The task's context is a copy of this callback's.
        task = self._loop.create_task(work)
        self._tasks[correlation] = task

        def ended(task: asyncio.Task[None]) -> None:
            del self._tasks[correlation]
            if task.cancelled():
                work.close()  # Cancelled before its first step, it was never awaited.
                unanswered(correlation, asyncio.CancelledError())
            self._given_up.discard(correlation)

        task.add_done_callback(ended)
        if not self._watching:
            self._watching = True
            self._loop.call_later(_CANCEL_POLL_SECONDS, self._watch)

    def _watch(self) -> None:
        """Cancel the tasks of requests that were given up; runs only while there are tasks."""
        for correlation, task in list(self._tasks.items()):
            # Once: a second cancellation would break what its `finally` awaits.
            if correlation not in self._given_up and self._cancelled(correlation):
                self._given_up.add(correlation)
                task.cancel()
        self._watching = bool(self._tasks)
        if self._watching:
            self._loop.call_later(_CANCEL_POLL_SECONDS, self._watch)

    async def _cancel_all(self) -> None:
        told = {self._tasks[correlation] for correlation in self._given_up & self._tasks.keys()}
        self._given_up.update(self._tasks)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks - told:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        own = set(self._tasks.values())
        for task in tasks - own:
            # Nobody else asks a background task how it ended.
            if not task.cancelled() and task.exception() is not None:
                self._loop.call_exception_handler(
                    {
                        "message": "a background task failed while the extension stopped",
                        "exception": task.exception(),
                        "task": task,
                    }
                )
