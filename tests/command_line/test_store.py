"""`symphony store`: what artifacts take, what goes, what is damaged; and nothing of the system is started."""

from __future__ import annotations

import os
import time

import pytest
from symphony import SystemConfig, boot

ERROR_KEYS = {"code", "message", "phase", "component", "causes", "hints"}
LIMITED = """
[system]
name = "limited"
extensions = ["extensions/*"]
[system.store]
cap = "120KB"
"""
# Would fail the boot if it were started.
BROKEN = """
from symphony.extension import Extension
extension = Extension("broken")
raise RuntimeError("it was started")
"""


@pytest.fixture
def kept(workshop, tmp_path, monkeypatch):
    """A system that does not run, with artifacts of 50, 100,000 and 2,000,000 bytes."""
    monkeypatch.chdir(tmp_path)
    workshop.config.write_text(LIMITED, encoding="utf-8")
    folder = tmp_path / "extensions" / "broken"
    folder.mkdir(parents=True)
    text = '[extension]\nname = "broken"\nkind = "operator"\nentry = "broken:extension"\nactivation = "eager"\n'
    (folder / "Symphony.toml").write_text(text, encoding="utf-8")
    (folder / "broken.py").write_text(BROKEN, encoding="utf-8")
    with boot(config=SystemConfig(state=tmp_path / ".symphony")) as system:
        ids = [system.pit.artifacts.put(os.urandom(size)) for size in (50, 100_000, 2_000_000)]
        system.pit.stale.pin(ids[0])
    # What was put in the last second is not judged by its worth.
    time.sleep(1.1)
    return ids


def test_du_says_what_they_take_and_changes_nothing(kept, cli, tmp_path):
    ended = cli("store", "du", "--json")
    assert ended.code == 0, ended
    document = ended.document
    assert document["ok"]
    assert document["error"] is None
    assert document["state"] == str(tmp_path / ".symphony")
    assert (document["artifacts"], document["bytes"]) == (3, 2_100_050)
    assert document["stored_bytes"] == 2_100_050
    assert document["disk_bytes"] >= 2_100_050
    text = cli("store", "du", ".")
    assert text.code == 0
    assert "artifacts" in text.out
    assert "2.0 MiB" in text.out
    assert cli("store", "verify", "--json").document["checked"] == len(kept)


def test_gc_keeps_to_the_cap_and_a_dry_one_only_tells(kept, cli):
    told = cli("store", "gc", "--dry-run", "--json")
    assert told.code == 0, told
    assert told.document["dry_run"]
    assert told.document["deleted"]
    assert cli("store", "verify", "--json").document["checked"] == len(kept)
    done = cli("store", "gc", "--json").document
    assert done["deleted"] == told.document["deleted"] == [kept[2]]
    assert done["ok"]
    assert not done["is_over"]
    assert done["stored_bytes"] == 100_050
    assert cli("store", "gc").out.startswith("0 archived, 0 deleted")


def test_damage_is_found_and_is_exit_code_1(kept, cli, tmp_path):
    blob = tmp_path / ".symphony" / "artifact-store" / "blobs" / kept[1][:2] / kept[1]
    data = bytearray(blob.read_bytes())
    data[500] ^= 1
    blob.write_bytes(data)
    ended = cli("store", "verify", "--json")
    assert ended.code == 1, ended
    document = ended.document
    assert (document["ok"], document["bad"], document["checked"]) == (False, [kept[1]], 3)
    text = cli("store", "verify")
    assert text.code == 1
    assert f"damaged: {kept[1]}" in text.out
    assert "3 artifacts read, 1 damaged" in text.out


def test_a_running_system_has_its_store_to_itself(kept, cli, tmp_path):
    with boot(config=SystemConfig(state=tmp_path / ".symphony")):
        for action in ("du", "gc", "verify"):
            ended = cli("store", action, "--json")
            assert ended.code == 1, ended
            document = ended.document
            assert (document["ok"], document["error"]["code"]) == (False, "state-locked")
            assert set(document["error"]) == ERROR_KEYS


@pytest.mark.parametrize("action", ["du", "gc", "verify"])
def test_a_state_that_is_not_there_is_not_made(kept, cli, tmp_path, action):
    other = tmp_path / "other"
    ended = cli("store", action, "--state", str(other), "--json")
    assert ended.code == 0, ended
    assert ended.document["ok"]
    assert not other.exists()
    assert "no artifacts" in cli("store", action, "--state", str(other)).out


def test_what_is_wrong_in_the_call_or_the_manifest_is_told(kept, cli, tmp_path):
    assert cli("store").code == 2
    assert cli("store", "burn", "--json").code == 2
    assert cli("store", "burn", "--json").document["ok"] is False
    missing = cli("store", "du", "nowhere.toml", "--json")
    assert missing.code == 1
    assert missing.document["error"]["code"] == "manifest-invalid"
    (tmp_path / "Symphony.toml").write_text('[system.store]\nkeep = "x"\n', encoding="utf-8")
    wrong = cli("store", "gc")
    assert wrong.code == 1
    assert "must be like `30d`" in wrong.err
