"""What `symphony dev` shows: what extensions print, line by line with their names, and what it does itself.

Used by `command`, from several threads. The invariant kept here: a line is written whole.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from symphony._cli import _errors

if TYPE_CHECKING:
    from types import TracebackType

_ALL = "symphony"
_LOGGER = "symphony.extension"
"""What extensions print is logged under it, with their names behind it."""


def say(text: str) -> None:
    """Shows what was done."""
    _write(sys.stdout, text)


def say_error(error: BaseException) -> None:
    """Shows an error in the house form, with the other side's traceback."""
    _write(sys.stderr, "\n".join([_errors.render(error), *_errors.remote_lines(error)]))


def warn(text: str) -> None:
    """Shows what somebody has to mend."""
    _write(sys.stderr, text)


def _write(stream: object, text: str) -> None:
    # One call, so that lines of several threads do not mix.
    print(text, file=stream, flush=True)  # type: ignore[call-overload]


def short(path: str) -> str:
    """The path as a person here would name it."""
    inside = os.path.relpath(path)
    return path if inside.startswith(os.pardir) else inside


class ExtensionLines(logging.Handler):
    """Shows the lines of extensions while its block lasts, whatever `logging` is told to do with others."""

    def emit(self, record: logging.LogRecord) -> None:
        """Shows one line."""
        name = record.name[len(_LOGGER) + 1 :]
        _write(sys.stdout, f"{name} | {record.getMessage()}")

    def __enter__(self) -> ExtensionLines:  # noqa: PYI034 - `Self` is not in `typing` before 3.11.
        """Begins."""
        # Lines are handed on in their order: one that nobody listens to would keep those behind it waiting.
        self._others = logging.NullHandler()
        logging.getLogger(_ALL).addHandler(self._others)
        logger = logging.getLogger(_LOGGER)
        self._before = (logger.level, logger.propagate)
        logger.addHandler(self)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Ends."""
        logger = logging.getLogger(_LOGGER)
        logger.removeHandler(self)
        logging.getLogger(_ALL).removeHandler(self._others)
        logger.level, logger.propagate = self._before
