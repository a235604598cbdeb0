"""How things are measured: fresh processes in turn, and round trips on one processor."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def fresh(source: str, *arguments: str) -> dict[str, float]:
    """Runs a script in a fresh interpreter; its last line of output is JSON. Adds `process`, its whole seconds."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", source, *arguments], capture_output=True, text=True, check=True
    )
    whole = time.perf_counter() - begin
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    result["process"] = whole
    return result


def in_turn(
    rounds: int, *contenders: Callable[[], dict[str, float]]
) -> list[list[dict[str, float]]]:
    """Visits all contenders once per round, after one round that is not counted."""
    results: list[list[dict[str, float]]] = [[] for _ in contenders]
    for number in range(rounds + 1):
        for place, contender in enumerate(contenders):
            result = contender()
            if number:
                results[place].append(result)
    return results


def median(results: Sequence[dict[str, float]], key: str) -> float:
    """The median of one figure."""
    return statistics.median(result[key] for result in results)


def ratio(
    left: Sequence[dict[str, float]],
    right: Sequence[dict[str, float]],
    key: str,
    other: str | None = None,
) -> float:
    """The median of the paired ratios."""
    return statistics.median(one[key] / two[other or key] for one, two in zip(left, right))


def round_trips(call: Callable[[], object], count: int = 3000) -> dict[str, float]:
    """Median and 99th percentile of a call, in microseconds."""
    for _ in range(200):
        call()
    clock = time.perf_counter_ns
    spans = []
    for _ in range(count):
        begin = clock()
        call()
        spans.append(clock() - begin)
    spans.sort()
    return {"p50": spans[count // 2] / 1e3, "p99": spans[count * 99 // 100] / 1e3}


def pinned(processors: set[int]) -> None:
    """Binds this process, and what it starts, to these processors."""
    os.sched_setaffinity(0, processors)


def versions() -> str:
    """The machine and what was measured on it."""
    import platform

    return f"{os.cpu_count()} cores, Linux {platform.release().split('-')[0]}, CPython {platform.python_version()}"
