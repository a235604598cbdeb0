"""How long a plan takes: Criterion's figure beside that of `graphlib`, which orders and does nothing else."""

from __future__ import annotations

import graphlib
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def ours(counts: tuple[int, ...]) -> dict[int, float]:
    """Seconds for plans of so many components, by `benches/benches/plan.rs`."""
    wanted = "|".join(map(str, counts))
    subprocess.run(
        ["cargo", "bench", "-q", "-p", "benches", "--bench", "plan", "--", f"^plan/({wanted})$",
         "--noplot", "--warm-up-time", "1", "--measurement-time", "3"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )  # fmt: skip
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    figures: dict[int, float] = {}
    for count in counts:
        path = target / "criterion" / "plan" / str(count) / "new" / "estimates.json"
        estimates = json.loads(path.read_text(encoding="utf-8"))
        figures[count] = estimates["median"]["point_estimate"] / 1e9
    return figures


def graphlibs(count: int) -> float:
    """Seconds of `graphlib` for the same graph: each with two needs among those before it."""
    needs = {
        f"component-{place}": [f"component-{place - step}" for step in (1, 7) if place >= step]
        for place in range(count)
    }
    spans: list[float] = []
    for _ in range(max(5, 20_000 // count)):
        begin = time.perf_counter()
        tuple(graphlib.TopologicalSorter(needs).static_order())
        spans.append(time.perf_counter() - begin)
    return statistics.median(spans)
