"""How an extension's process comes to its end: as a program's does, whoever wants it.

Called by `symphony._guest.server.Server` on its serving thread, and by the event loop's thread when an operation there
calls `sys.exit`. Keeps the promises that SIGTERM, by which the root hurries an extension that it asked to stop, ends
the operation that runs and nothing after it (hooks, `atexit`, finalizers have the rest of the stop's deadline), and
that a SIGTERM of anybody else ends the process as it ends every program.
"""

from __future__ import annotations

import _signal as signal  # The module behind it: an extension's folder may have a `signal.py`.
import os
import sys
import time

from symphony._signal_handlers import Handlers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn

_TERMINATED = 143
"""What a shell gives for a program that SIGTERM ended."""
_STOP_SECONDS = 2.0
"""After so long the root kills what it asked to stop."""
_EXIT_SECONDS = 0.3
"""So much of it is for `atexit` and finalizers."""
_CLOSE_SECONDS = 0.2
"""And so much for the event loop's end, after the last hook."""


class _StopTime:
    """What is left of the time that a stop has, from its beginning on."""

    def __init__(self) -> None:
        """No stop has begun."""
        self._until: float | None = None

    def runs_since(self, waited: float) -> None:
        """The stop has begun, so many seconds ago; the first word counts."""
        if self._until is None:
            self._until = time.monotonic() + _STOP_SECONDS - _EXIT_SECONDS - waited

    def left(self) -> float:
        """Return the seconds that are left of a stop until its last part, the end of the interpreter."""
        return _STOP_SECONDS if self._until is None else max(self._until - time.monotonic(), 0.0)

    def left_for_hooks(self) -> float | None:
        """Return the seconds that an asynchronous hook may take; None at a start, whose deadline the root keeps."""
        return None if self._until is None else max(self.left() - _CLOSE_SECONDS, 0.0)


class Ending(_StopTime):
    """Whether this process is on its way out, and by which code."""

    def __init__(
        self, stop_requested: Callable[[], bool], stopping_for: Callable[[], float | None]
    ) -> None:
        """Take SIGTERM over, where nobody else has and this thread may.

        Args:
            stop_requested: Tells whether the root has asked the extension to stop.
            stopping_for: Tells for how many seconds it has waited for that.
        """
        self._stop_requested = stop_requested
        self._stopping_for = stopping_for
        super().__init__()
        self._process = os.getpid()
        self._begun = False
        self._leaving: SystemExit | None = None
        try:
            if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                Handlers().put(signal.SIGTERM, self._terminated)
        except ValueError:
            # Not the main thread: a test serves here, and nobody sends it a signal.
            return

    def begin(self) -> None:
        """From now on only the root's deadline ends what still runs."""
        self._begun = True
        self.runs_since(self._stopping_for() or 0.0)

    def leave(self, leaving: SystemExit) -> None:
        """End the extension from another thread than the serving one, as `sys.exit` there would."""
        if is_forked():
            leave_fork(leaving)
        self._leaving = leaving
        if signal.getsignal(signal.SIGTERM) != self._terminated:
            # Taken over by the author's code: the serving thread cannot be woken.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(exit_code(leaving))
        # It wakes the serving thread from whatever it waits for.
        os.kill(self._process, signal.SIGTERM)

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        del frame
        if os.getpid() == self._process:
            if self._begun:
                return
            if self._leaving is not None:
                raise self._leaving
            if self._stop_requested():
                raise SystemExit(_TERMINATED)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


class ThreadEnding(_StopTime):
    """The same for what a thread serves of a process that goes on after it: a test's.

    Attributes:
        begun: Whether it is on its way out: nothing interrupts it any more.
        leaving: What `sys.exit` was called with on another thread than the serving one.
    """

    def __init__(self, stop: Callable[[], object]) -> None:
        """Keep what has the host stop the extension.

        Args:
            stop: Wakes the serving thread from whatever it waits for.
        """
        super().__init__()
        self.begun = False
        self.leaving: SystemExit | None = None
        self._stop = stop

    def begin(self) -> None:
        """From now on only the root's deadline ends what still runs."""
        self.begun = True
        self.runs_since(0.0)

    def leave(self, leaving: SystemExit) -> None:
        """End the extension from another thread than the serving one, as `sys.exit` there would."""
        if is_forked():
            leave_fork(leaving)
        self.leaving = leaving
        self._stop()


_forked = False


def watch_forks() -> None:
    """Have a child that an operation forks know that it is one: the lane is its parent's, and raises there."""
    from symphony._core import mark_forked

    def in_child() -> None:
        global _forked  # noqa: PLW0603 - a property of the process.
        _forked = True
        mark_forked()

    os.register_at_fork(after_in_child=in_child)


def is_forked() -> bool:
    """Tell whether this process is a child that an operation forked."""
    return _forked


def leave_fork(raised: BaseException | None) -> NoReturn:
    """End a forked child that came back from its operation: only its parent may answer.

    Args:
        raised: What it came back with; None where it returned.
    """
    code = 0
    if isinstance(raised, SystemExit):
        code = exit_code(raised)
    elif raised is not None and type(raised).__name__ != "ForkedError":
        import traceback

        traceback.print_exception(type(raised), raised, raised.__traceback__)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(code)


def exit_code(leaving: SystemExit) -> int:
    """Return the exit code that a program gets of what `sys.exit` was given; a text is written to stderr."""
    code = leaving.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    sys.stderr.write(f"{code}\n")
    return 1
