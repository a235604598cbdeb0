"""Batches of runs: bounded, each job ended once, a run's own timeout told from the wait's."""

from __future__ import annotations

import threading
import time

import pytest
from symphony.batch import Job, run_batch
from symphony.exceptions import CallTimeoutError, ExtensionCrashedError


class FakeRun:
    def __init__(self, system, outcome, seconds):
        self._system, self._outcome = system, outcome
        self.state = "running"
        self._done = threading.Event()
        self.cancelled = False
        threading.Timer(seconds, self._end).start()

    def _end(self):
        self.state = "failed" if isinstance(self._outcome, Exception) else "done"
        with self._system.lock:
            self._system.open -= 1
        self._done.set()

    def result(self, timeout=None):
        if not self._done.wait(timeout):
            raise TimeoutError
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return {"node": self._outcome}

    def cancel(self):
        self.cancelled = True


class FakeSystem:
    def __init__(self, outcome):
        self.lock = threading.Lock()
        self.open = self.most = 0
        self.outcome = outcome
        self.runs = []

    def submit(self, melody, inputs):
        with self.lock:
            self.open += 1
            self.most = max(self.most, self.open)
        run = FakeRun(self, *self.outcome(inputs["n"]))
        self.runs.append(run)
        return run


def jobs(count):
    return [Job(f"job {n}", {"n": n}) for n in range(count)]


def test_all_jobs_end_once_and_only_so_many_are_open():
    crash = ExtensionCrashedError("it crashed", extension="lint")
    system = FakeSystem(lambda n: (crash if n % 10 == 3 else n, 0.002 * (n % 5)))
    ended = []
    seen = []
    tally = run_batch(
        system,
        "m.toml",
        jobs(100),
        in_flight=8,
        ended=lambda job, values: ended.append((job.name, values)),
        progress=lambda tally: seen.append(tally.count),
    )
    assert (tally.count, tally.ok, tally.failed) == (100, 90, 10)
    assert sorted(name for name, _ in ended) == sorted(job.name for job in jobs(100))
    assert dict(ended)["job 7"] == {"node": 7}
    assert system.most <= 8
    assert seen == sorted(seen)
    assert tally.failure_lines(1) == [
        f"`{tally.failures[0][0]}` failed in extension `lint`: it crashed",
        "and 9 more",
    ]
    assert tally.line().startswith("100 runs: 90 ok, 10 failed, in ")
    assert len(tally.spans) == 100


def test_a_run_that_fails_by_a_timeout_is_a_failed_run_and_a_slow_one_is_waited_for():
    late = CallTimeoutError("`lint.lint` did not answer in 1 s", extension="lint")
    system = FakeSystem(lambda n: (late, 0.0) if n == 0 else (n, 0.3))
    tally = run_batch(system, "m.toml", jobs(2))
    assert (tally.ok, tally.failed) == (1, 1)
    assert tally.failures == [("job 0", late)]


def test_an_interrupt_cancels_what_is_open():
    system = FakeSystem(lambda n: (n, 0.5))

    def interrupt(tally):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_batch(system, "m.toml", jobs(3), progress=interrupt)
    assert all(run.cancelled for run in system.runs)
    time.sleep(0.6)
