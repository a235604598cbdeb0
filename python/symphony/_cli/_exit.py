"""Exit codes: 0 ok, 1 failed or findings, 2 usage, 129 hung up, 130 interrupted, 143 terminated.

A boot that hangs for good is ended with 70 by the core. Every command returns one of these.
"""

from __future__ import annotations

from symphony._boot.threads import Terminated
from symphony._cli import _errors
from symphony.exceptions import SymphonyError

OK, FAILED, USAGE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143


def exit_code_of(error: BaseException) -> int:
    """The exit code of a command that ended with this error."""
    interrupted = isinstance(error, SymphonyError) and error.code == "interrupted"
    # A boot that a signal ended says so with what the signal raised as its cause.
    reason = error.__cause__ if interrupted and error.__cause__ is not None else error
    if isinstance(reason, Terminated):
        return reason.code if isinstance(reason.code, int) else TERMINATED
    if isinstance(error, _errors.UsageError):
        return USAGE
    return INTERRUPTED if interrupted or isinstance(reason, KeyboardInterrupt) else FAILED
