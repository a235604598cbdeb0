"""What takes longer than a test may: boots by the thousand, and a storm of kills.

`make soak` runs it. SYMPHONY_SOAK scales it: 1 is half an hour.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time

from conftest import ECHO, descendants, descriptors, native_threads, wait_until
from symphony import boot
from symphony.exceptions import ExtensionError

SCALE = float(os.environ.get("SYMPHONY_SOAK", "1"))

FRESH = """
import json, sys
from symphony import boot
system = boot(config=sys.argv[1])
assert system.kit.extension("a").call("echo", value=1) == 1
report = system.report
system.shutdown()
print(report.ready_seconds)
"""


def _eager(workshop, names):
    for name in names:
        workshop.extension(name, ECHO, 'activation = "eager"')


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_fresh_processes_boot_without_a_failure(workshop, capsys):
    _eager(workshop, "abc")
    ready = []
    for _ in range(int(10_000 * SCALE)):
        done = subprocess.run(
            [sys.executable, "-c", FRESH, str(workshop.config)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        ready.append(float(done.stdout))
    ready.sort()
    with capsys.disabled():
        print(
            f"\n{len(ready)} fresh boots: p50 {statistics.median(ready) * 1e3:.0f} ms,"
            f" p99 {ready[len(ready) * 99 // 100] * 1e3:.0f} ms, worst {ready[-1] * 1e3:.0f} ms"
        )
    assert wait_until(lambda: not descendants())


def test_boots_in_one_process_leave_nothing(workshop, capsys):
    _eager(workshop, "ab")

    def once() -> None:
        with boot(config=workshop.config) as system:
            assert system.kit.extension("a").call("echo", value=1) == 1

    for _ in range(20):
        once()
    gc.collect()
    before = (descriptors(), native_threads(), threading.active_count(), _resident())
    count = int(2_000 * SCALE)
    for _ in range(count):
        once()
    gc.collect()
    assert wait_until(lambda: descriptors() <= before[0])
    assert wait_until(lambda: native_threads() <= before[1])
    assert threading.active_count() <= before[2]
    assert not descendants()
    slope = (_resident() - before[3]) / count
    with capsys.disabled():
        print(f"\n{count} boots in one process: memory rises {slope:.0f} bytes a boot")
    assert slope < 4096


def test_a_storm_of_kills_answers_every_call(workshop, capsys):
    names = [f"e{number}" for number in range(10)]
    for name in names:
        workshop.extension(name, ECHO, "[extension.restart]\nbudget = 1000000\n")
    dice = random.Random(7)
    answered = failed = 0
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
                    os.kill(pid, signal.SIGKILL)
            try:
                assert handle.call("echo", value=answered) == answered
                answered += 1
            except ExtensionError as error:
                assert error.code in ("extension-crashed", "start-failed", "call-timeout"), error
                failed += 1
    with capsys.disabled():
        print(f"\nkill storm: {answered} calls answered, {failed} failed with a typed error")
    assert answered > failed
    assert wait_until(lambda: not descendants())
