"""A million calls while what is called is swapped five hundred times."""

from __future__ import annotations

import os

from swap_storm import judge, rage

SCALE = float(os.environ.get("SYMPHONY_SOAK", "1"))


def test_a_million_calls_while_it_is_swapped_five_hundred_times(capsys):
    calls, swaps = int(1_000_000 * SCALE), max(10, int(500 * SCALE))
    storm = rage(calls, swaps)
    judge(storm, calls, swaps)
    with capsys.disabled():
        slowest = max(report.seconds for report in storm.reports[1:])
        print(f"\n{storm.answered} calls, {swaps} swaps, the slowest {slowest:.2f} s")
