"""What code of the user's raised that nobody else raises: in a stop, a health, a start that may fail, a choice.

Called by `shutdown()` in each of its forms, by the container, and by the Conductor's thread. Invariant: every one is
told with its exception and traceback, by `logging` where it listens, else on stderr; a handler that raises is told and
keeps nothing from its way.
"""

from __future__ import annotations

import sys

from symphony import _core
from symphony._boot import log_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


def tell(failures: Sequence[str], raised: Mapping[str, BaseException]) -> None:
    """Tells of stops that failed.

    Args:
        failures: What the core says of each.
        raised: What a component's stop raised, by the component's name.
    """
    if not failures:
        return
    logging: Any = sys.modules.get("logging")
    logger = None if logging is None else logging.getLogger("symphony.boot")
    if logger is None or not logger.hasHandlers():
        for failure in failures:
            write(f"symphony: {failure}\n{_traceback_of(raised.get(_named(failure)))}")
        return
    for failure in failures:
        error = raised.get(_named(failure))
        # Without an exception the core's own record has said it all.
        if error is not None:
            try:
                logger.error("%s", failure, exc_info=(type(error), error, error.__traceback__))
            except BaseException as fault:  # noqa: BLE001 - a handler of the user's keeps no system from its end.
                _core.write_unraisable(fault, logger)


def tell_raised(name: str, step: str, error: BaseException) -> None:
    """Tells what a step of a component raised, where the core goes on without it.

    Args:
        name: The component's name.
        step: `start` or `health`.
        error: What it raised.
    """
    text = f"`{name}` raised in its {step}"
    if not log_raised("symphony.boot", text, error):
        write(f"symphony: {text}\n{_traceback_of(error)}")


def log_raised(logger_name: str, text: str, error: BaseException) -> bool:
    """Hands what was raised to `logging`, with its traceback.

    Args:
        logger_name: Whose record it is.
        text: What happened.
        error: What was raised.

    Returns:
        False where nobody listens there, so that it has to be told elsewhere.
    """
    logging: Any = sys.modules.get("logging")
    logger = None if logging is None else logging.getLogger(logger_name)
    if logger is None or not logger.hasHandlers():
        return False
    known = log_lines.is_known_thread()
    try:
        logger.warning("%s", text, exc_info=(type(error), error, error.__traceback__))
    except BaseException as fault:  # noqa: BLE001 - a handler of the user's changes nothing.
        _core.write_unraisable(fault, logger)
    finally:
        if not known:
            log_lines.forget_thread()
    return True


def _named(failure: str) -> str:
    return failure.split("`", 2)[1] if failure.startswith("`") else ""


def _traceback_of(error: BaseException | None) -> str:
    """The traceback as text, but for the frames that are ours; nothing where it cannot be told."""
    if error is None:
        return ""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_OWN):
        frames = frames.tb_next
    try:
        import traceback

        return "".join(traceback.format_exception(type(error), error, frames))
    except BaseException:  # noqa: BLE001 - a text of the user's that raises.
        return ""


_OWN = f"{__file__.rpartition('/')[0]}/"


def write(line: str) -> None:
    """Writes to stderr, where there is one that takes it."""
    try:
        if sys.stderr is not None:
            sys.stderr.write(line)
            sys.stderr.flush()
    except (OSError, ValueError):
        # Nobody is left to be told.
        return
