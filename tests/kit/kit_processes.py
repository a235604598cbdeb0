"""A system for a test, and a look at its processes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

from symphony import boot
from workshop import Workshop, descendants, wait_until


@contextlib.contextmanager
def running(workshop: Workshop, **more):
    """A booted system and what is checked of it at its end: no process is left."""
    before = set(descendants())
    with boot(config=workshop.config, **more) as system:
        yield system
    assert wait_until(lambda: set(descendants()) <= before), "a process is left"


def raw_extension(workshop: Workshop) -> None:
    """An extension `raw` that speaks the protocol by itself, and says what a lane of ours would never say."""
    program = Path(__file__).with_name("raw_guest.py")
    folder = workshop.extension("raw", "", "")
    (folder / "Symphony.toml").write_text(
        '[extension]\nname = "raw"\nversion = "0.1.0"\n'
        f'command = ["{sys.executable}", "-S", "-E", "{program}", "raw"]\n'
        f'[extension.permissions]\nread = ["{program}"]\n'
        "[extension.restart]\nbudget = 1000\n"
    )


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead but not reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    os.kill(pid, number)


def supervisor_of(pid: int | None = None) -> int:
    """The supervisor's process: the child that runs our loop."""
    for child in descendants(pid):
        if b"symphony._guest.fork_server" in Path(f"/proc/{child}/cmdline").read_bytes():
            with contextlib.suppress(OSError):
                parent = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == (pid or os.getpid()):
                    return child
    raise AssertionError("there is no supervisor")
