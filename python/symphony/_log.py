"""Where the core's and the extensions' words go in Python: `logging`, in order, on a thread of its own.

An extension's output is logged line by line under `symphony.extension.<name>`. What is said before `logging` is
imported and has a handler is kept, the last thousand lines of it; nothing is ever printed by itself.
"""

from __future__ import annotations

import _thread
import sys

from symphony import _core
from symphony._work import report_unraisable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KEPT = 1000


def follow() -> _core.LogFollower:
    """Starts the thread that hands lines on until the follower is closed."""
    follower = _core.LogFollower()
    _thread.start_new_thread(_follow, (follower,))
    return follower


def _follow(follower: _core.LogFollower) -> None:
    kept: list[tuple[int, str, str]] = []
    while True:
        line = follower.take()
        if line is not None:
            kept.append(line)
        try:
            if _say(kept):
                kept.clear()
        except BaseException as error:  # noqa: BLE001 - a handler of the user's ends no thread of ours.
            kept.clear()
            report_unraisable(error, follower)
        del kept[:-_KEPT]
        if line is None:
            forget_thread()
            follower.drained()
            return


def forget_thread() -> None:
    """Takes the calling thread out of `threading`'s table, where a log record has put it; until 3.13 for ever."""
    threading: Any = sys.modules.get("threading")
    if threading is not None:
        threading._active.pop(_thread.get_ident(), None)


def _say(lines: list[tuple[int, str, str]]) -> bool:
    """Logs them, where anybody listens."""
    logging: Any = sys.modules.get("logging")
    if logging is None or getattr(logging.__spec__, "_initializing", False):
        return False
    for level, name, text in lines:
        logger = logging.getLogger(name)
        if not logger.hasHandlers():
            return False
        if logger.isEnabledFor(level):
            logger.log(level, "%s", text)
    return True
