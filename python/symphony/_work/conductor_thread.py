"""Where Melodies run: the engine's Python end, with the one thread on which a Conductor is asked.

Invariant: `choose` and `observe` are called on one thread, never two at a time; a Conductor that raises or is late
costs one decision, never a run.
"""

from __future__ import annotations

import _thread
import sys

from symphony import _core
from symphony._signal_handlers import Handlers
from symphony.conductor import Conductor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    _Log = Callable[[str, str, BaseException], bool]


class RunSummary:
    """What a stretch of work came to.

    Attributes:
        count: Runs that ended.
        ok: Those that ended well.
        failed: Those that did not.
        seconds: From the first submission to the last end.
    """

    __slots__ = ("count", "failed", "ok", "seconds")

    def __init__(self, count: int, ok: int, failed: int, seconds: float) -> None:
        """Keeps the counts."""
        self.count = count
        self.ok = ok
        self.failed = failed
        self.seconds = seconds

    @property
    def per_second(self) -> float:
        """Runs that ended per second."""
        return self.count / self.seconds if self.seconds > 0 else 0.0

    def __repr__(self) -> str:
        """The counts."""
        return f"RunSummary(count={self.count}, ok={self.ok}, failed={self.failed}, seconds={self.seconds:.3f})"


class Work:
    """The engine of one system and the Conductor that it asks.

    Attributes:
        core: The core's end of the Orchestra Kit.
    """

    __slots__ = ("_conductor", "_port", "core")

    def __init__(self, core: _core.Kit) -> None:
        """Nothing is asked yet: the engine serves the oldest run first by itself."""
        self.core = core
        self._conductor: Any = None
        self._port: Any = None

    def attach(self, conductor: Any, log: _Log | None = None) -> None:
        """Lets the engine ask this Conductor, where it has a word of its own.

        Args:
            conductor: Who is asked.
            log: Hands what it raised to `logging`: logger, what happened, exception; false where nobody listens.
        """
        if conductor is self._conductor or self._conductor is not None:
            return
        self._conductor = conductor
        kind = type(conductor)
        chooses = getattr(kind, "choose", None) not in (None, Conductor.choose)
        observes = getattr(kind, "observe", None) not in (None, Conductor.observe)
        if chooses or observes:
            self._port = self.core.policy_port(chooses, observes)
            _thread.start_new_thread(self._conduct, (self._port, conductor, log))

    @staticmethod
    def _conduct(port: _core.PolicyPort, conductor: Any, log: _Log | None) -> None:
        """The conductor thread."""
        while True:
            question = port.next()
            if question is None:
                return
            what, subject = question
            try:
                if what == "choose":
                    port.answer(conductor.choose(subject))
                else:
                    conductor.observe(subject)
            except BaseException as error:  # noqa: BLE001 - the engine falls back to oldest-first.
                port.failed()
                told = log is not None and log(
                    "symphony.conductor", f"the Conductor's `{what}` raised", error
                )
                if not told or sys.unraisablehook is not sys.__unraisablehook__:
                    _core.write_unraisable(error, conductor)

    def run(self, forever: bool) -> RunSummary:
        """Waits until nothing is left to do, or until `shutdown()` or a signal."""
        if not forever:
            return RunSummary(*self.core.run(False))
        handlers = Handlers()
        try:
            _install(handlers)
            counts = self.core.run(True)
        except _Signalled:
            counts = self.core.summary()
        finally:
            try:  # noqa: SIM105 - for which `contextlib` would be imported.
                handlers.put_back()
            except _Signalled:
                # It ends already.
                pass
        return RunSummary(*counts)


class _Signalled(BaseException):
    """A signal that nobody else handles asks to end."""


def _install(handlers: Handlers) -> None:
    """Takes the signals that ask a program to end, where the program does not handle them."""
    if not _core.is_main_thread():
        return
    import signal

    own = (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    )
    for number, unhandled in own:
        if signal.getsignal(number) is unhandled:
            handlers.put(number, _signalled)


def _signalled(_number: int, _frame: Any) -> None:
    raise _Signalled
