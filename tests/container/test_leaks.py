"""`no_leaks` and `growth` find what was left: files, shared memory, memory, and a leak of one KiB a run."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from symphony import boot
from symphony.testing import LeftBehindError, MockComponent, growth, no_leaks
from symphony.testing._memory import heap_in_use

MEBIBYTE = 1 << 20


def test_a_new_file_in_a_watched_folder_is_named_at_any_depth(tmp_path):
    (tmp_path / "old").write_text("was there before")
    with pytest.raises(LeftBehindError) as caught, no_leaks(patience=0.05, files=[tmp_path]):
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep" / "left").write_text("x")
        (tmp_path / "gone").write_text("x")
        (tmp_path / "gone").unlink()
    lines = str(caught.value).splitlines()[1:]
    assert [line.strip() for line in lines] == [
        f"folder {tmp_path}/deep",
        f"file {tmp_path}/deep/left",
    ]


def test_a_temporary_folder_of_symphony_that_nobody_uses_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(LeftBehindError) as caught, no_leaks(patience=0.05):
        (tmp_path / "symphony-1-abc").mkdir()
        (tmp_path / "of-another-program").mkdir()
    assert str(caught.value) == f"left behind:\n  temporary folder {tmp_path}/symphony-1-abc"


def test_a_boot_without_a_state_folder_leaves_none_in_tmpdir(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with no_leaks(files=[tmp_path]):
        with boot(components=[MockComponent("Index")]):
            assert list(tmp_path.iterdir()), "the state is not in TMPDIR"


HOLD = "import sys, time; f = open(sys.argv[1]); print(flush=True); time.sleep(60)"
OUTSIDE = """
import subprocess, sys
holder = subprocess.Popen([sys.executable, "-c", *sys.argv[1:]], stdout=subprocess.PIPE)
holder.stdout.readline()
print(holder.pid)
"""


def test_shared_memory_counts_unless_another_process_has_it():
    path = Path(f"/dev/shm/symphony-test-{os.getpid()}")
    holder = None
    try:
        with pytest.raises(LeftBehindError, match=f"shared memory {path}"):
            with no_leaks(patience=0.05):
                path.write_bytes(b"x")
        path.unlink()
        with no_leaks(patience=0.05):
            path.write_bytes(b"x")
            # Its parent ends, so that it is not below this process.
            command = [sys.executable, "-c", OUTSIDE, HOLD, str(path)]
            ended = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=30)
            holder = int(ended.stdout)
    finally:
        path.unlink(missing_ok=True)
        if holder is not None:
            os.kill(holder, signal.SIGKILL)


def test_memory_that_is_kept_is_found_and_memory_that_is_given_back_is_not():
    with no_leaks(memory=4 * MEBIBYTE):
        freed = b"x" * (32 * MEBIBYTE)
        del freed
    kept = []
    with pytest.raises(LeftBehindError) as caught, no_leaks(patience=0.05, memory=4 * MEBIBYTE):
        kept.append(b"x" * (32 * MEBIBYTE))
    text = str(caught.value).splitlines()[1].split()
    assert text[0] == "memory:"
    assert int(text[1]) >= 31 * MEBIBYTE
    with no_leaks():
        kept.append(b"x" * (32 * MEBIBYTE))


def test_a_leak_of_one_kibibyte_a_run_is_found_on_the_heap():
    malloc = ctypes.CDLL(None).malloc
    malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    free = ctypes.CDLL(None).free
    free.argtypes = [ctypes.c_void_p]
    # Holes, so that what leaks makes nothing resident for a long time.
    holes = [malloc(1024) for _ in range(4096)]
    for number in range(0, 4096, 2):
        free(holes[number])
    found = growth(lambda: malloc(1024), runs=160)
    if heap_in_use() is not None:
        assert found.heap == pytest.approx(1040, abs=32)
    assert not found.is_flat()
    for number in range(1, 4096, 2):
        free(holes[number])


def test_a_leak_of_one_kibibyte_a_run_is_found_in_what_was_mapped():
    kept = []

    def leak() -> None:
        kept.append(mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE))
        if len(kept) % 4 == 0:
            kept[-1][0] = 1

    found = growth(leak, runs=1600)
    assert found.resident == pytest.approx(1024, rel=0.3)
    assert not found.is_flat()
    for one in kept:
        one.close()


def test_leaked_objects_are_counted():
    kept = []

    def leak() -> None:
        kept.append([object(), object()])

    found = growth(leak, runs=160)
    assert found.blocks >= 3
    assert not found.is_flat()


def test_what_gives_everything_back_is_flat_though_it_rises_at_first():
    cache = {}
    runs = 0

    def work() -> None:
        nonlocal runs
        runs += 1
        # It fills in the first quarter of the runs.
        cache[runs % 100] = b"x" * 200_000
        ring = [bytearray(1000)]
        ring.append(ring)

    found = growth(work, runs=400, warm_up=0)
    assert found.is_flat(), str(found)
    assert found.last > found.first + MEBIBYTE
    assert "in the second half each adds" in str(found)


def test_growth_refuses_what_says_nothing():
    with pytest.raises(ValueError, match="4 runs cannot be measured at 16 points"):
        growth(lambda: None, runs=4)
