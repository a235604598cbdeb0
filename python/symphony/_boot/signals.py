"""The signal handlers that a boot needs for as long as it is under way, most of them on the main thread.

Called by `_boot`. Several boots may be under way at once, on several threads, step by step or one inside another. The
invariant kept here: the first of them installs the handlers, the last one puts back what stood there before.
"""

from __future__ import annotations

from symphony._boot.threads import InterruptedStep, Terminated
from symphony._signal_handlers import Handlers

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from types import FrameType
    from typing import Any

    from symphony._boot.starter import Starter
else:
    # What `signal` wraps in enumerations, whose import would take longer than the rest of the boot.
    import _signal

# A real-time signal that no program is likely to use: its handler raises in a step that was given up.
INTERRUPT = _signal.SIGRTMAX - 3

# It makes the watchdog's stacks: ignored where nobody handles it, so that one too many does no harm.
STACKS = _signal.SIGURG

# They ask a program to end; the second one where its terminal is gone.
TERMINATING = (_signal.SIGTERM, _signal.SIGHUP)

_armed: list[Starter] = []
_serving: list[Starter] = []
_saved = Handlers()
_hushed = Handlers()


def arm(starter: Starter) -> None:
    """Lets the watchdog have every thread's stack written, also while one of them holds the interpreter.

    Args:
        starter: The boot.
    """
    import faulthandler

    if not _armed and _signal.getsignal(STACKS) == _signal.SIG_DFL:
        faulthandler.register(STACKS, file=2, all_threads=True)
    _armed.append(starter)


def guard(starter: Starter, *, terminate: bool) -> None:
    """A step of this boot can be interrupted from now on.

    Args:
        starter: The boot.
        terminate: SIGTERM and SIGHUP roll it back, where they have their default action.
    """
    _serving.append(starter)
    _install(INTERRUPT, _on_interrupt)
    for number in TERMINATING if terminate else ():
        if _signal.getsignal(number) == _signal.SIG_DFL:
            _install(number, _on_terminate)


def hush(starter: Starter) -> None:
    """This boot is rolled back because of a signal: another one would only tear the rollback, which takes 3 s at most.

    Args:
        starter: The boot.
    """
    if starter not in _serving:
        return
    for number in (_signal.SIGINT, *TERMINATING):
        # Once hushed, it is neither.
        if _signal.getsignal(number) in (_signal.default_int_handler, _on_terminate):
            _hushed.put(number, _on_another)


def release(starter: Starter) -> None:
    """It serves no steps any more."""
    if starter in _armed:
        import faulthandler

        _armed.remove(starter)
        if not _armed:
            faulthandler.unregister(STACKS)
    if starter not in _serving:
        return
    _serving.remove(starter)
    _hushed.put_back()
    if not _serving:
        _saved.put_back()


def came_from_handler(error: BaseException) -> bool:
    """Whether a signal's handler raised this, of the program's or of the interpreter's.

    What was raised in the middle of a step that way is nothing that the step did.
    """
    if isinstance(error, InterruptedStep):
        return False
    if isinstance(error, (KeyboardInterrupt, Terminated)):
        return True
    frames = error.__traceback__
    codes: set[Any] = set()
    while frames is not None:
        codes.add(frames.tb_frame.f_code)
        frames = frames.tb_next
    for number in range(1, _signal.SIGRTMAX + 1):
        handler: Any = _signal.getsignal(number)
        # A function, a method, or an object that is called.
        for called in (
            handler,
            getattr(handler, "__func__", None),
            vars(type(handler)).get("__call__"),
        ):
            if getattr(called, "__code__", None) in codes:
                return True
    return False


def within_interrupted(starter: Starter) -> bool:
    """Whether this boot runs inside a step of another one that was interrupted, so that it has to end too.

    Args:
        starter: The inner boot.

    Returns:
        True where the interruption is meant for an outer boot.
    """
    if starter not in _serving:
        return False
    return any(outer.interrupted for outer in _serving[: _serving.index(starter)])


def _install(number: int, handler: Any) -> None:
    if number not in _saved:
        _saved.put(number, handler)


def _on_interrupt(_number: int, _frame: FrameType | None) -> None:
    if any(starter.is_in_step() for starter in _serving):
        raise InterruptedStep


def _on_terminate(number: int, _frame: FrameType | None) -> None:
    raise Terminated(128 + number)


def _on_another(_number: int, _frame: FrameType | None) -> None:
    pass
