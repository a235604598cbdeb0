"""What takes longer than a test may: boots by the thousand, and a storm of kills.

`make soak` runs it. SYMPHONY_SOAK scales it: 1 is about an hour on two cores.
"""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from conftest import ECHO, descendants, wait_until
from many_boots import fresh, in_one_process, spread, system_of
from symphony import boot
from symphony.exceptions import ExtensionError
from symphony.testing import Growth, no_leaks

SCALE = float(os.environ.get("SYMPHONY_SOAK", "1"))

ALONE = max(20, int(1_000 * SCALE))
SIDE_BY_SIDE = max(20, int(9_000 * SCALE))
IN_ONE = max(64, int(2_000 * SCALE))


def _progress(capsys, what):
    """Says every thousand boots how they went, for whoever waits."""

    def report(boots) -> None:
        if len(boots.ready) % 1000 == 0:
            with capsys.disabled():
                print(f"\n{what}: {boots}", end="", flush=True)

    return report


def test_fresh_processes_boot_without_a_failure(tmp_path, capsys):
    rows = [system_of(tmp_path / row, "abc") for row in ("left", "right")]
    alone = fresh(rows[:1], "abc", ALONE, _progress(capsys, "alone"))
    # One row for each core.
    both = fresh(rows, "abc", SIDE_BY_SIDE, _progress(capsys, "two side by side"))
    with capsys.disabled():
        print(f"\nfresh processes, three eager extensions, alone: {alone}")
        print(f"fresh processes, three eager extensions, two side by side: {both}")
    faults = alone.faults + both.faults
    assert not faults, f"{len(faults)} failed\n" + "\n".join(faults[:20])
    assert len(alone.ready) + len(both.ready) >= ALONE + SIDE_BY_SIDE - 1


@pytest.mark.parametrize("names", ["", "ab"], ids=["without_extensions", "with_eager_extensions"])
def test_boots_in_one_process_leave_nothing(names, tmp_path, capsys):
    told = in_one_process(system_of(tmp_path, names), names, runs=IN_ONE, points=32)
    with capsys.disabled():
        print(f"\nboots in one process, {len(names)} eager extensions: {spread(told['seconds'])}")
        print(f"  {told['text']}")
    found = Growth(*told["growth"])
    if found.runs >= 2_000:
        # A leak of one KiB a boot is twice that.
        assert found.is_flat(bytes_per_run=512, blocks_per_run=1.0), told["text"]


def test_a_storm_of_kills_answers_every_call(workshop, capsys):
    names = [f"e{number}" for number in range(10)]
    for name in names:
        workshop.extension(name, ECHO, "[extension.restart]\nbudget = 1000000\n")
    dice = random.Random(7)
    counts = {"answered": 0, "kills": 0}
    slowest = 0.0

    def storm() -> None:
        nonlocal slowest
        with boot(config=workshop.config) as system:
            handles = [system.kit.extension(name).options(timeout=5.0) for name in names]
            end = time.monotonic() + 600 * SCALE
            next_kill = time.monotonic()
            while time.monotonic() < end:
                handle = dice.choice(handles)
                if time.monotonic() >= next_kill:
                    next_kill = time.monotonic() + 0.05
                    pid = dice.choice(handles).pid
                    if pid is not None:
                        # It may have ended by itself since.
                        try:
                            os.kill(pid, signal.SIGKILL)
                            counts["kills"] += 1
                        except ProcessLookupError:
                            pass
                begin = time.monotonic()
                try:
                    assert handle.call("echo", value=counts["answered"]) == counts["answered"]
                    counts["answered"] += 1
                except ExtensionError as error:
                    assert error.code in ("extension-crashed", "start-failed", "call-timeout"), (
                        error
                    )
                    counts[error.code] = counts.get(error.code, 0) + 1
                slowest = max(slowest, time.monotonic() - begin)

    with no_leaks(patience=10):
        storm()
    with capsys.disabled():
        print(f"\nkill storm: {counts}, the slowest call took {slowest:.2f} s")
    failed = sum(count for what, count in counts.items() if what not in ("answered", "kills"))
    assert counts["answered"] > failed
    # The deadline of a call and what is granted to it beyond.
    assert slowest < 20.0
    assert wait_until(lambda: not descendants())
