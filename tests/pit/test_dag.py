"""`pit.dag`: what of a running graph is ready, completed, failed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symphony import InvalidValueError, NotFoundError, StoppedError, boot

DIAMOND = {"a": [], "b": ["a"], "c": ("a",), "d": {"b", "c"}}


@pytest.fixture
def dag():
    with boot() as system:
        yield system.pit.dag


def states(dag, run):
    return {name: node["state"] for name, node in dag.status(run)["nodes"].items()}


def test_a_graph_from_beginning_to_end(dag):
    run = dag.submit(DIAMOND, priority=100)
    assert dag.ready(run) == ["a"]
    assert sorted(dag.complete(run, "a", "made")) == ["b", "c"]
    assert dag.complete(run, "b") == []
    assert dag.complete(run, "c") == ["d"]
    assert dag.complete(run, "d") == []
    status = dag.status(run)
    assert (status["run"], status["state"], status["priority"]) == (run, "completed", 100)
    assert status["resumed"] is False
    assert status["nodes"]["a"] == {"state": "completed", "artifact": "made", "reason": None}
    assert dag.runs() == {run: "completed"}


def test_ready_gives_no_more_than_the_limit(dag):
    run = dag.submit({name: [] for name in "abcde"})
    assert len(dag.ready(run, 2)) == 2
    assert dag.ready(dag.submit({"x": [], "y": []}), 1) == ["x"]


def test_later_runs_have_greater_numbers(dag):
    first, second = dag.submit({"a": []}), dag.submit({})
    assert second > first
    assert dag.runs() == {first: "active", second: "completed"}


def test_a_failure_blocks_what_needs_it_until_it_is_tried_again(dag):
    run = dag.submit({**DIAMOND, "alone": []})
    assert dag.fail(run, "a", "no luck")
    assert states(dag, run) == {
        "a": "failed",
        "b": "blocked",
        "c": "blocked",
        "d": "blocked",
        "alone": "ready",
    }
    assert dag.status(run)["nodes"]["a"]["reason"] == "no luck"
    dag.retry(run, "a")
    assert set(states(dag, run).values()) == {"ready", "pending"}
    assert sorted(dag.complete(run, "a")) == ["b", "c"]


def test_a_run_with_a_failure_ends_as_failed(dag):
    run = dag.submit({"a": [], "b": ["a"]})
    assert dag.fail(run, "a", "why") == ["b"]
    assert dag.status(run)["state"] == "failed"


def test_a_skipped_node_holds_nobody_up(dag):
    run = dag.submit({"a": [], "b": ["a"]})
    assert dag.skip(run, "a", "not today") == ["b"]
    assert dag.status(run)["nodes"]["a"] == {
        "state": "skipped",
        "artifact": None,
        "reason": "not today",
    }
    dag.complete(run, "b")
    assert dag.status(run)["state"] == "completed"


def test_of_a_cancelled_run_nothing_is_ready(dag):
    run = dag.submit(DIAMOND)
    dag.complete(run, "a")
    with pytest.raises(InvalidValueError, match="active"):
        dag.forget(run)
    dag.cancel(run)
    assert dag.ready(run) == []
    assert states(dag, run) == dict(zip("abcd", ["completed", *["cancelled"] * 3]))
    with pytest.raises(InvalidValueError, match="cancelled"):
        dag.complete(run, "b")
    dag.forget(run)
    assert dag.runs() == {}
    with pytest.raises(NotFoundError, match=f"no run `{run}`"):
        dag.status(run)


def test_what_cannot_be_submitted_starts_nothing(dag):
    with pytest.raises(InvalidValueError, match="`a` needs `z`") as caught:
        dag.submit({"a": ["z"]})
    assert (caught.value.code, caught.value.hints) == ("invalid-value", ())
    with pytest.raises(InvalidValueError, match="cycle: `a` -> `b` -> `a`"):
        dag.submit({"a": ["b"], "b": ["a"]})
    with pytest.raises(TypeError):
        dag.submit({"a": [1]})
    assert dag.runs() == {}


def test_moves_that_the_state_does_not_allow(dag):
    run = dag.submit({"a": [], "b": ["a"]})
    with pytest.raises(InvalidValueError, match="`b`: it is pending") as caught:
        dag.complete(run, "b")
    assert (caught.value.code, caught.value.hints) == ("invalid-value", ())
    dag.complete(run, "a")
    for move in (dag.complete, dag.skip, dag.retry):
        with pytest.raises(InvalidValueError, match="`a`: it is completed"):
            move(run, "a")
    with pytest.raises(InvalidValueError, match="`a`: it is completed"):
        dag.fail(run, "a", "why")


CALLS = {
    "ready": (),
    "complete": ("a",),
    "fail": ("a", "why"),
    "skip": ("a",),
    "retry": ("a",),
    "cancel": (),
    "forget": (),
    "status": (),
}


@pytest.mark.parametrize("method", CALLS)
def test_there_is_no_such_run_or_node(dag, method):
    with pytest.raises(NotFoundError, match="no run `99`") as caught:
        getattr(dag, method)(99, *CALLS[method])
    assert (caught.value.code, caught.value.hints) == ("not-found", ())
    if CALLS[method]:
        run = dag.submit({"b": []})
        with pytest.raises(NotFoundError, match=f"no node `a` of run `{run}`"):
            getattr(dag, method)(run, *CALLS[method])


def test_a_completed_node_stays_so_after_a_restart(workshop):
    with boot(config=workshop.config) as system:
        run = system.pit.dag.submit({"a": [], "b": ["a"]}, priority=7)
        system.pit.dag.complete(run, "a")
    with boot(config=workshop.config) as system:
        dag = system.pit.dag
        status = dag.status(run)
        assert (status["state"], status["priority"], status["resumed"]) == ("active", 7, True)
        assert dag.ready(run) == ["b"]
        assert dag.submit({}) > run


def test_after_the_shutdown():
    with boot() as system:
        dag = system.pit.dag
    for call in (
        lambda: dag.submit({}),
        dag.runs,
        *(lambda m=m: getattr(dag, m)(1, *CALLS[m]) for m in CALLS),
    ):
        with pytest.raises(StoppedError, match="dag-tracker") as caught:
            call()
        assert caught.value.code == "stopped"


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 7))
    return {
        f"n{index}": [f"n{need}" for need in sorted(draw(st.sets(st.integers(0, index - 1))))]
        if index
        else []
        for index in range(count)
    }


def closed(graph, failed):
    """What needs a failed node, however far off."""
    found = set()
    while True:
        more = {n for n, needs in graph.items() if {*needs} & (found | failed)} - failed
        if more == found:
            return found
        found = more


@settings(max_examples=40, deadline=None)
@given(graphs(), st.data())
def test_the_tracker_against_sets(graph, data):
    with boot() as system:
        dag = system.pit.dag
        run = dag.submit(graph)
        done, failed = set(), set()
        while True:
            blocked = closed(graph, failed)
            ready = {
                name
                for name, needs in graph.items()
                if {*needs} <= done and name not in done | failed
            }
            told = states(dag, run)
            assert {n for n, state in told.items() if state in {"ready", "running"}} == ready
            assert {n for n, state in told.items() if state == "blocked"} == blocked
            assert {n for n, state in told.items() if state == "failed"} == failed
            if not ready:
                break
            assert dag.status(run)["state"] == "active"
            name = data.draw(st.sampled_from(sorted(ready)))
            move = data.draw(st.sampled_from(["complete", "complete", "skip", "fail"]))
            if move == "fail":
                failed.add(name)
                assert set(dag.fail(run, name, "why")) == closed(graph, failed) - blocked
            else:
                done.add(name)
                freed = {n for n, needs in graph.items() if name in needs and {*needs} <= done}
                assert set(getattr(dag, move)(run, name)) == freed
        assert dag.status(run)["state"] == ("failed" if failed else "completed")
