"""What was acknowledged is there at the next boot, or it was not acknowledged: also when a journal is lost or torn."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest
from symphony import BootError, SymphonyError, SystemConfig, boot

JOURNALS = {"artifact-store": "journal", "dag-tracker": "dag.journal"}


# Every fourth offset of the reason looks like the length of a record that fits.
TORN = """
import os, signal, sys
from symphony import SystemConfig, boot
dag = boot(config=SystemConfig(state=sys.argv[1])).pit.dag
run = dag.submit({"a": [], "b": []})
dag.fail(run, "a", "\\0\\0\\x10\\0" * (1 << 20))
os.kill(os.getpid(), signal.SIGKILL)
"""


def started(state):
    return boot(config=SystemConfig(state=state))


def acknowledge(system, member):
    if member == "artifact-store":
        return system.pit.artifacts.put(os.urandom(20))
    return system.pit.dag.submit({"a": []})


@pytest.mark.timeout(120)
@pytest.mark.parametrize("member", JOURNALS)
def test_a_journal_that_is_deleted_or_replaced_acknowledges_nothing_and_health_says_so(
    tmp_path, member
):
    for said in ("deleted", "replaced"):
        state = tmp_path / said
        system = started(state)
        journal = state / member / JOURNALS[member]
        kept = journal.with_suffix(".kept")
        acknowledge(system, member)
        assert str(system.health()) == "healthy"
        shutil.copy(journal, kept)
        if said == "deleted":
            journal.unlink()
        else:
            shutil.copy(kept, tmp_path / "copy").replace(journal)
        for _ in range(3):
            with pytest.raises(SymphonyError, match=f"was {said} while it was in use") as refused:
                acknowledge(system, member)
            assert refused.value.code == "state-invalid"
        health = system.health()
        assert str(health) != "healthy"
        assert said in health.components[member].reason
        system.shutdown()
        kept.replace(journal)
        with started(state) as again:
            assert len(again.pit.artifacts.find()) + len(again.pit.dag.runs()) == 1


@pytest.mark.timeout(120)
def test_a_store_without_its_journal_is_an_error_and_no_empty_store(tmp_path):
    state = tmp_path / "state"
    with started(state) as system:
        artifact = system.pit.artifacts.put(b"kept")
    journal = state / "artifact-store" / "journal"
    kept = journal.read_bytes()
    for lose in (journal.unlink, lambda: journal.write_bytes(b"")):
        lose()
        for _ in range(2):
            with pytest.raises(BootError) as refused:
                started(state)
            assert "beside it holds what it acknowledged" in "".join(
                map(str, causes(refused.value))
            )
        journal.write_bytes(kept)
    with started(state) as system:
        assert system.pit.artifacts.get(artifact) == b"kept"


def causes(error):
    while error is not None:
        yield error
        error = error.__cause__


@pytest.mark.timeout(120)
def test_a_torn_record_of_any_content_does_not_keep_the_boot_busy(tmp_path):
    state = tmp_path / "state"
    killed = subprocess.run([sys.executable, "-c", TORN, str(state)], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    journal = state / "dag-tracker" / "dag.journal"
    os.truncate(journal, journal.stat().st_size - 1)
    with started(state) as system:
        (run,) = system.pit.dag.runs()
        assert sorted(system.pit.dag.ready(run)) == ["a", "b"]
