"""Where boot events go in Python: the logger `symphony.boot` and the observer, in order, on a thread of their own."""

from __future__ import annotations

import _thread
import sys

from symphony._log import forget_thread
from symphony._work import report_unraisable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from symphony._core import BootEvent, EventQueue


def follow(events: EventQueue, observer: Callable[[BootEvent], object] | None) -> None:
    """Starts the thread that hands events on until the boot has ended."""
    _thread.start_new_thread(_follow, (events, observer))


def _follow(events: EventQueue, observer: Callable[[BootEvent], object] | None) -> None:
    kept: list[BootEvent] = []
    while True:
        event = events.take()
        if event is not None:
            kept.append(event)
        logging = _logging()
        if logging is not None:
            for waiting in kept:
                _log(logging, waiting)
            kept.clear()
        if event is None:
            forget_thread()
            events.drained()
            return
        if observer is not None:
            try:
                observer(event)
            except BaseException as error:  # noqa: BLE001 - an observer never changes the boot.
                report_unraisable(error, observer)


def _logging() -> Any:
    """The `logging` module, once somebody imported it and its import has ended."""
    logging = sys.modules.get("logging")
    if logging is None or getattr(logging.__spec__, "_initializing", False):
        return None
    return logging


def _log(logging: Any, event: BootEvent) -> None:
    """Phases at INFO, components at DEBUG."""
    level = logging.INFO if event.component is None else logging.DEBUG
    logger = logging.getLogger("symphony.boot")
    if logger.isEnabledFor(level):
        logger.log(level, "%s", event)
