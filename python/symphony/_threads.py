"""The Python threads on which the steps of Python components run.

`boot()` starts one keeper; the keeper starts every other thread, asks a step that was given up to end, and says where
a thread hangs. Invariant: a thread whose step was given up is never used again, and no thread here ever waits with a
timeout, so that none wakes while the interpreter ends.
"""

from __future__ import annotations

import _signal
import _thread
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from symphony._core import Job, JobQueue, Keeper, StackRequest
    from symphony._event_loop import EventLoops


class InterruptedStep(BaseException):
    """Raised inside a step on the calling thread that was given up; never seen outside `boot()`."""


def run_job(job: Job, loops: EventLoops | None) -> bool:
    """Runs one step on this thread; an awaitable result is handed to the event loop.

    Returns:
        False when the step had been given up, so that this thread must end.
    """
    job.begun(_thread.get_ident())
    try:
        outcome = getattr(job.live, job.step)()
        if loops is not None and hasattr(outcome, "__await__"):
            return loops.submit(job, outcome)
        return job.finish(*health_of(outcome))
    except BaseException as error:  # noqa: BLE001 - whatever a step raises is its outcome.
        return job.fail(error)


def health_of(outcome: Any) -> tuple[str, str | None]:
    """What a step's result says of its component: state and reason.

    A start and a stop may return anything. `health()` returns nothing or True (healthy), False (unhealthy), or a
    `Health`, whose state may carry a reason.
    """
    if outcome is None or outcome is True:
        return ("healthy", None)
    if outcome is False:
        return ("unhealthy", "its `health()` returned False")
    state = getattr(outcome, "state", None)
    if state in ("healthy", "degraded", "unhealthy"):
        return (state, getattr(outcome, "reason", None))
    return ("healthy", None)


class Threads:
    """The keeper of one system, and what it started."""

    __slots__ = ("_calling", "_keeper", "_loops", "_signal")

    def __init__(self, keeper: Keeper, calling_thread: int, interrupt_signal: int | None) -> None:
        """Starts the keeper.

        Args:
            keeper: The core's end, which says what to do.
            calling_thread: The thread that called `boot()`.
            interrupt_signal: The signal whose handler raises on the main thread; `None` when another thread booted.
        """
        self._keeper = keeper
        self._calling = calling_thread
        self._signal = interrupt_signal
        self._loops: EventLoops | None = None
        _thread.start_new_thread(self._keep, ())

    def _keep(self) -> None:
        while True:
            order = self._keeper.next()
            if order is None:
                return
            what, subject = order
            if what == "spawn":
                _thread.start_new_thread(self._work, (subject,))
            elif what == "interrupt":
                self._interrupt()
            elif what == "cancel":
                if self._loops is not None:
                    self._loops.cancel(subject)
            elif what == "stack":
                self._answer(subject)

    def _work(self, queue: JobQueue) -> None:
        """The loop of one worker thread."""
        while True:
            job = queue.take()
            if job is None:
                return
            if job.live.is_async and self._loops is None:
                self._loops = self._start_loops()
            if not run_job(job, self._loops):
                queue.left()
                return
            del job

    def _start_loops(self) -> EventLoops:
        from symphony._event_loop import EventLoops

        return EventLoops()

    def _interrupt(self) -> None:
        """Raises in the calling thread: by a signal on the main thread, else by an asynchronous exception."""
        if self._signal is not None:
            _signal.pthread_kill(self._calling, self._signal)
            return
        import ctypes

        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(self._calling), ctypes.py_object(InterruptedStep)
        )

    def _answer(self, request: StackRequest) -> None:
        """Says where a thread stands, as `file:line in name`, innermost last."""
        frame = sys._current_frames().get(request.thread)
        lines: list[str] = []
        while frame is not None:
            code = frame.f_code
            if code.co_filename != __file__:
                lines.append(f"{code.co_filename}:{frame.f_lineno} in {code.co_name}")
            frame = frame.f_back
        request.answer("\n".join(reversed(lines)))

    def close(self) -> None:
        """Lets every thread end that is not inside a step."""
        self._keeper.close()
        if self._loops is not None:
            self._loops.close()
