"""Where the words of the core, the boot and the extensions go in Python: `logging`, in order, on a thread of its own.

Boot events are logged under `symphony.boot`, an extension's output line by line under `symphony.extension.<name>`. What
is said before `logging` is imported and has a handler is kept, the last thousand lines of it and four million
characters at most, with the time at which it was said. It is handed on when there is a handler: looked for a while
after the boot, with every later line, at the next boot and at exit. Nothing is ever printed by itself.
"""

from __future__ import annotations

import _thread
import sys

from symphony import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    _Line = tuple[int, str, str, float]

_KEPT = 1000
_KEPT_CHARACTERS = 4_000_000
_LOOK = 0.25
"""Seconds between two looks for a handler that somebody may have installed."""
_LOOKS = 120
"""So often; a program that never configures `logging` is left in peace then."""
_PATIENCE = 0.25

_kept: list[_Line] = []
_saying = _thread.allocate_lock()
_at_exit = False


def follow() -> _core.LogFollower:
    """Starts the thread that hands lines on until the follower is closed."""
    follower = _core.LogFollower()
    _thread.start_new_thread(_follow, (follower,))
    return follower


def settle(follower: _core.LogFollower) -> None:
    """Waits a moment until what was said so far has reached `logging`, where anybody imported it."""
    if "logging" in sys.modules:
        follower.settle()


def _follow(follower: _core.LogFollower) -> None:
    looks = _LOOKS
    while True:
        lines = follower.take(_LOOK if looks > 0 else None)
        looks -= 1
        _hand_on(lines or [], follower)
        if lines is None:
            forget_thread()
            follower.drained()
            return


def _hand_on(lines: list[_Line], source: object) -> None:
    """Logs these lines after those that are kept, or keeps them too."""
    with _saying:
        _kept.extend(lines)
        _say(source)
        del _kept[:-_KEPT]
        waiting = sum(len(text) for _, _, text, _ in _kept)
        while waiting > _KEPT_CHARACTERS:
            waiting -= len(_kept.pop(0)[2])
    if _kept:
        _say_at_exit()


def is_known_thread() -> bool:
    """Whether the calling thread stands in `threading`'s table: one that only a log record would put there must not."""
    threading: Any = sys.modules.get("threading")
    return threading is not None and _thread.get_ident() in threading._active  # noqa: SLF001


def forget_thread() -> None:
    """Takes the calling thread out of `threading`'s table, where a log record has put it; until 3.13 for ever."""
    threading: Any = sys.modules.get("threading")
    if threading is not None:
        # The standard library has no other way.
        threading._active.pop(_thread.get_ident(), None)  # noqa: SLF001


def _say(source: object) -> None:
    """Logs what is kept, as far as anybody listens; a handler that raises costs its line and no other."""
    logging: Any = sys.modules.get("logging")
    if logging is None or getattr(logging.__spec__, "_initializing", False):
        return
    while _kept:
        level, name, text, at = _kept[0]
        logger = logging.getLogger(name)
        if not logger.hasHandlers():
            return
        del _kept[0]
        try:
            if logger.isEnabledFor(level):
                record = logger.makeRecord(name, level, "symphony", 0, "%s", (text,), None)
                # It may have been said long before it could be logged.
                record.relativeCreated += (at - record.created) * 1e3
                record.created = at
                record.msecs = int(at % 1 * 1e3) + 0.0
                logger.handle(record)
        except BaseException as error:  # noqa: BLE001 - a handler of the user's ends no thread of ours.
            _core.write_unraisable(error, source)


def _say_at_exit() -> None:
    """Has what is still kept at the end of the process handed on then, once."""
    global _at_exit  # noqa: PLW0603 - a hook of the process.
    if _at_exit:
        return
    _at_exit = True
    import atexit
    import os

    process = os.getpid()

    def last() -> None:
        if os.getpid() == process and _saying.acquire(timeout=_PATIENCE):
            try:
                _say(last)
            finally:
                _saying.release()

    atexit.register(last)
