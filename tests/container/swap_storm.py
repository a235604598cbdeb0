"""Threads that call a component as often as they can while it is swapped, and what came of it."""

# The annotations are read at run time.

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Callable

from symphony import Handle, boot

if TYPE_CHECKING:
    from symphony import SwapReport


class Counted:
    """Knows whether it is stopped, and how many of it there were."""

    made = stops = 0

    def __init__(self) -> None:
        self.open = True
        type(self).made += 1

    def call(self) -> int:
        # Read more than once, so that a stop in the middle of a call is seen.
        for _ in range(3):
            if not self.open:
                raise AssertionError("called on a stopped object")
        return 1

    def stop(self) -> None:
        self.open = False
        type(self).stops += 1


class User:
    def __init__(self, counted: Counted, handle: Handle[Counted]) -> None:
        self.counted = counted
        self.handle = handle


class Closure:
    """Sees what the closure was given, whatever is swapped."""

    def __init__(self, call: Callable[[], int]) -> None:
        self.call = call


def closure(counted: Counted) -> Closure:
    return Closure(lambda: counted.call())  # the line of the closure


class Storm:
    """One storm: what the threads asked and what they were answered, and the report of each swap."""

    def __init__(self) -> None:
        self.asked = self.answered = 0
        self.errors: list[BaseException] = []
        self.reports: list[SwapReport] = []


@contextmanager
def often():
    """The interpreter goes from thread to thread ten times as often, so that more orders are tried."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(interval / 10)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def rage(calls: int, swaps: int, threads: int = 8) -> Storm:
    """Threads make at least so many calls together, and go on until the last of so many swaps."""
    storm, lock, ended = Storm(), threading.Lock(), threading.Event()
    Counted.made = Counted.stops = 0
    share = -(-calls // threads)

    with often(), boot(components=[Counted, User, closure]) as system:
        user = system[User]

        def work() -> None:
            asked = answered = 0
            try:
                while asked < share or not ended.is_set():
                    asked += 2
                    answered += user.counted.call() + user.handle.value.call()
            except BaseException as error:
                storm.errors.append(error)
            with lock:
                storm.asked += asked
                storm.answered += answered

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        # The closure holds the first one: waiting for it tells nothing more after a moment.
        storm.reports.append(system.swap(Counted, Counted, drain=0.2))
        storm.reports += [system.swap(Counted, Counted, drain=60) for _ in range(swaps - 1)]
        ended.set()
        for worker in workers:
            worker.join(3000)
        assert system[Closure].call() == 1
    return storm


def judge(storm: Storm, calls: int, swaps: int) -> None:
    """No call was lost, none went to a stopped object, none raised; the closure was named."""
    assert storm.errors == []
    assert storm.asked == storm.answered >= calls
    assert len(storm.reports) == swaps
    first, *others = storm.reports
    assert not first.drained
    line = closure.__code__.co_firstlineno + 1
    held = [holder for holder in first.holders if f"swap_storm.py:{line}" in holder.place]
    assert held, str(first)
    assert "`counted: Handle[Counted]`" in held[0].edit
    assert all(report.drained for report in others)
    assert (Counted.made, Counted.stops) == (swaps + 1, swaps + 1)
