"""Many runs of a Melody with a bounded number in flight, and what became of them.

`symphony run` uses it, and any program that has many inputs for one Melody. The invariant kept here:
each job ends once, in one of the two counts, whatever its run raises; and only so many runs are open
that neither memory nor queues grow.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING

from symphony.exceptions import SymphonyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Protocol

    class Run(Protocol):
        """What is needed of a run."""

        @property
        def state(self) -> str:
            """`running`, or how it ended."""
            ...

        def result(self, timeout: float | None = None) -> Mapping[str, Any]:
            """Its values by node."""
            ...

        def cancel(self) -> None:
            """Ends it."""

    class Submits(Protocol):
        """What is needed of a system."""

        def submit(self, melody: Any, inputs: Mapping[str, Any]) -> Run:
            """Starts a run."""
            ...


IN_FLIGHT = 256
_TICK = 0.05


class Job:
    """One run that is wanted.

    Attributes:
        name: What people call it: the file that it is about, or its number.
        inputs: The inputs of the Melody.
    """

    __slots__ = ("inputs", "name")

    def __init__(self, name: str, inputs: Mapping[str, Any]) -> None:
        """Keeps both."""
        self.name = name
        self.inputs = inputs


class Tally:
    """What became of the jobs so far.

    Attributes:
        ok: Runs that ended well.
        failed: Runs that did not.
        seconds: From the first submission to the latest end.
        failures: Each failed job's name with its error, in the order of their ends.
        spans: Name, start, end and outcome of each run, in seconds after the first submission.
    """

    __slots__ = ("failed", "failures", "ok", "seconds", "spans")

    def __init__(self) -> None:
        """Nothing has ended yet."""
        self.ok = 0
        self.failed = 0
        self.seconds = 0.0
        self.failures: list[tuple[str, SymphonyError]] = []
        self.spans: list[tuple[str, float, float, bool]] = []

    @property
    def count(self) -> int:
        """Runs that ended."""
        return self.ok + self.failed

    @property
    def per_second(self) -> float:
        """Runs that ended per second."""
        return self.count / self.seconds if self.seconds > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The `runs` of `run --json`."""
        return {
            "count": self.count,
            "ok": self.ok,
            "failed": self.failed,
            "seconds": round(self.seconds, 6),
            "per_second": round(self.per_second, 3),
        }

    def line(self) -> str:
        """One line for people."""
        noun = "run" if self.count == 1 else "runs"
        return (
            f"{self.count} {noun}: {self.ok} ok, {self.failed} failed, "
            f"in {self.seconds:.2f} s ({self.per_second:.1f} runs/s)"
        )

    def failure_lines(self, limit: int = 5) -> list[str]:
        """The first failures, each with the extension that it came from."""
        lines: list[str] = []
        for name, error in self.failures[:limit]:
            extension = getattr(error, "extension", None)
            place = f" in extension `{extension}`" if extension else ""
            lines.append(f"`{name}` failed{place}: {error.message.splitlines()[0]}")
        if len(self.failures) > limit:
            lines.append(f"and {len(self.failures) - limit} more")
        return lines


def run_batch(
    system: Submits,
    melody: Any,
    jobs: Iterable[Job],
    *,
    in_flight: int = IN_FLIGHT,
    ended: Callable[[Job, Mapping[str, Any] | None], None] | None = None,
    progress: Callable[[Tally], None] | None = None,
    record: Callable[[Job, Any, SymphonyError | None], None] | None = None,
    tally: Tally | None = None,
) -> Tally:
    """Runs every job.

    Args:
        system: The system to submit to.
        melody: The Melody, or its path.
        jobs: The jobs; taken one by one as there is room.
        in_flight: How many runs are open at once.
        ended: Called with each job that ended and its values by node; none where it failed.
        progress: Called when the counts have changed, and now and then.
        record: Called with each job that ended, its run, and its error where it failed.
        tally: Where they are counted as they end, so that whoever is interrupted has the counts; a new one when none.

    Returns:
        What became of them: `tally`.
    """
    batch = _Batch(ended, progress, record, Tally() if tally is None else tally)
    waiting = iter(jobs)
    try:
        for job in waiting:
            while len(batch.open) >= in_flight:
                batch.wait()
            batch.open.append((job, system.submit(melody, job.inputs), batch.now()))
        while batch.open:
            batch.wait()
    except BaseException:
        for _, run, _ in batch.open:
            run.cancel()
        raise
    return batch.tally


class _Batch:
    """The open runs, oldest first."""

    def __init__(
        self,
        ended: Callable[[Job, Mapping[str, Any] | None], None] | None,
        progress: Callable[[Tally], None] | None,
        record: Callable[[Job, Any, SymphonyError | None], None] | None,
        tally: Tally,
    ) -> None:
        self.tally = tally
        self.open: deque[tuple[Job, Run, float]] = deque()
        self._ended = ended
        self._progress = progress
        self._record = record
        self._began = time.monotonic()

    def now(self) -> float:
        """Seconds since the first submission."""
        return time.monotonic() - self._began

    def wait(self) -> None:
        """Waits a moment for the oldest run, then takes out every run that has ended."""
        _, run, _ = self.open[0]
        # A wait that is over and a run that failed by a timeout raise alike: the states tell.
        with contextlib.suppress(SymphonyError, TimeoutError):
            run.result(timeout=_TICK)
        self._sweep()
        if self._progress is not None:
            self._progress(self.tally)

    def _sweep(self) -> None:
        """Takes out every run that has ended, not only the oldest."""
        still: deque[tuple[Job, Run, float]] = deque()
        while self.open:
            job, run, began = self.open.popleft()
            if run.state == "running":
                still.append((job, run, began))
                continue
            try:
                values = run.result(timeout=None)
            except (SymphonyError, TimeoutError) as error:
                self._end(job, run, began, None, error)
            else:
                self._end(job, run, began, values, None)
        self.open = still

    def _end(
        self,
        job: Job,
        run: Run,
        began: float,
        values: Mapping[str, Any] | None,
        error: BaseException | None,
    ) -> None:
        now = self.now()
        self.tally.seconds = now
        self.tally.spans.append((job.name, began, now, error is None))
        ours: SymphonyError | None = None
        if error is None:
            self.tally.ok += 1
        else:
            self.tally.failed += 1
            ours = error if isinstance(error, SymphonyError) else SymphonyError(str(error))
            self.tally.failures.append((job.name, ours))
        if self._record is not None:
            self._record(job, run, ours)
        if self._ended is not None:
            self._ended(job, values)
