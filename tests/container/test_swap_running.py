"""`system.swap()` while the object is in use: threads, calls in progress, several swaps at once."""

# The annotations are read at run time.

from __future__ import annotations

import _thread
import threading
import time
from typing import Any

import pytest
from container_lives import Better, Life, Store
from swap_storm import judge, rage
from symphony import boot


@pytest.fixture(autouse=True)
def _empty_log():
    Life.log.clear()


def test_each_step_of_one_object_runs_on_one_thread():
    class Bound:
        def __init__(self) -> None:
            self.threads = [_thread.get_ident()]

        def start(self) -> None:
            self.threads.append(_thread.get_ident())

        health = start

        def stop(self) -> None:
            self.threads.append(_thread.get_ident())
            stopped.append(self.threads)

    stopped: list[list[int]] = []
    with boot(components=[Bound]) as system:
        system.swap(Bound, Bound)
        system.swap(Bound, Bound)
        system.health()
    assert [len(set(threads)) for threads in stopped] == [1, 1, 1]
    assert [len(threads) for threads in stopped] == [4, 4, 5]


def test_own_threads_and_own_references_do_not_keep_it_from_being_drained():
    class Busy(Life):
        def __init__(self) -> None:
            super().__init__()
            self.again = self.name
            self.parts = {"self": [self], "call": lambda: self}
            self._end = threading.Event()

        def start(self) -> None:
            super().start()
            self._thread = threading.Thread(target=self._work)
            self._thread.start()

        def _work(self) -> None:
            while not self._end.wait(0.002):
                self.name()

        def stop(self) -> None:
            self._end.set()
            self._thread.join()
            super().stop()

    with boot(components=[Busy]) as system:
        report = system.swap(Busy, Busy)
        assert report.drained, str(report)
        assert Life.log == ["start Busy", "start Busy", "stop Busy"]


def test_a_stop_that_fails_is_told_and_the_swap_stands():
    class Bad(Life):
        def stop(self) -> None:
            super().stop()
            raise OSError("disk")

    with boot(components=[Bad, Store]) as system:
        report = system.swap(Bad, Better)
        assert isinstance(report.stop_error, OSError)
        assert "its stop failed: OSError: disk" in str(report)
        assert type(system[Bad]) is Better
    assert Life.log.count("stop Bad") == 1


def test_a_call_in_progress_ends_on_the_old_one():
    inside, go = threading.Event(), threading.Event()

    class Slow(Life):
        def work(self) -> str:
            inside.set()
            assert go.wait(10)
            return self.name()

    class User:
        def __init__(self, slow: Slow) -> None:
            self.slow = slow

    with boot(components=[Slow, User]) as system:
        answers: list[str] = []
        user = system[User]
        caller = threading.Thread(target=lambda: answers.append(user.slow.work()))
        caller.start()
        assert inside.wait(10)
        swapped: list[Any] = []
        swapper = threading.Thread(target=lambda: swapped.append(system.swap(Slow, Better)))
        swapper.start()
        deadline = time.monotonic() + 5
        while type(user.slow) is Slow and time.monotonic() < deadline:
            time.sleep(0.001)
        assert type(user.slow) is Better
        time.sleep(0.02)
        assert "stop Slow" not in Life.log
        go.set()
        caller.join(10)
        swapper.join(10)
        assert answers == ["Slow"]
        assert swapped[0].drained
        assert Life.log == ["start Slow", "start Better", "stop Slow"]


def test_eight_threads_call_while_it_is_swapped_a_hundred_times():
    judge(rage(calls=50_000, swaps=100), calls=50_000, swaps=100)


def test_two_threads_swap_at_once():
    class Other(Life):
        pass

    class Both:
        def __init__(self, store: Store, other: Other) -> None:
            self.store, self.other = store, other

    class Uses(Other):
        def __init__(self, store: Store) -> None:
            super().__init__()
            self.store = store

    with boot(components=[Store, Other, Both]) as system:
        failed: list[BaseException] = []

        def swapping(key: type, target: type) -> None:
            try:
                for _ in range(20):
                    assert system.swap(key, target).drained
            except BaseException as error:
                failed.append(error)

        pairs = [(Store, Better), (Other, Uses), (Store, Better)]
        threads = [threading.Thread(target=swapping, args=pair) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failed == []
        both = system[Both]
        assert both.store is both.other.store is system[Store]
        assert both.other is system[Other]
    for name in ("Store", "Better", "Other", "Uses"):
        assert Life.log.count(f"start {name}") == Life.log.count(f"stop {name}")
