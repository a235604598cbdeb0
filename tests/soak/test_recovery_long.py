"""A recovery that takes longer than a start may: its deadline does not end it. SYMPHONY_SOAK scales it."""

from __future__ import annotations

import os

from recoveries import Recovered, fill

DEADLINE = 10.0
"""Of a component's start."""

COUNT = 500_000
MOST = int(4_000_000 * float(os.environ.get("SYMPHONY_SOAK", "1")))


def test_no_deadline_ends_a_recovery_that_comes_further(workshop, capsys):
    count = COUNT
    fill(workshop, 0, count)
    recovered = Recovered(workshop)
    while recovered.seconds < DEADLINE * 1.3 and count < MOST:
        fill(workshop, count, count)
        count *= 2
        recovered = Recovered(workshop)
    with capsys.disabled():
        last = recovered.told[-1].progress
        print(
            f"\n{count} artifacts without an index: ready after {recovered.seconds:.1f} s, "
            f"{len(recovered.told)} events, the last {last}"
        )
    assert (recovered.artifacts, recovered.bad) == (count, [])
    assert recovered.seconds > DEADLINE, "this machine is too fast for that many"
