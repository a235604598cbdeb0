"""`pit.stale`: what to keep, archive or delete, and why."""

from __future__ import annotations

import pytest
from symphony import InvalidValueError, NotFoundError, StoppedError, boot

NOBODY = "0" * 64


@pytest.fixture
def pit():
    with boot() as system:
        yield system.pit


def test_without_a_rule_everything_stays(pit):
    artifact = pit.artifacts.put(b"1")
    assert pit.stale.evaluate(artifact) == "keep"
    assert pit.stale.explain(artifact).startswith("keep")
    assert pit.stale.sweep()["kept"] == 1


def test_the_first_rule_whose_conditions_all_hold_decides(pit):
    small = pit.artifacts.put(b"1", tags=["scratch"])
    large = pit.artifacts.put(b"1" * 100, tags=["scratch"])
    other = pit.artifacts.put(b"2")
    pit.stale.rule("big", "archive", tag="scratch", larger_than=50)
    pit.stale.rule("scratch", "delete", tag="scratch")
    assert pit.stale.evaluate(large) == "archive"
    assert pit.stale.explain(large).startswith("archive: rule `big`")
    assert pit.stale.evaluate(small) == "delete"
    assert pit.stale.explain(small) == "delete: rule `scratch`: tagged `scratch`"
    assert pit.stale.evaluate(other) == "keep"
    pit.stale.rule("big", "keep", larger_than=50)
    assert pit.stale.evaluate(large) == "keep"


@pytest.mark.parametrize(
    "condition",
    [
        {"reads_below": 1},
        {"larger_than": 3},
        {"tag": "t"},
        {"named": "mod*"},
        {"quality_below": 0.5},
    ],
    ids=lambda condition: next(iter(condition)),
)
def test_each_condition(pit, condition):
    hit = pit.artifacts.put(b"1234", name="model", tags=["t", "quality=0.2"])
    miss = pit.artifacts.put(b"1", name="other", tags=["quality=0.9"])
    pit.artifacts.get(miss)
    pit.stale.rule("it", "delete", **condition)
    assert pit.stale.evaluate(hit) == "delete"
    assert pit.stale.evaluate(miss) == "keep"


@pytest.mark.parametrize("condition", ["older_than", "unused_for"])
def test_what_is_young_is_no_match_for_a_long_time(pit, condition):
    artifact = pit.artifacts.put(b"1")
    pit.stale.rule("it", "delete", **{condition: 3600.0})
    assert pit.stale.evaluate(artifact) == "keep"


def test_what_is_pinned_is_kept_until_it_is_unpinned(pit):
    artifact = pit.artifacts.put(b"1", tags=["t"])
    pit.stale.rule("it", "delete", tag="t")
    pit.stale.pin(artifact)
    assert (pit.stale.evaluate(artifact), pit.stale.explain(artifact)) == (
        "keep",
        "keep: it is pinned",
    )
    assert pit.stale.sweep()["deleted"] == []
    pit.stale.unpin(artifact)
    assert pit.stale.sweep()["deleted"] == [artifact]
    assert not pit.artifacts.exists(artifact)


def test_a_pin_holds_after_a_restart(workshop):
    with boot(config=workshop.config) as system:
        artifact = system.pit.artifacts.put(b"1", tags=["t"])
        system.pit.stale.pin(artifact)
    with boot(config=workshop.config) as system:
        system.pit.stale.rule("it", "delete", tag="t")
        assert system.pit.stale.explain(artifact) == "keep: it is pinned"


def test_what_a_running_graph_made_is_in_use(pit):
    artifact = pit.artifacts.put(b"1", tags=["t"])
    pit.stale.rule("it", "delete", tag="t")
    run = pit.dag.submit({"a": [], "b": ["a"]})
    pit.dag.complete(run, "a", artifact)
    assert pit.stale.evaluate(artifact) == "keep"
    assert pit.stale.sweep()["deleted"] == []
    pit.dag.complete(run, "b")
    assert pit.stale.evaluate(artifact) == "delete"


def test_a_node_is_not_completed_with_what_was_deleted(pit):
    swept, deleted = pit.artifacts.put(b"1", tags=["t"]), pit.artifacts.put(b"2")
    pit.stale.rule("it", "delete", tag="t")
    run = pit.dag.submit({"a": [], "b": ["a"]})
    assert pit.stale.sweep()["deleted"] == [swept]
    pit.artifacts.delete(deleted)
    for gone in (swept, deleted, swept.upper()):
        with pytest.raises(NotFoundError, match="artifact"):
            pit.dag.complete(run, "a", gone)
    assert pit.dag.ready(run) == ["a"]
    assert pit.artifacts.put(b"1") == swept
    assert pit.dag.complete(run, "a", swept) == ["b"]
    # What was never here is another's to know.
    assert pit.dag.complete(run, "b", NOBODY) == []


def test_a_sweep_does_what_its_rehearsal_told(pit):
    gone = pit.artifacts.put(b"123", tags=["t"])
    packed = pit.artifacts.put(b"packed", tags=["u"])
    pit.artifacts.put(b"kept")
    pit.stale.rule("t", "delete", tag="t")
    pit.stale.rule("u", "archive", tag="u")
    told = pit.stale.sweep(dry_run=True)
    assert told == {
        "dry_run": True,
        "examined": 3,
        "kept": 1,
        "archived": [packed],
        "deleted": [gone],
        "deleted_bytes": 3,
        "failures": [],
    }
    assert pit.artifacts.exists(gone)
    assert not pit.artifacts.metadata(packed)["archived"]
    assert pit.stale.sweep() == {**told, "dry_run": False}
    assert not pit.artifacts.exists(gone)
    assert pit.artifacts.metadata(packed)["archived"]
    assert pit.artifacts.get(packed) == b"packed"


def test_rules_that_are_none(pit):
    for action, conditions, text in (
        ("burn", {"tag": "t"}, "`burn` is not an action"),
        ("delete", {}, "it would delete everything"),
        ("delete", {"older_than": -1.0}, "`older_than` takes a number of seconds"),
        ("delete", {"unused_for": float("nan")}, "`unused_for` takes .* not nan"),
    ):
        with pytest.raises(InvalidValueError, match=text) as caught:
            pit.stale.rule("it", action, **conditions)
        assert (caught.value.code, caught.value.hints) == ("invalid-value", ())


@pytest.mark.parametrize("method", ["evaluate", "explain", "pin"])
def test_nothing_of_that_id(pit, method):
    with pytest.raises(NotFoundError, match=NOBODY) as caught:
        getattr(pit.stale, method)(NOBODY)
    assert (caught.value.code, caught.value.hints) == ("not-found", ())


@pytest.mark.parametrize("method", ["evaluate", "explain", "pin", "unpin"])
def test_what_is_no_id(pit, method):
    with pytest.raises(InvalidValueError, match="`zz` is not a lawful artifact id") as caught:
        getattr(pit.stale, method)("zz")
    assert (caught.value.code, caught.value.hints) == ("invalid-value", ())


def test_after_the_shutdown():
    with boot() as system:
        stale = system.pit.stale
    for method, arguments in {
        "rule": ("it", "keep"),
        "evaluate": (NOBODY,),
        "explain": (NOBODY,),
        "pin": (NOBODY,),
        "unpin": (NOBODY,),
        "sweep": (),
    }.items():
        with pytest.raises(StoppedError, match="stale-manager") as caught:
            getattr(stale, method)(*arguments)
        assert caught.value.code == "stopped"
