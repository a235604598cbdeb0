"""What a test left behind: processes, threads, descriptors. Linux's `/proc` says it."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


class LeftBehindError(AssertionError):
    """Something was left behind; each line names one thing."""


class Leaks:
    """What this process had at one moment, to be compared with later.

    A system that was shut down is let go of with the last variable that holds it: look after that.

    Attributes:
        processes: The processes below this one, by id, with their command lines.
        threads: The threads of this process, by id, with their names.
        descriptors: The open descriptors, by number, with what they are open on.
    """

    def __init__(self) -> None:
        """Looks at the process as it is now."""
        self.processes = _processes()
        self.threads = _threads()
        self.descriptors = _descriptors()

    def found(self, patience: float = 5.0) -> list[str]:
        """What there is now and was not then.

        Args:
            patience: Seconds that whatever is about to end has for it.

        Returns:
            One line for each; none when nothing was left.
        """
        end = time.monotonic() + patience
        pause = 0.01
        while True:
            # A caught exception and its frames refer to each other, and with that to what was
            # booted; what a collection frees may free more in the next.
            gc.collect()
            left = self._look()
            if not left or time.monotonic() >= end:
                return left
            time.sleep(pause)
            pause = min(pause * 2, 0.25)

    def _look(self) -> list[str]:
        left = [
            f"process {pid}: {text}"
            for pid, text in _processes().items()
            if pid not in self.processes
        ]
        threads = {ident: name for ident, name in _threads().items() if ident not in self.threads}
        left += [f"thread {ident}: {name}" for ident, name in threads.items()]
        left += [
            f"descriptor {number}: {target}"
            for number, target in _descriptors().items()
            if self.descriptors.get(number) != target
        ]
        return left


@contextlib.contextmanager
def no_leaks(patience: float = 5.0) -> Generator[Leaks, None, None]:
    """Holds a block to leaving nothing behind.

    Args:
        patience: Seconds that whatever is about to end has for it.

    Raises:
        LeftBehindError: A process, a thread or a descriptor was left.
    """
    before = Leaks()
    yield before
    left = before.found(patience)
    if left:
        raise LeftBehindError("left behind:\n  " + "\n  ".join(left))


def _processes() -> dict[int, str]:
    found: dict[int, str] = {}
    waiting = [os.getpid()]
    while waiting:
        parent = waiting.pop()
        for task in _listed(f"/proc/{parent}/task"):
            children = [
                int(child) for child in _read(f"/proc/{parent}/task/{task}/children").split()
            ]
            waiting += children
            for child in children:
                found[child] = _read(f"/proc/{child}/cmdline").replace("\0", " ").strip()
    return found


def _threads() -> dict[int, str]:
    return {
        int(task): _read(f"/proc/self/task/{task}/comm").strip()
        for task in _listed("/proc/self/task")
    }


def _descriptors() -> dict[int, str]:
    found: dict[int, str] = {}
    for number in _listed("/proc/self/fd"):
        # One that is gone was the listing's own.
        with contextlib.suppress(OSError):
            found[int(number)] = os.readlink(f"/proc/self/fd/{number}")
    return found


def _listed(folder: str) -> list[str]:
    """The names in a folder; none when its process ended."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _read(file: str) -> str:
    """A file's text; empty when its process ended."""
    try:
        with open(file, encoding="utf-8", errors="replace") as source:
            return source.read()
    except OSError:
        return ""
