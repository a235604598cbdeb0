"""`[system.store]`: a store with limits keeps to them by itself; and what the store gives back."""

from __future__ import annotations

import os
import time

import pytest
from symphony import BootError, InvalidValueError, NotFoundError, SystemConfig, boot


def until(what, is_so, seconds=60):
    """Waits until it is so."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def manifest(folder, store):
    path = folder / "Symphony.toml"
    path.write_text(f'[system]\nname = "limited"\n[system.store]\n{store}\n', encoding="utf-8")
    return path


@pytest.mark.timeout(180)
def test_a_store_keeps_to_the_cap_of_its_manifest(tmp_path):
    with boot(config=manifest(tmp_path, 'cap = "200KB"')) as system:
        artifacts = system.pit.artifacts
        pinned = artifacts.put(os.urandom(50_000))
        system.pit.stale.pin(pinned)
        for _ in range(8):
            artifacts.put(os.urandom(50_000))
        # The first look comes after half a minute, when rules of code would be there.
        until("the cap is kept", lambda: artifacts.stats()["stored_bytes"] <= 200_000, seconds=120)
        assert artifacts.exists(pinned)


@pytest.mark.timeout(180)
def test_what_a_run_holds_outlives_every_limit(tmp_path):
    limits = {"keep": "1s", "cap": "1KB"}
    with boot(config=SystemConfig(state=tmp_path / "state", store=limits)) as system:
        artifacts, dag = system.pit.artifacts, system.pit.dag
        run = dag.submit({"a": [], "b": ["a"]})
        held = artifacts.put(os.urandom(5_000))
        dag.complete(run, "a", held)
        other = artifacts.put(os.urandom(5_000))
        until("the other goes", lambda: not artifacts.exists(other))
        time.sleep(2.5)
        assert artifacts.exists(held)
        dag.complete(run, "b")
        until("the run is over", lambda: not artifacts.exists(held))


def test_enforce_says_what_it_does():
    with boot() as system:
        artifacts, stale = system.pit.artifacts, system.pit.stale
        assert stale.enforce()["deleted"] == []
        ids = [artifacts.put(os.urandom(1_000)) for _ in range(3)]
        time.sleep(1.1)
        stale.pin(ids[1])
        told = stale.enforce(cap=10, dry_run=True)
        assert sorted(told["deleted"]) == sorted([ids[0], ids[2]])
        assert told["dry_run"]
        assert all(map(artifacts.exists, ids))
        done = stale.enforce(cap=10)
        assert sorted(done["deleted"]) == sorted(told["deleted"])
        assert (done["stored_bytes"], done["is_over"], done["deleted_bytes"]) == (
            1_000,
            True,
            2_000,
        )
        assert artifacts.find() == [ids[1]]


@pytest.mark.parametrize("keep", [0, -1, float("nan"), float("-inf")])
def test_a_span_that_would_delete_everything_is_refused(keep):
    with boot() as system, pytest.raises(InvalidValueError):
        system.pit.stale.enforce(keep=keep)


def test_a_cap_of_nothing_is_refused():
    with boot() as system, pytest.raises(InvalidValueError):
        system.pit.stale.enforce(cap=0)


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ('keep = "30"', "`system.store.keep` must be like `30d`, not `30`"),
        ('keep = "0d"', "must be like `30d`"),
        ('cap = "10"', "`system.store.cap` must be like `10GiB`, not `10`"),
        ("cap = 10", "`system.store.cap` must be"),
        ('kept = "30d"', "unknown key `kept`"),
    ],
)
def test_a_limit_that_is_none_is_named_with_its_place(tmp_path, store, said):
    with pytest.raises(BootError) as refused:
        boot(config=manifest(tmp_path, store))
    assert refused.value.code == "manifest-invalid"
    assert said in str(refused.value)
    assert "Symphony.toml:4" in str(refused.value)


def test_limits_without_who_keeps_them_are_refused(tmp_path):
    path = tmp_path / "Symphony.toml"
    text = '[system]\nmembers = ["artifact-store"]\n[system.store]\nkeep = "30d"\n'
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BootError, match="needs `stale-manager`"):
        boot(config=path)


def test_limits_of_a_configuration_without_who_keeps_them_are_refused(tmp_path):
    config = SystemConfig(state=tmp_path / "s", members=["artifact-store"], store={"cap": "1MB"})
    with pytest.raises(BootError, match="need `stale-manager`"):
        boot(config=config)


@pytest.mark.parametrize("durability", ["process", "power", "powre"])
def test_a_configuration_says_what_a_write_survives(tmp_path, durability):
    config = SystemConfig(state=tmp_path / "s", members=["artifact-store"], durability=durability)
    if durability == "powre":
        with pytest.raises(BootError, match=r"system\.durability"):
            boot(config=config)
        return
    with boot(config=config) as system:
        assert system.pit.artifacts.get(system.pit.artifacts.put(b"x")) == b"x"


@pytest.mark.parametrize("store", [{"keep": "30"}, {"cap": "-1B"}, {"kept": "30d"}])
def test_limits_of_a_configuration_are_held_to_the_same(tmp_path, store):
    with pytest.raises(BootError, match=r"system\.store") as refused:
        boot(config=SystemConfig(state=tmp_path / "state", store=store))
    assert refused.value.code == "manifest-invalid"


def test_where_it_comes_from_and_what_came_of_it():
    with boot() as system:
        artifacts = system.pit.artifacts
        first = artifacts.put(b"1")
        second = artifacts.put(b"2", parents=[first])
        third = artifacts.put(b"3", parents=[second])
        assert artifacts.lineage(third) == [second, first]
        assert artifacts.derived(first) == [second, third]
        artifacts.delete(second)
        # History: what is gone is still named.
        assert artifacts.lineage(third) == [second]
        assert artifacts.derived(second) == [third]
        with pytest.raises(NotFoundError):
            artifacts.lineage(second)
        for ask in (artifacts.lineage, artifacts.derived):
            with pytest.raises(InvalidValueError):
                ask("no id")


def test_collect_takes_what_no_record_names(tmp_path):
    with boot(config=SystemConfig(state=tmp_path / "state")) as system:
        artifacts = system.pit.artifacts
        kept = artifacts.put(os.urandom(100_000))
        orphan = tmp_path / "state" / "artifact-store" / "blobs" / "ab" / ("ab" * 32)
        orphan.parent.mkdir(parents=True, exist_ok=True)
        orphan.write_bytes(b"x" * 70_000)
        assert artifacts.collect() >= 70_000
        assert not orphan.exists()
        assert len(artifacts.get(kept)) == 100_000
        assert artifacts.collect() == 0
