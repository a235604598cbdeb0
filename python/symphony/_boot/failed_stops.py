"""Stops that failed while a system was shut down: told to whoever has set nothing up for it.

Called by `shutdown()` in each of its forms. Invariant: every one is told with its exception where `logging` listens,
and in one line on stderr where nothing does; none is raised, because the rest was stopped and is gone.
"""

from __future__ import annotations

import sys

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
            logger.error("%s", failure, exc_info=(type(error), error, error.__traceback__))


def _write(line: str) -> None:
    try:
        if sys.stderr is not None:
            sys.stderr.write(line)
            sys.stderr.flush()
    except (OSError, ValueError):
        # Nobody is left to be told.
        return
