"""Many boots: none fails, none leaves anything. `make soak` does the same many times over."""

from __future__ import annotations

import os
import signal

import many_boots
import pytest
from many_boots import children, fresh, in_one_process, system_of

BOOTS = 160


@pytest.mark.timeout(600)
def test_fresh_processes_boot_and_leave_nothing(tmp_path, capsys):
    rows = [system_of(tmp_path / row, "a") for row in ("left", "right")]
    boots = fresh(rows, "a", BOOTS)
    with capsys.disabled():
        print(f"\nfresh processes, two side by side: {boots}")
    assert not boots.faults, "\n".join(boots.faults[:5])
    assert len(boots.ready) == BOOTS


def test_boots_in_one_process_leave_nothing(tmp_path, capsys):
    told = in_one_process(system_of(tmp_path, "ab"), "ab", runs=64, points=8)
    with capsys.disabled():
        print(f"\nboots in one process: {told['text']}")
    # Few boots lie within the plateau's rise; a leak of this size is none of it. `make soak` finds a KiB.
    _, resident, heap, *_ = told["growth"]
    assert max(resident, heap or 0) < 32 * 1024


@pytest.mark.parametrize(
    ("what", "fault"),
    [
        ("os.dup(0)", "descriptors"),
        ("import _thread; _thread.start_new_thread(time.sleep, (20,))", "threads"),
        ("os.posix_spawn('/bin/sleep', ['sleep', '20'], {}, file_actions=quiet)", "processes"),
    ],
)
def test_what_a_boot_leaves_is_found(what, fault, tmp_path, monkeypatch):
    quiet = "quiet = [(os.POSIX_SPAWN_CLOSE, 1), (os.POSIX_SPAWN_CLOSE, 2)]"
    leaking = many_boots.FRESH.replace("report = sys", f"{quiet}; {what}; report = sys")
    monkeypatch.setattr(
        many_boots, "FRESH", leaking.replace("monotonic() + 5", "monotonic() + 0.1")
    )
    boots = many_boots.Boots([], [])
    with many_boots.adopting_orphans():
        many_boots.boot_once(system_of(tmp_path, "a"), "a", boots)
        for pid in children():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    assert f"'{fault}'" in boots.faults[0]
