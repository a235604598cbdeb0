"""What every test shares: folders with extensions, and a look for what was left behind."""

from __future__ import annotations

import gc
import os
import signal
import threading
from pathlib import Path

import pytest
from workshop import (
    ECHO,
    IDE,
    ROOT,
    Workshop,
    descendants,
    descriptors,
    native_threads,
    run_python,
    symphony,
    wait_until,
    write,
)

__all__ = [
    "ECHO",
    "IDE",
    "ROOT",
    "Workshop",
    "descendants",
    "descriptors",
    "native_threads",
    "run_python",
    "symphony",
    "wait_until",
    "write",
]


# A shell starts what runs behind it with Ctrl-C ignored, and every process below inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture(autouse=True, scope="module")
def quick_collections():
    """No collection looks again at what earlier modules left alive: after two thousand tests each took 0.2 s."""
    gc.collect()
    gc.freeze()


def open_files() -> list[str]:
    """What the descriptors of this process lead to."""
    folder = Path("/proc/self/fd")
    return [f"{entry.name} -> {os.readlink(entry)}" for entry in folder.iterdir() if entry.exists()]


@pytest.fixture
def nothing_left():
    """After the test there are no more processes, descriptors and threads than before."""
    before = (set(descendants()), descriptors(), native_threads(), threading.active_count())
    yield
    # A caught exception and the frame that caught it hold each other, and with it what the test booted.
    gc.collect()
    assert wait_until(lambda: set(descendants()) <= before[0]), "a process is left"
    assert wait_until(lambda: descriptors() <= before[1]), "\n".join(open_files())
    assert wait_until(lambda: native_threads() <= before[2]), "a thread is left"
    assert threading.active_count() <= before[3]
