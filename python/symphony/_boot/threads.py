"""The Python threads on which the steps of Python components run.

`boot()` starts one keeper; the keeper starts every other thread, asks a step that was given up to end, and says where
a thread hangs. Invariants: a thread whose step was given up is never used again; the keeper stays until the last step
has ended, also one that was given up, because a start that ends well after all is stopped then; no thread here ever
waits with a timeout, so that none wakes while the interpreter ends.
"""

from __future__ import annotations

import _contextvars
import _thread
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from symphony._boot.event_loop import EventLoops
    from symphony._boot.starter import Starter
    from symphony._core import Job, JobQueue, Keeper, StackRequest


class InterruptedStep(BaseException):
    """Raised inside a step on the calling thread that was given up; never seen outside `boot()`."""


class Terminated(SystemExit):
    """SIGTERM or SIGHUP came; its code is what a shell gives for a program that such a signal ended: 143, 129."""


def run_job(
    job: Job,
    loops: Callable[[], EventLoops] | None,
    interrupted: Callable[[BaseException], object] | None = None,
) -> bool:
    """Runs one step on this thread; an awaitable result is handed to the event loop.

    Args:
        job: The step.
        loops: Gives where awaitables go, whatever the step was declared as; `None` on the calling thread, where one is
            an error.
        interrupted: Told of what was raised: where a signal's handler did, that is for more than the step.

    Returns:
        False when the step had been given up, so that this thread must end.
    """
    thread = _thread.get_ident()
    if not job.begun(thread):
        job.skip()
        return False
    in_step = job.live.threads_in_step
    in_step.append(thread)
    try:
        step = job.step
        outcome: Any = job.live.start(job) if step == "start" else getattr(job.live, step)()
        # As the language looks for it: in the class. An object may have any attribute that it is asked for.
        if not hasattr(type(outcome), "__await__"):
            return job.finish(outcome)
        if loops is None:
            drop(outcome)
            raise TypeError(
                f"its `{step}()` returned an awaitable, and the thread that calls `boot()` serves no event loop: "
                "have it return nothing, or leave out `main_thread=True`"
            )
        try:
            served = loops()
        except BaseException:
            # A shortage costs this step, and is not remembered.
            drop(outcome)
            raise
        return served.submit(job, outcome)
    except BaseException as error:  # noqa: BLE001 - whatever a step raises is its outcome.
        if interrupted is not None:
            interrupted(error)
        # This frame is no news to anyone, and holds the job: a ring through the core that no collector sees.
        return job.fail(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
    finally:
        in_step.remove(thread)


def drop(awaitable: Any) -> None:
    """Closes what is never awaited, with the coroutine that it was given: else Python warns of each."""
    frame = getattr(awaitable, "cr_frame", None)
    given = [] if frame is None else [frame.f_locals.get(name) for name in ("outcome", "made")]
    close = getattr(awaitable, "close", None)
    if close is not None:
        close()
    for inner in given:
        if hasattr(inner, "cr_frame"):
            drop(inner)


def place_of(frame: FrameType) -> str:
    """`file:line in name` of a frame; nothing for the frames that lead from here to a step."""
    code = frame.f_code
    if code.co_filename.startswith((*_OWN, "<frozen importlib")):
        return ""
    return f"{code.co_filename}:{frame.f_lineno} in {code.co_name}"


def _own_files() -> tuple[str, ...]:
    folder = __file__.rpartition("/")[0]
    return (f"{folder}/", f"{folder.rpartition('/')[0]}/_components/scan.py")


_OWN = _own_files()


def stack_of(thread: int) -> list[str]:
    """The frames of the step that a thread is in, outermost first."""
    frame = sys._current_frames().get(thread)
    lines: list[str] = []
    while frame is not None and frame.f_code.co_name not in ("run_job", "_outside"):
        line = place_of(frame)
        if line:
            lines.append(line)
        frame = frame.f_back
    return lines[::-1]


class Threads:
    """The keeper of one system, and what it started."""

    __slots__ = ("_context", "_gate", "_keeper", "_loops", "_starter")

    def __init__(self, keeper: Keeper, starter: Starter) -> None:
        """Starts the keeper.

        Args:
            keeper: The core's end, which says what to do.
            starter: The boot, whose calling thread the keeper may interrupt.
        """
        # What the caller has set is read in the steps of every component; what a step sets is its own thread's.
        self._context = _contextvars.copy_context()
        self._gate = _thread.allocate_lock()
        self._keeper = keeper
        self._starter = starter
        self._loops: EventLoops | None = None
        _thread.start_new_thread(self._keep, ())

    def _keep(self) -> None:
        while True:
            order = self._keeper.next()
            if order is None:
                break
            what: str = order[0]
            subject: Any = order[1]
            if what == "spawn":
                self._spawn(subject)
            elif what == "interrupt":
                self._starter.interrupt()
            elif what == "cancel":
                if self._loops is not None:
                    self._loops.cancel(subject)
            elif what == "stack":
                self._answer(subject)
        if self._loops is not None:
            self._loops.close()

    def _spawn(self, queue: JobQueue) -> None:
        try:
            run: Any = self._context.copy().run
            _thread.start_new_thread(run, (self._work, queue))
        except RuntimeError:
            # There are too many, or, from 3.12 on, the interpreter ends: the step that it is for is done right here.
            job = queue.not_started()
            if job is not None:
                run_job(job, self._started_loops)

    def _work(self, queue: JobQueue) -> None:
        """The loop of one worker thread."""
        while True:
            job = queue.take()
            if job is None:
                return
            if not run_job(job, self._started_loops):
                queue.left()
                return
            del job

    def _started_loops(self) -> EventLoops:
        """The event loops, which the first awaitable starts."""
        if self._loops is None:
            from symphony._boot.event_loop import EventLoops

            with self._gate:
                # Another thread may have come first.
                if self._loops is None:
                    self._loops = EventLoops()
        return self._loops

    def _answer(self, request: StackRequest) -> None:
        """Says where a step stands, as `file:line in name`, innermost last."""
        thread, lines = request.thread, []
        if thread is None:
            # It waits for the calling thread, which is busy with something else.
            thread, before = self._starter.busy()
            lines.extend(before)
        elif self._loops is not None:
            lines.extend(self._loops.stack(request.job))
        request.answer("\n".join(lines + stack_of(thread)))

    def close(self) -> None:
        """Lets every thread end that is not inside a step; the keeper and the event loops end with the last step."""
        self._keeper.close()
