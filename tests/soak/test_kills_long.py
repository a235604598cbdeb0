"""A thousand kills at random instants of store and tracker. SYMPHONY_SOAK scales it."""

from __future__ import annotations

import os

import kill_loop

KILLS = max(20, int(1_000 * float(os.environ.get("SYMPHONY_SOAK", "1"))))


def test_a_thousand_kills_lose_nothing(tmp_path, capsys):
    def report(done, expected):
        if (done + 1) % 100 == 0:
            with capsys.disabled():
                print(f"\n{done + 1} kills, {expected.operations} acknowledged operations", end="")

    expected = kill_loop.storm(tmp_path, KILLS, seed=2026, report=report)
    with capsys.disabled():
        print(f"\n{KILLS} kills, {expected.operations} acknowledged operations, nothing lost")
