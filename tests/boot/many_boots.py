"""Boots by the hundred: each in a fresh process, or all in one; what they leave, and how long they take."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

from symphony.testing import no_leaks
from workshop import ECHO, Workshop, wait_until

FRESH = """
import contextlib, gc, json, os, sys, time
from symphony import boot

def descriptors():
    return sorted(os.listdir("/proc/self/fd"))

def tasks():
    return os.listdir("/proc/self/task")

def below():
    found = []
    for task in tasks():
        with contextlib.suppress(OSError):
            found += open(f"/proc/self/task/{task}/children").read().split()
    return found

before = descriptors()
system = boot(config=sys.argv[1])
for name in sys.argv[2:]:
    assert system.kit.extension(name).call("echo", value=1) == 1
report = system.report
ready = report.ready_seconds
system.shutdown()
del system, report
gc.collect()
end = time.monotonic() + 5
while time.monotonic() < end and (below() or len(tasks()) > 1 or descriptors() != before):
    time.sleep(0.001)
left = {"processes": below(), "threads": tasks()[1:], "descriptors": [n for n in descriptors() if n not in before]}
print(json.dumps({"ready": ready, "left": {kind: one for kind, one in left.items() if one}}))
"""
"""Boots, calls each eager extension, shuts down, and says what is left then."""

ONE_PROCESS = """
import json, sys, time
from array import array
from symphony import boot
from symphony.testing import growth, no_leaks

config, runs, points, temporary, *names = sys.argv[1:]
# No list: a number of Python's for each boot would be a block more for each.
seconds = array("d")

def once():
    begin = time.perf_counter()
    with boot(config=config) as system:
        seconds.append(system.report.ready_seconds)
        for name in names:
            assert system.kit.extension(name).call("echo", value=1) == 1

once()
with no_leaks(), no_leaks(files=[temporary]):
    found = growth(once, runs=int(runs), points=int(points))
print(json.dumps({"seconds": list(seconds), "growth": found, "text": str(found)}))
"""
"""Boots again and again in one process, and measures what each boot leaves in memory."""

DEADLINE = 60.0
"""Seconds after which a boot hangs; then its stacks are dumped."""

SUBREAPER = 36


class Boots(NamedTuple):
    """How boots went: seconds until each was ready, and a text for each that failed or left something."""

    ready: list[float]
    faults: list[str]

    def __str__(self) -> str:
        return f"{len(self.ready)} boots, {len(self.faults)} failed: {spread(self.ready)}"


def spread(seconds: list[float]) -> str:
    """The middle, the 99th of 100, and the worst."""
    if not seconds:
        return "none was ready"
    ordered = sorted(seconds)
    middle, late = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    return f"p50 {middle * 1e3:.1f} ms, p99 {late * 1e3:.1f} ms, worst {ordered[-1] * 1e3:.1f} ms"


def system_of(folder: Path, names: str) -> Workshop:
    """A system with an eager extension for each letter; its temporary folder is beside it."""
    workshop = Workshop(folder)
    for name in names:
        workshop.extension(name, ECHO, 'activation = "eager"')
    temporary(workshop).mkdir(exist_ok=True)
    return workshop


def temporary(workshop: Workshop) -> Path:
    return workshop.folder / "temporary"


def fresh(workshops: list[Workshop], names: str, count: int, report=lambda boots: None) -> Boots:
    """Boots each time in a fresh process, one row of processes for each workshop, side by side.

    Afterwards there is nothing anywhere: no process, not even one that lost its parent, and no new file in the
    temporary folders, the state folders and shared memory.
    """
    boots = Boots([], [])
    # What only the first boot makes is made before: state folders, compiled modules.
    for workshop in workshops:
        boot_once(workshop, names, boots)
    boots.ready.clear()
    watched = [temporary(workshop) for workshop in workshops]
    watched += [workshop.folder / ".symphony" for workshop in workshops]
    with adopting_orphans(), no_leaks(), no_leaks(files=watched):
        rows = [
            threading.Thread(
                target=_row, args=(workshop, names, count // len(workshops), boots, report)
            )
            for workshop in workshops
        ]
        for row in rows:
            row.start()
        for row in rows:
            row.join()
        assert wait_until(lambda: not _orphans()), f"processes outlive their root: {_orphans()}"
    return boots


def in_one_process(workshop: Workshop, names: str, runs: int, points: int) -> dict:
    """Boots again and again in one process."""
    done = subprocess.run(
        [
            *(sys.executable, "-c", ONE_PROCESS, str(workshop.config), str(runs), str(points)),
            *(str(temporary(workshop)), *names),
        ],
        capture_output=True,
        text=True,
        timeout=DEADLINE + runs,
        check=False,
        env=environment(workshop),
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def environment(workshop: Workshop) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(temporary(workshop))}


def _row(workshop: Workshop, names: str, count: int, boots: Boots, report) -> None:
    for _ in range(count):
        boot_once(workshop, names, boots)
        report(boots)


def boot_once(workshop: Workshop, names: str, boots: Boots) -> None:
    """Boots in a fresh process, and adds how it went."""
    process = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", FRESH, str(workshop.config), *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(workshop),
    )
    hung = ""
    try:
        out, err = process.communicate(timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        # Its stacks come to stderr.
        process.send_signal(signal.SIGABRT)
        out, err = process.communicate()
        hung = "hung: "
    if process.returncode or err:
        boots.faults.append(f"{hung}exit {process.returncode}: {err}")
        return
    told = json.loads(out)
    if told["left"]:
        boots.faults.append(f"left behind: {told['left']}")
    boots.ready.append(told["ready"])


@contextlib.contextmanager
def adopting_orphans():
    """Processes that outlive their parent become children of this one, where they can be seen."""
    control = ctypes.CDLL(None).prctl
    assert control(SUBREAPER, 1, 0, 0, 0) == 0
    try:
        yield
    finally:
        control(SUBREAPER, 0, 0, 0, 0)


def children() -> list[int]:
    """The processes right below this one."""
    found: list[int] = []
    for task in os.listdir("/proc/self/task"):
        # A thread may end meanwhile.
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/self/task/{task}/children").read_text().split())
    return found


def _orphans() -> list[str]:
    """The children of this process, which has none of its own now. Those that ended are reaped."""
    left = []
    for pid in children():
        if os.waitpid(pid, os.WNOHANG) == (0, 0):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
            left.append(f"{pid}: {command.decode()}")
    return left
