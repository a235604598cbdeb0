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


class Handlers:
    """Handlers that somebody of ours puts in place and later puts back together; of the main thread."""

    def __init__(self) -> None:
        """None is in place."""
        self._earlier: list[tuple[int, Any]] = []

    def __contains__(self, number: int) -> bool:
        """Whether one of these is in place for a signal."""
        return any(number == one for one, _ in self._earlier)

    def put(self, number: int, handler: Any, *, without_us: Any = None) -> None:
        """Puts a handler in place.

        Args:
            number: The signal.
            handler: What handles it from now on.
            without_us: What a forked child has in its place; what stands there now when none.

        Raises:
            ValueError: This is not the main thread.
        """
        before = _signal.getsignal(number)
        above = _ours.get(number)
        if without_us is None:
            # Ours over ours: a boot inside a command.
            without_us = above[1] if above is not None and above[0] is before else before
        # First: the handler may be called, and raise, before the line after it is reached.
        _ours[number] = (handler, without_us)
        self._earlier.append((number, before))
        try:
            _signal.signal(number, handler)
        except ValueError:
            self._earlier.pop()
            _forget(number, above)
            raise
        _watch_forks()

    def put_back(self) -> None:
        """Puts back what stood there, all of it also where a handler raises meanwhile; that is raised at the end.

        Raises:
            ValueError: This is not the main thread.
            BaseException: What a handler raised.
        """
        raised: BaseException | None = None
        while self._earlier:
            try:
                number, earlier = self._earlier[-1]
                # What was not installed from Python: there is no way back to it.
                if earlier is not None:
                    _signal.signal(number, earlier)
                _, without_us = _ours.pop(number, (None, None))
                if without_us is not None and without_us != earlier:
                    # Below ours stood another of ours.
                    _ours[number] = (earlier, without_us)
                self._earlier.pop()
            except ValueError:
                raise
            except BaseException as error:  # noqa: BLE001 - whatever a handler raises.
                raised = error
        if raised is not None:
            raise raised


def _forget(number: int, above: tuple[Any, Any] | None) -> None:
    if above is None:
        del _ours[number]
    else:
        _ours[number] = above


def _watch_forks() -> None:
    global _watching  # noqa: PLW0603 - hooks of a process cannot be taken out again.
    if not _watching:
        _watching = True
        os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)


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
