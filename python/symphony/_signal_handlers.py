"""The signal handlers that we put in place, and what stood there before.

Called by whatever of ours handles a signal: a boot, a Conductor that runs for ever, the command line, an extension's
process. The invariant kept here: a child that is forked meanwhile, by `multiprocessing` say, has the handlers of a
program in which we are not, from its first instant on. Ours would act for its parent; and a signal that comes before
the child's interpreter is ready is forgotten where its handler is Python's: `Pool.terminate()` waited for ever for a
worker that had had its SIGTERM.
"""

from __future__ import annotations

import _thread
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any
else:
    # What is behind `signal`: an extension's folder may have a `signal.py`, and its enumerations cost more than a boot.
    import _signal

_ours: dict[int, tuple[Any, Any]] = {}
"""By signal: our handler, and what a program without us would have."""
_masks: dict[int, Any] = {}
"""By thread that forks: the signals that it blocked before."""
_watching = False


def put(number: int, handler: Any, *, without_us: Any = None) -> Any:
    """Puts a handler in place; main thread only.

    Args:
        number: The signal.
        handler: What handles it from now on.
        without_us: What a forked child has in its place; what stands there now when none.

    Returns:
        What stood there.

    Raises:
        ValueError: This is not the main thread.
    """
    global _watching  # noqa: PLW0603 - hooks of a process cannot be taken out again.
    before = _signal.signal(number, handler)
    if without_us is None:
        # Ours over ours: a boot inside a command.
        above, below = _ours.get(number, (None, None))
        without_us = below if above is before and above is not None else before
    _ours[number] = (handler, without_us)
    if not _watching:
        _watching = True
        os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
    return before


def put_back(number: int, earlier: Any) -> None:
    """Puts back what `put` returned; main thread only.

    Args:
        number: The signal.
        earlier: What stood there; none where that was not Python's.

    Raises:
        ValueError: This is not the main thread.
    """
    _, without_us = _ours.pop(number, (None, None))
    if earlier is None:
        # Not installed from Python: there is no way back to it.
        return
    _signal.signal(number, earlier)
    if without_us is not None and without_us != earlier:
        # Below ours stood another of ours.
        _ours[number] = (earlier, without_us)


def _before() -> None:
    # What Python handles in the child too would be raised by the hook below, which swallows it.
    numbers = [number for number, (_, without_us) in _ours.items() if not callable(without_us)]
    if numbers:
        _masks[_thread.get_ident()] = _signal.pthread_sigmask(_signal.SIG_BLOCK, numbers)


def _in_parent() -> None:
    mask = _masks.pop(_thread.get_ident(), None)
    if mask is not None:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)


def _in_child() -> None:
    for number, (handler, without_us) in _ours.items():
        # Where the program has put its own over ours, that one stays.
        if without_us is not None and _signal.getsignal(number) == handler:
            _signal.signal(number, without_us)
    _ours.clear()
    # What came meanwhile acts here, by what now stands there.
    _in_parent()
