"""How much memory a process has of its own, and whether something that is done again and again needs ever more.

Three figures, because each sees what the others miss. What the process has resident sees everything, but neither a
leak that fits into the gaps of earlier work nor one of a few bytes. What the C heap has in use sees every lost
allocation of native code to the byte. The count of Python's blocks sees every lost object.
"""

from __future__ import annotations

import ctypes
import gc
import statistics
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SETTLE = 5
"""Looks at each measuring point; the least counts. What still ends in the background is only ever more."""

_PAUSE = 0.005


class Growth(NamedTuple):
    """What one more run of something costs for good.

    Attributes:
        runs: How many runs were measured.
        resident: Bytes of the process's own memory, for each run.
        heap: Bytes in use on the C heap, for each run; `None` where the C library does not say.
        blocks: Blocks of Python's allocator, for each run.
        first: The process's own bytes before the first measured run.
        last: The process's own bytes after the last.
    """

    runs: int
    resident: float
    heap: float | None
    blocks: float
    first: int
    last: int

    def is_flat(self, *, bytes_per_run: float = 512, blocks_per_run: float = 1.0) -> bool:
        """Whether nothing rises by more than this.

        Args:
            bytes_per_run: What memory and heap may rise by with each run.
            blocks_per_run: What Python's blocks may.
        """
        most = max(self.resident, self.heap or 0.0)
        return most < bytes_per_run and self.blocks < blocks_per_run

    def __str__(self) -> str:
        """One line."""
        heap = "unknown" if self.heap is None else f"{self.heap:.0f} bytes"
        return (
            f"{self.runs} runs: {self.first / 2**20:.1f} to {self.last / 2**20:.1f} MiB; in the second half"
            f" each adds {self.resident:.0f} bytes resident, {heap} of heap, {self.blocks:.2f} blocks"
        )


def growth(
    action: Callable[[], object], *, runs: int = 400, warm_up: int = 20, points: int = 16
) -> Growth:
    """Does something again and again, and says what each run costs for good.

    Memory rises at first: caches fill, and every thread that ends leaves its share of the allocator. That is a
    plateau and no leak. So memory is looked at in many points, and only the second half of them counts; the slope is
    the median of the slopes between all pairs of them, which one late step does not move.

    Args:
        action: What is done; it has to give back all that it took.
        runs: How many times.
        warm_up: How many times before that, not measured.
        points: How many times memory is looked at.

    Returns:
        What each run of the second half added.

    Raises:
        ValueError: There are fewer runs than points, or fewer than eight points.
    """
    if points < 8 or runs < points:
        raise ValueError(
            f"{runs} runs cannot be measured at {points} points: at least 8, and not more than runs"
        )
    for _ in range(warm_up):
        action()
    looked = [_look(0)]
    done = 0
    for point in range(1, points + 1):
        while done < runs * point // points:
            action()
            done += 1
        looked.append(_look(done))
    late = looked[len(looked) // 2 :]
    return Growth(
        runs=runs,
        resident=_slope([(one.runs, one.resident) for one in late]),
        heap=_slope(heaps) if (heaps := _heaps(late)) else None,
        blocks=_slope([(one.runs, one.blocks) for one in late]),
        first=looked[0].resident,
        last=looked[-1].resident,
    )


def own_memory() -> int:
    """The bytes of this process that are its own: neither pages of files nor shared ones."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def trimmed() -> int:
    """As `own_memory`, after what can be given back was given back."""
    gc.collect()
    trim = getattr(_LIBRARY, "malloc_trim", None)
    if trim is not None:
        trim(0)
    return own_memory()


class _Looked(NamedTuple):
    runs: int
    resident: int
    heap: int | None
    blocks: int


def _look(runs: int) -> _Looked:
    looks = []
    for number in range(_SETTLE):
        if number:
            time.sleep(_PAUSE)
        gc.collect()
        looks.append((own_memory(), heap_in_use(), sys.getallocatedblocks()))
    heaps = [heap for _, heap, _ in looks if heap is not None]
    return _Looked(
        runs,
        min(resident for resident, _, _ in looks),
        min(heaps) if heaps else None,
        min(blocks for _, _, blocks in looks),
    )


def _heaps(looked: Sequence[_Looked]) -> list[tuple[int, int]]:
    return [(one.runs, one.heap) for one in looked if one.heap is not None]


def _slope(points: Sequence[tuple[int, int]]) -> float:
    """The median of the slopes between all pairs."""
    return statistics.median(
        (y2 - y1) / (x2 - x1)
        for number, (x1, y1) in enumerate(points)
        for x2, y2 in points[number + 1 :]
    )


def heap_in_use() -> int | None:
    """The bytes that native code has allocated and not freed; `None` where the C library does not say."""
    ask = getattr(_LIBRARY, "mallinfo2", None)
    if ask is None:
        return None
    ask.restype = _Sizes
    sizes = ask().sizes
    return int(sizes[_MAPPED]) + int(sizes[_IN_USE])


class _Sizes(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = (("sizes", ctypes.c_size_t * 10),)


_MAPPED, _IN_USE = 4, 7
_LIBRARY = ctypes.CDLL(None)
