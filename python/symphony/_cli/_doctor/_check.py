"""A check, what it came to, and how it is run: on a thread of its own, with a deadline.

The invariant kept here: a check that raises or hangs is one failed check, and the next one runs.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from symphony._cli._doctor._subject import Subject

OK, DEGRADED, FAILED = "ok", "degraded", "failed"


class Finding(NamedTuple):
    """What a check came to.

    Attributes:
        status: `ok`, `degraded` or `failed`.
        detail: What was found, and why it matters where it is not what it should be.
        hint: What to do; nothing where nothing is to be done.
    """

    status: str
    detail: str
    hint: str | None = None


class Check(NamedTuple):
    """Something to look at.

    Attributes:
        name: Its name, which is promised not to change.
        look: What looks.
        deadline: So many seconds it may take.
    """

    name: str
    look: Callable[[Subject], Finding]
    deadline: float = 10.0


def ok(detail: str) -> Finding:
    """All is well."""
    return Finding(OK, detail)


def degraded(detail: str, hint: str) -> Finding:
    """It works, but less well or less safely than it could."""
    return Finding(DEGRADED, detail, hint)


def failed(detail: str, hint: str) -> Finding:
    """It does not work."""
    return Finding(FAILED, detail, hint)


def made(check: Check, subject: Subject) -> Finding:
    """Makes a check.

    Returns:
        What it came to; a check that raises, or does not end in time, has failed.
    """
    found: list[Finding] = []
    ended = threading.Event()

    def look() -> None:
        try:
            found.append(check.look(subject))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the other checks are made.
            found.append(_raised(error))
        finally:
            ended.set()

    # A daemon: what hangs in the kernel must not keep this process.
    looking = threading.Thread(target=look, name=f"doctor: {check.name}", daemon=True)
    subject.looking.append(looking)
    try:
        looking.start()
    except RuntimeError:
        # No memory for one more thread. A check without a deadline says more than none.
        subject.looking.remove(looking)
        try:
            return check.look(subject)
        except Exception as error:  # noqa: BLE001 - as above.
            return _raised(error)
    if ended.wait(check.deadline):
        # Its stack is the next one's then, which counts where memory is limited.
        looking.join()
        subject.looking.remove(looking)
        return found[0]
    return failed(
        f"the check did not end within {check.deadline:g} s",
        "something that it asks does not answer: a file system of the network, or a process that is stopped",
    )


def _raised(error: BaseException) -> Finding:
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return failed(f"the check itself failed: {text}", _REPORT)


_REPORT = "this may be a fault of the doctor: report it with this line"
