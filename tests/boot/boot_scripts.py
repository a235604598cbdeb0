"""Scripts that boot in a process of their own, and a look at what they left."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any, Callable

PREAMBLE = """
import sys, time, threading, os
import symphony
from symphony import boot, component, BootError, BootTimeoutError, PlanError
began = time.monotonic()
def say(*words):
    print(*words, flush=True)
def below(pid="self"):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as children:
            found += map(int, children.read().split())
    return found
def everything_below(pid="self"):
    # A process may end while it is looked at.
    try: return [one for child in below(pid) for one in (child, *everything_below(child))]
    except OSError: return []
"""


def children(pid: int) -> list[int]:
    """Every process below one."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                text = Path(f"/proc/{parent}/task/{task}/children").read_text()
                found += map(int, text.split())
                waiting += map(int, text.split())
        except OSError:
            continue
    return found


def gone(pids: list[int], seconds: float = 4.0) -> bool:
    """Whether these processes end in time; zombies have ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.01)
    return False


def notes_of(error: BaseException) -> str:
    """What a person reads below an error's message: notes, before Python 3.11 the end of its text."""
    notes = getattr(error, "__notes__", None)
    return str(error).partition("\n\n")[2] if notes is None else "\n".join(notes)


def until(so: Callable[[], object], seconds: float = 20.0) -> None:
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < end, "it is never so"
        time.sleep(0.005)


def now() -> float:
    """The clock of the scripts, which is the machine's."""
    return time.monotonic()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def start(script: str, cwd: Path, *arguments: str, **more: Any) -> subprocess.Popen[str]:
    """Starts a script with the preamble."""
    path = cwd / "script.py"
    path.write_text(PREAMBLE + textwrap.dedent(script), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, str(path), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        **more,
    )


def run(
    script: str, cwd: Path, *arguments: str, timeout: float = 30, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Runs a script with the preamble to its end."""
    process = start(script, cwd, *arguments, **more)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"the script hangs\n{out}\n{err}") from None
    return subprocess.CompletedProcess(script, process.returncode, out, err)


def until_line(process: subprocess.Popen[str], wanted: str) -> None:
    """Reads the script's lines up to one."""
    assert process.stdout is not None
    while line := process.stdout.readline():
        if line.strip() == wanted:
            return
    raise AssertionError(f"the script never said `{wanted}`: {process.communicate()[1]}")
