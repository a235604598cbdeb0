"""`system.swap()` of Pit members: who sees the new one, what becomes of the old one, and what is refused."""

# The annotations are read at run time.

from __future__ import annotations

import threading
from typing import Any

import pytest
from symphony import (
    ArbitrationEngine,
    ArtifactStore,
    DagTracker,
    Handle,
    Pit,
    PoolManager,
    StaleManager,
    boot,
)
from symphony.exceptions import (
    ComponentNotFoundError,
    CycleError,
    InvalidValueError,
    RemoteError,
    StoppedError,
)

KEEP = """
    [melody]
    name = "keep"
    inputs = ["text"]
    [[node]]
    id = "put"
    call = "artifact-store.put"
    with = { data = "${inputs.text}" }
"""


class Memory:
    """A store without a disk."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.threads: set[str] = set()
        self.stopped = False

    def put(self, data: bytes, *, name: str | None = None) -> str:
        assert not self.stopped
        self.threads.add(threading.current_thread().name)
        self.kept[f"m{len(self.kept)}"] = data
        return f"m{len(self.kept) - 1}"

    def get(self, artifact: str) -> bytes:
        return self.kept[artifact]

    def stop(self) -> None:
        self.stopped = True


class User:
    def __init__(self, store: ArtifactStore, pit: Pit, handle: Handle[ArtifactStore]) -> None:
        self.store, self.pit, self.handle = store, pit, handle


def test_everybody_has_the_new_store_and_the_old_one_is_closed(nothing_left):
    with boot(components=[User]) as system:
        user = system[User]
        old = system.pit.artifacts
        kept = old.put(b"kept")
        memory = Memory()
        report = system.swap(ArtifactStore, memory, drain=0.3)
        assert user.store is user.pit.artifacts is user.handle.value is memory
        assert system.pit.artifacts is system[ArtifactStore] is system.get(ArtifactStore) is memory
        assert user.store.put(b"new") == "m0"
        assert report.rewritten == (("User", "store"), ("Pit", "artifacts"))
        assert (report.component, report.old, report.new) == (
            "artifact-store",
            "ArtifactStore",
            "Memory",
        )
        # This test holds the old handle itself.
        assert not report.drained
        assert any("test_everybody_has" in holder.what for holder in report.holders)
        assert old.get(kept) == b"kept"
        del old
    assert memory.stopped


def test_the_old_store_is_drained_and_closed_and_the_next_boot_finds_what_it_kept(
    workshop, nothing_left
):
    with boot(config=workshop.config) as system:
        kept = system.pit.artifacts.put(b"kept", name="it")
        report = system.swap(ArtifactStore, Memory)
        assert report.drained
        assert report.stop_error is None
        assert report.notes == ("stopped with it: `stale-manager`, which works inside it",)
        assert "which works inside it" in str(report)
        with pytest.raises(StoppedError, match="`stale-manager` was stopped when another took"):
            system.pit.stale.evaluate(kept)
        again = system.swap(ArtifactStore, Memory)
        assert again.old == again.new == "Memory"
        assert again.drained
        assert system.health().state == "healthy"
    with boot(config=workshop.config) as system:
        assert system.pit.artifacts.get(kept) == b"kept"


def test_melodies_reach_what_stands_in_the_place(workshop):
    melody = workshop.melody(KEEP)
    with boot(config=workshop.config) as system:
        first = system.submit(melody, {"text": "grüße"}).result(10)["put"]
        assert system.pit.artifacts.get(first) == "grüße".encode()
        memory = Memory()
        system.swap(ArtifactStore, memory)
        assert system.submit(melody, {"text": "grüße"}).result(10) == {"put": "m0"}
        assert memory.kept == {"m0": "grüße".encode()}
        runs = [system.submit(melody, {"text": str(number)}) for number in range(50)]
        assert len({run.result(10)["put"] for run in runs}) == 50
        assert memory.threads
        assert not any(name.startswith("symphony") for name in memory.threads)

        class Other(Memory):
            def put(self, data: bytes, *, name: str | None = None) -> str:
                return "other"

        system.swap(ArtifactStore, Other)
        assert system.submit(melody, {"text": "x"}).result(10) == {"put": "other"}


def test_an_operation_that_the_new_one_cannot_serve_says_so(workshop):
    stats = workshop.melody(KEEP.replace("artifact-store.put", "artifact-store.stats"), "s.toml")
    stats.write_text(stats.read_text().replace('with = { data = "${inputs.text}" }', ""))
    put = workshop.melody(KEEP)

    class Broken(Memory):
        def put(self, data: bytes) -> str:
            raise OSError("disk full")

    with boot(config=workshop.config) as system:
        system.swap(ArtifactStore, Broken)
        with pytest.raises(RemoteError) as missing:
            system.submit(stats, {"text": ""}).result(10)
        text = "`Broken`, which stands in the place of `artifact-store`, has no `stats`"
        assert text in str(missing.value).replace(
            "test_an_operation_that_the_new_one_", ""
        ).replace("cannot_serve_says_so.<locals>.", "")
        with pytest.raises(RemoteError) as raised:
            system.submit(put, {"text": "x"}).result(10)
        assert raised.value.type_name.endswith("OSError")
        assert "disk full" in str(raised.value)
        assert "raise OSError" in raised.value.traceback


def test_a_guests_call_of_an_operation_reaches_the_new_one(workshop):
    workshop.extension(
        "keeper",
        """
        @extension.operation
        def keep(text):
            return extension.call("artifact-store.put", data=text)
        """,
        '[extension.permissions]\ncalls = ["artifact-store.put"]\n',
    )
    with boot(config=workshop.config) as system:
        keeper = system.kit.extension("keeper")
        assert len(keeper.call("keep", text="x")) == 64
        system.swap(ArtifactStore, Memory)
        assert keeper.call("keep", text="x") == "m0"


def test_a_call_in_flight_ends_on_the_old_member():
    entered, waits = threading.Event(), []
    with boot() as system:
        system.pit.arbitration.define("gpu", 1)
        held = system.pit.arbitration.request("gpu", "first")

        def wait() -> None:
            entered.set()
            waits.append(system.pit.arbitration.request("gpu", "second", timeout=10).outcome)

        class Free:
            def request(self, resource: str, owner: str) -> str:
                return "free"

        waiter = threading.Thread(target=wait)
        waiter.start()
        assert entered.wait(10)
        swapped: list[Any] = []
        swapper = threading.Thread(
            target=lambda: swapped.append(system.swap(ArbitrationEngine, Free, drain=10))
        )
        swapper.start()
        while type(system.pit.arbitration) is not Free:
            swapper.join(0.002)
        assert swapper.is_alive()
        held.release()
        waiter.join(10)
        del held
        swapper.join(10)
        assert waits == ["granted"]
        assert swapped[0].drained, str(swapped[0])
        assert system[ArbitrationEngine].request("gpu", "third") == "free"


def test_what_the_engine_works_with_is_left_running_and_named():
    class Tracker:
        pass

    with boot() as system:
        report = system.swap(DagTracker, Tracker)
        assert not report.drained
        assert "the engine of Melodies" in report.holders[0].what
        assert report.seconds < 4
        assert type(system.pit.dag) is Tracker


def test_workers_on_lease_keep_a_pool_from_being_closed():
    with boot() as system:
        system.pit.pool.register("model", list, size=1)
        with system.pit.pool.lease("model") as worker:
            report = system.swap(PoolManager, Memory, drain=0.1)
            assert not report.drained
            worker.append(1)


def test_every_member_gives_its_place():
    kinds = [StaleManager, DagTracker, PoolManager, ArbitrationEngine, ArtifactStore]
    with boot() as system:
        for kind in kinds:
            memory = Memory()
            report = system.swap(kind, memory)
            assert system[kind] is memory
            assert report.drained is (kind is not DagTracker), str(report)


def test_what_cannot_take_a_members_place_is_refused(workshop):
    class Wrapped:
        def __init__(self, store: ArtifactStore) -> None: ...

    class Fails:
        def start(self) -> None:
            raise OSError("no")

    workshop.system('members = ["artifact-store"]')
    with boot(config=workshop.config) as system:
        store = system.pit.artifacts
        for itself in (ArtifactStore, store, PoolManager):
            with pytest.raises(InvalidValueError, match="cannot take the place") as caught:
                system.swap(ArtifactStore, itself)
            assert "cannot share one state folder" in caught.value.hints[0]
        with pytest.raises(ComponentNotFoundError, match="`pool-manager` was not started"):
            system.swap(PoolManager, Memory)
        with pytest.raises(CycleError):
            system.swap(ArtifactStore, Wrapped)
        with pytest.raises(Exception, match="OSError: no"):
            system.swap(ArtifactStore, Fails)
        with pytest.raises(InvalidValueError, match="would split what it keeps"):
            system.experiment(ArtifactStore, {"a": Memory, "b": Memory})
        assert system.pit.artifacts is system[ArtifactStore] is store
        assert store.get(store.put(b"still")) == b"still"


def test_an_extension_stands_in_for_a_member(workshop):
    workshop.extension(
        "shelf",
        """
        kept = {}
        @extension.operation
        def put(data, name=None):
            kept[str(len(kept))] = data
            return str(len(kept) - 1)
        @extension.operation
        def get(id):
            return kept[id]
        """,
    )
    workshop.extension("other", "@extension.operation\ndef nothing():\n    return 1\n")
    melody = workshop.melody(KEEP)
    with boot(config=workshop.config, components=[User]) as system:
        with pytest.raises(InvalidValueError, match="declares no operation of `ArtifactStore`"):
            system.swap(ArtifactStore, system.kit.extension("other"))
        system.swap(ArtifactStore, system.kit.extension("shelf"))
        store = system[User].store
        assert store.put(b"one", name="n") == "0"
        assert store.get("0") == b"one"
        assert system.submit(melody, {"text": "two"}).result(10) == {"put": "1"}
        assert not hasattr(store, "verify")
