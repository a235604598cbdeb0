"""A boot that fails: what started is stopped, in reverse, and the first failure is the one told."""

from __future__ import annotations

import json
import sys
import threading

import boot_scripts
import pytest
import symphony
from symphony import BootError, OrchestraKit, boot

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_in_reverse_each_once_and_errors_are_kept():
    stops = []

    class First:
        def stop(self) -> None:
            stops.append("first")
            raise ValueError("first will not stop")

    class Second:
        def __init__(self, first: First) -> None: ...

        def stop(self) -> None:
            stops.append("second")

    class Fails:
        def __init__(self, second: Second) -> None: ...

        def start(self) -> None:
            raise OSError("no disk")

    with pytest.raises(BootError) as caught:
        boot(components=[Fails, Second, First])
    error = caught.value
    assert stops == ["second", "first"]
    assert (error.code, error.phase, error.component) == ("start-failed", "conductor", "Fails")
    assert isinstance(error.__cause__, OSError)
    (rollback,) = error.rollback_errors
    assert "first will not stop" in str(rollback) or "first will not stop" in str(
        rollback.__cause__
    )
    assert "while rolling back: " in boot_scripts.notes_of(error)
    document = json.loads(error.report.to_json())
    assert not document["ok"]
    assert document["error"]["component"] == "Fails"
    assert document["error"]["code"] == "start-failed"


def test_the_factorys_own_exception_is_the_cause():
    raised = KeyError("mine")

    def make(kit: OrchestraKit) -> object:
        raise raised

    with pytest.raises(BootError) as caught:
        boot(make)
    assert caught.value.__cause__ is raised
    assert caught.value.component == "make"


def test_overrides_of_members_and_of_the_kit_are_never_started():
    class Store:
        def put(self, data: bytes) -> str:
            return "fake"

    store = Store()
    with boot(overrides={symphony.ArtifactStore: store}) as system:
        assert system[symphony.ArtifactStore] is store
        assert system.pit.artifacts is store
        names = [entry["name"] for entry in json.loads(system.report.to_json())["components"]]
        assert "artifact-store" not in names


@pytest.mark.parametrize("kind", [symphony.Pit, OrchestraKit])
def test_an_override_of_the_pit_or_the_kit_is_what_others_get(kind):
    class Fake:
        pass

    fake = Fake()

    class Needs:
        def __init__(self, given: kind) -> None:  # type: ignore[valid-type]
            self.given = given

    Needs.__init__.__annotations__["given"] = kind
    with boot(
        lambda: None, components=[Needs], overrides={kind: fake}, observer=lambda _event: None
    ) as system:
        assert system[Needs].given is fake
        assert system[kind] is fake
        assert (system.pit if kind is symphony.Pit else system.kit) is fake
        names = [entry["name"] for entry in json.loads(system.report.to_json())["components"]]
        assert {"pit": "pit", "kit": "orchestra-kit"}[
            "pit" if kind is symphony.Pit else "kit"
        ] not in names


def test_overrides_of_components():
    class Real:
        def __init__(self) -> None:
            raise AssertionError("what is overridden is never started")

    class Fake:
        pass

    class Needs:
        def __init__(self, real: Real) -> None:
            self.real = real

    instance = Fake()
    with boot(components=[Real, Needs], overrides={Real: instance}) as system:
        assert system[Needs].real is instance
    with boot(components=[Real, Needs], overrides={Real: Fake}) as system:
        assert type(system[Needs].real) is Fake
    called = symphony.factory(lambda: instance)
    with boot(components=[Real, Needs], overrides={Real: called}) as system:
        assert system[Needs].real is instance


def test_events_come_in_pairs_and_in_order(monkeypatch):
    events, unraisable = [], []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: unraisable.append(found.exc_value))

    def observer(event):
        events.append(event)
        if event.name == "boot-finished":
            raise ValueError("an observer's own fault")

    class Thing:
        pass

    with boot(components=[Thing], observer=observer) as system:
        assert system.report.ok
    assert [str(error) for error in unraisable] == ["an observer's own fault"]
    assert (events[0].name, events[-1].name) == ("boot-started", "boot-finished")
    open_ones = set()
    for event in events:
        what = event.name.rpartition("-")
        if what[2] == "started" and what[0] in ("phase", "component"):
            open_ones.add((what[0], event.component or event.phase))
        if what[2] == "finished" and what[0] in ("phase", "component"):
            open_ones.remove((what[0], event.component or event.phase))
            assert event.seconds >= 0
    assert not open_ones
    unraisable.clear()


def test_an_observer_that_hangs_delays_the_boot_a_quarter_of_a_second_at_most():
    import time

    free = threading.Event()
    began = time.monotonic()
    with boot(observer=lambda _event: free.wait(20)) as system:
        took = time.monotonic() - began
        assert system.report.ok
        free.set()
    assert took < 4 * 0.25


def test_log_records_of_phases_and_components(caplog):
    import logging

    with caplog.at_level(logging.DEBUG, logger="symphony.boot"):
        with boot():
            pass
    levels = {record.levelno for record in caplog.records if record.name == "symphony.boot"}
    assert levels == {logging.INFO, logging.DEBUG}
    assert any("pit" in record.getMessage() for record in caplog.records)


def test_the_reports_keys_are_the_contracts():
    with boot() as system:
        document = json.loads(system.report.to_json())
    assert set(document) == {
        "schema", "ok", "state", "system", "ready_seconds", "since_launch_seconds", "overhead_seconds",
        "infrastructure_seconds", "memory_mb", "phases", "components", "critical_path",
        "savings", "budget_violations", "safe_mode", "error", "spans",
    }  # fmt: skip
    assert document["schema"] == 1
    assert document["error"] is None
    for phase in document["phases"]:
        assert set(phase) == {"name", "status", "seconds", "budget_seconds"}
    for entry in document["components"]:
        assert set(entry) == {"name", "phase", "status", "started_at", "seconds", "requires"}
    with pytest.raises(BootError) as caught:
        boot(lambda: 1 / 0)
    failed = json.loads(caught.value.report.to_json())
    assert set(failed) == set(document)
    assert set(failed["error"]) == {"code", "message", "phase", "component", "causes", "hints"}
