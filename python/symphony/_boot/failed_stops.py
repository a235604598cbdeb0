"""Stops that failed while a system was shut down: told to whoever has set nothing up for it.

Called by `shutdown()` in each of its forms. Invariant: every one is told with its exception where `logging` listens,
and in one line on stderr where nothing does; none is raised, because the rest was stopped and is gone, and a handler
that raises is told and keeps nothing from its end.
"""

from __future__ import annotations

import sys

from symphony import _core

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
            _write(f"symphony: {failure}\n")
        return
    for failure in failures:
        name = failure.split("`", 2)[1] if failure.startswith("`") else ""
        error = raised.get(name)
        # Without an exception the core's own record has said it all.
        if error is not None:
            try:
                logger.error("%s", failure, exc_info=(type(error), error, error.__traceback__))
            except BaseException as fault:  # noqa: BLE001 - a handler of the user's keeps no system from its end.
                _core.write_unraisable(fault, logger)


def _write(line: str) -> None:
    try:
        if sys.stderr is not None:
            sys.stderr.write(line)
            sys.stderr.flush()
    except (OSError, ValueError):
        # Nobody is left to be told.
        return
