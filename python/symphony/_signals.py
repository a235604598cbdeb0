"""The signal handlers that a boot needs on the main thread, for as long as it serves steps there.

Called by `_boot`. Several boots may be under way on that thread at once, step by step or one inside another. The
invariant kept here: the first of them installs the handlers, the last one puts back what stood there before.
"""

from __future__ import annotations

# `_signal` is what `signal` wraps in enumerations, whose import would take longer than the rest of the boot.
import _signal

from symphony._threads import InterruptedStep, Terminated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from symphony._boot import Starter

# A real-time signal that no program is likely to use: its handler raises in a step that was given up.
INTERRUPT = _signal.SIGRTMAX - 3

_serving: list[Starter] = []
_saved: dict[int, Any] = {}


def guard(starter: Starter, *, terminate: bool) -> None:
    """A step of this boot can be interrupted from now on.

    Args:
        starter: The boot.
        terminate: SIGTERM rolls it back, where that has its default action.
    """
    _serving.append(starter)
    _install(INTERRUPT, _on_interrupt)
    if terminate and _signal.getsignal(_signal.SIGTERM) == _signal.SIG_DFL:
        _install(_signal.SIGTERM, _on_terminate)


def release(starter: Starter) -> None:
    """It serves no steps any more."""
    if starter not in _serving:
        return
    _serving.remove(starter)
    while _saved and not _serving:
        number, handler = _saved.popitem()
        if handler is not None:
            _signal.signal(number, handler)


def _install(number: int, handler: Any) -> None:
    if number not in _saved:
        _saved[number] = _signal.signal(number, handler)


def _on_interrupt(_number: int, _frame: FrameType | None) -> None:
    if any(starter.is_in_step() for starter in _serving):
        raise InterruptedStep


def _on_terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated(143)
