"""The event loop on which async steps run, with a parked spare. Imported with the first async step only.

Invariants: a loop that does not come back from a cancelled step in 250 ms is left behind with its thread, and the
steps that remain run on the spare. A loop is never stopped while it has a step: a coroutine that was dropped is closed
wherever the collector comes by, and one that swallows everything would keep that thread, even at the interpreter's end.
"""

from __future__ import annotations

import _thread
import asyncio
import sys

from symphony._boot.threads import place_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import FrameType
    from typing import Any

    from symphony._core import Job

_PATIENCE = 0.25


class _Loop:
    """One event loop on a daemon thread of its own."""

    __slots__ = ("_leaving", "_thread", "loop", "tasks")

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self._leaving = False
        self._thread = _thread.start_new_thread(self._run, ())

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()

    def start(self, job: Job, awaitable: Awaitable[Any]) -> None:
        """Makes the task of a step; runs on the loop."""
        self.tasks[id(job.live)] = self.loop.create_task(self._step(job, awaitable))

    def leave(self) -> None:
        """No further step comes: it ends with its last one."""
        self.loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        self._leaving = True
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self._leaving and not self.tasks:
            self.loop.stop()

    def stack(self, task: asyncio.Task[None]) -> list[str]:
        """Where the coroutine of a step stands, outermost first."""
        lines: list[str] = []
        innermost: FrameType | None = None
        coroutine: Any = task.get_coro()
        while coroutine is not None:
            frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "ag_frame", None)
            if frame is not None:
                lines.append(place_of(frame))
                innermost = frame
            coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "ag_await", None)
        # What it calls, where it is not waiting but running on the loop's thread.
        called: list[str] = []
        running = sys._current_frames().get(self._thread)
        while running is not None and running is not innermost:
            called.append(place_of(running))
            running = running.f_back
        return lines if running is None else lines + called[::-1]

    async def _step(self, job: Job, awaitable: Awaitable[Any]) -> None:
        in_step = job.live.threads_in_step
        in_step.append(self._thread)
        try:
            job.finish(await awaitable)
        except BaseException as error:  # noqa: BLE001 - whatever a step raises is its outcome.
            job.fail(error)
        finally:
            in_step.remove(self._thread)
            self.tasks.pop(id(job.live), None)
            self._end_if_done()


class EventLoops:
    """The loop in use and its spare."""

    __slots__ = ("_loop", "_spare")

    def __init__(self) -> None:
        """Starts both."""
        self._loop = _Loop()
        self._spare: _Loop | None = _Loop()

    def submit(self, job: Job, awaitable: Awaitable[Any]) -> bool:
        """Runs an awaitable as the rest of a step."""
        loop = self._loop
        loop.loop.call_soon_threadsafe(loop.start, job, awaitable)
        return True

    def cancel(self, job: Job) -> None:
        """Cancels the step of this job; a loop that does not come back is left behind."""
        loop = self._loop
        task = loop.tasks.get(id(job.live))
        if task is None:
            return
        back = _thread.allocate_lock()
        back.acquire()

        def ended(_task: asyncio.Task[None]) -> None:
            back.release()

        def stop() -> None:
            task.add_done_callback(ended)
            task.cancel()

        loop.loop.call_soon_threadsafe(stop)
        if not back.acquire(timeout=_PATIENCE) and self._spare is not None:
            self._loop, self._spare = self._spare, None
            loop.leave()

    def stack(self, live: Any) -> list[str]:
        """Where the async step of a component stands, outermost first; nothing when it has none."""
        task = self._loop.tasks.get(id(live))
        return [] if task is None else [line for line in self._loop.stack(task) if line]

    def close(self) -> None:
        """Lets both loops end; a hanging one is left to the end of the process."""
        for loop in (self._loop, self._spare):
            if loop is not None:
                loop.leave()
