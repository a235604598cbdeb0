"""Where boot events go in Python: to the observer, in order, on a thread of its own; `log_lines` logs them."""

from __future__ import annotations

import _thread

from symphony import _core
from symphony._boot.log_lines import forget_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from symphony._core import BootEvent, EventQueue


def follow(events: EventQueue, observer: Callable[[BootEvent], object]) -> None:
    """Starts the thread that hands events on until the boot has ended."""
    _thread.start_new_thread(_follow, (events, observer))


def _follow(events: EventQueue, observer: Callable[[BootEvent], object]) -> None:
    while True:
        event = events.take()
        if event is None:
            forget_thread()
            events.drained()
            return
        try:
            observer(event)
        except BaseException as error:  # noqa: BLE001 - an observer never changes the boot.
            _core.write_unraisable(error, observer)
