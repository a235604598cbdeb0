"""The event loop on which async steps run, with a parked spare. Imported with the first async step only.

Invariants: a loop that does not come back from a cancelled step in 250 ms is left behind with its thread, and the
steps that it has not begun, and all that come, run on the spare; a step is begun once, and known by itself and not by
its component, which may have another one under way. A loop is never stopped while it has a step: a coroutine that was
dropped is closed wherever the collector comes by, and one that swallows everything would keep that thread, even at the
interpreter's end.
"""

from __future__ import annotations

import _thread
import asyncio
import sys

from symphony._boot.threads import drop, place_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import FrameType
    from typing import Any

    from symphony._core import Job

_PATIENCE = 0.25


class _Loop:
    """One event loop on a daemon thread of its own."""

    __slots__ = ("_leaving", "_thread", "loop", "tasks", "waiting")

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.tasks: dict[Job, asyncio.Task[None]] = {}
        # Who takes a step out of here, in one operation, begins it.
        self.waiting: dict[Job, Awaitable[Any]] = {}
        self._leaving = False
        try:
            self._thread = _thread.start_new_thread(self._run, ())
        except RuntimeError:
            self.loop.close()
            raise

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()

    def submit(self, job: Job, awaitable: Awaitable[Any]) -> None:
        """Takes a step; from any thread."""
        self.waiting[job] = awaitable
        self.loop.call_soon_threadsafe(self._start, job)

    def _start(self, job: Job) -> None:
        self.tasks[job] = self.loop.create_task(self._step(job))

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
        # What it calls, where it is not waiting but running on the loop's thread; else what that is busy with.
        called: list[str] = []
        running = sys._current_frames().get(self._thread)
        while running is not None and running is not innermost:
            called.append(place_of(running))
            running = running.f_back
        return lines + self.held() if running is None else lines + called[::-1]

    def held(self) -> list[str]:
        """Where something keeps the thread from serving the loop."""
        frame = sys._current_frames().get(self._thread)
        idle = frame is None or frame.f_code.co_filename.endswith("selectors.py")
        return [f"waits for the event loop, which is held at {place_of(frame)}"] if frame and not idle else []

    async def _step(self, job: Job) -> None:
        awaitable = self.waiting.pop(job, None)
        if awaitable is None:
            self._ended(job)
            return
        in_step = job.live.threads_in_step
        in_step.append(self._thread)
        try:
            job.finish(await awaitable)
        except BaseException as error:  # noqa: BLE001 - whatever a step raises is its outcome.
            job.fail(error)
        finally:
            in_step.remove(self._thread)
            self._ended(job)

    def _ended(self, job: Job) -> None:
        self.tasks.pop(job, None)
        self._end_if_done()


def _another() -> _Loop | None:
    """A loop; none where no descriptors or threads are left, or the interpreter ends: what is there is the last."""
    try:
        return _Loop()
    except (OSError, RuntimeError):
        return None


class EventLoops:
    """The loop in use, its spare, and those that were left behind."""

    __slots__ = ("_left", "_loop", "_spare")

    def __init__(self) -> None:
        """Starts both, or the one for which there is room.

        Raises:
            OSError: There are no descriptors for one.
            RuntimeError: There is no thread for one.
        """
        self._loop = _Loop()
        self._spare = _another()
        self._left: list[_Loop] = []

    def submit(self, job: Job, awaitable: Awaitable[Any]) -> bool:
        """Runs an awaitable as the rest of a step."""
        loop = self._loop
        try:
            loop.submit(job, awaitable)
        except RuntimeError:
            # One that was left behind has ended.
            if loop is self._loop:
                raise
        if loop is not self._loop:
            # It was left behind meanwhile.
            self._move(loop)
        return True

    def cancel(self, job: Job) -> None:
        """Cancels the step of this job; a loop that does not come back is left behind."""
        for loop in (self._loop, *self._left):
            if job in loop.waiting:
                self._never_begun(loop, job)
                return
            task = loop.tasks.get(job)
            if task is not None:
                self._cancel(loop, task)
                return

    def _never_begun(self, loop: _Loop, job: Job) -> None:
        """A step that had no turn in its time: something else holds the loop, and would hold up the others too."""
        awaitable = loop.waiting.pop(job, None)
        if awaitable is None:
            return
        drop(awaitable)
        job.fail(asyncio.CancelledError())
        self._replace(loop)

    def _cancel(self, loop: _Loop, task: asyncio.Task[None]) -> None:
        back = _thread.allocate_lock()
        back.acquire()

        def ended(_task: asyncio.Task[None]) -> None:
            back.release()

        def stop() -> None:
            task.add_done_callback(ended)
            task.cancel()

        loop.loop.call_soon_threadsafe(stop)
        if not back.acquire(timeout=_PATIENCE):
            self._replace(loop)

    def _replace(self, loop: _Loop) -> None:
        """Goes on with the spare, and with another one after it."""
        if loop is not self._loop or self._spare is None:
            return
        self._loop, self._spare = self._spare, None
        self._left.append(loop)
        self._move(loop)
        loop.leave()
        self._spare = _another()

    def _move(self, loop: _Loop) -> None:
        """Hands on what a loop has not begun."""
        for job in list(loop.waiting):
            awaitable = loop.waiting.pop(job, None)
            if awaitable is not None:
                self._loop.submit(job, awaitable)

    def stack(self, job: Job) -> list[str]:
        """Where an async step stands, outermost first; nothing when it is none."""
        for loop in (self._loop, *self._left):
            if job in loop.waiting:
                return loop.held()
            task = loop.tasks.get(job)
            if task is not None:
                return [line for line in loop.stack(task) if line]
        return []

    def close(self) -> None:
        """Lets all loops end; a hanging one is left to the end of the process."""
        for loop in (self._loop, self._spare):
            if loop is not None:
                loop.leave()
