"""`pit.dag`: what of a running graph is ready, completed, failed."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from conftest import wait_until
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


def test_two_callers_of_one_run_never_get_the_same_node(dag):
    nodes = {f"n{number}": () for number in range(200)}
    run, given = dag.submit(nodes), []

    def work():
        while True:
            node = dag.start(run)
            if node is None:
                return
            given.append(node)
            dag.complete(run, node)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(given) == sorted(nodes)
    assert dag.status(run)["state"] == "completed"


def test_a_node_that_was_started_is_nobody_elses(dag):
    run = dag.submit({"a": (), "b": ()})
    assert dag.start(run, "b") == "b"
    assert (dag.ready(run), states(dag, run)["b"]) == (["a"], "running")
    with pytest.raises(InvalidValueError, match="cannot start node `b`: it is running"):
        dag.start(run, "b")
    assert (dag.start(run), dag.start(run)) == ("a", None)
    with pytest.raises(NotFoundError, match="no node `c`"):
        dag.start(run, "c")


def test_a_run_is_gone_on_with_after_the_process_was_killed(workshop):
    script = """
import os, sys
from symphony import boot
dag = boot(config=sys.argv[1]).pit.dag
run = dag.submit(
    {"fetch": (), "parse": ["fetch"], "lint": (), "report": ()},
    soft={"report": ["lint", "parse"]},
    retries={"lint": 1},
    back_off=600.0,
    label="nightly",
)
dag.complete(run, dag.start(run, "fetch"), "page")
dag.start(run, "parse")
dag.fail(run, "lint", "flaky")
print(run, flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(workshop.config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    run = int(done.stdout)
    with boot(config=workshop.config) as system:
        dag = system.pit.dag
        status = dag.status(run)
        assert (status["label"], status["resumed"], status["state"]) == ("nightly", True, "active")
        assert status["nodes"]["fetch"] == {
            "state": "completed",
            "artifact": "page",
            "reason": None,
        }
        assert status["nodes"]["lint"] == {
            "state": "waiting",
            "artifact": None,
            "reason": "flaky",
            "attempts": 1,
        }
        # Who ran it died with it: it is given out again, and what was completed is not.
        assert dag.take(9) == [(run, "parse")]
        dag.complete(run, "parse")
        dag.retry(run, "lint")
        assert dag.fail(run, dag.start(run), "broken") == []
        assert dag.start(run) == "report"


def test_soft_and_optional_needs(dag):
    run = dag.submit(
        {"lint": (), "deploy": ("lint",), "report": ()},
        soft={"report": ["lint"]},
        optional={"report": ["coverage", "deploy"]},
    )
    assert dag.ready(run) == ["lint"]
    dag.fail(run, "lint", "ugly")
    assert dag.ready(run) == ["report"]
    with pytest.raises(InvalidValueError, match="needs `lnt`, which is not a node"):
        dag.submit({"lint": (), "report": ()}, soft={"report": ["lnt"]})
    with pytest.raises(InvalidValueError, match="cycle"):
        dag.submit({"a": ("b",), "b": ()}, optional={"b": ["a"]})


def test_a_failure_is_tried_again_with_a_pause(dag):
    run = dag.submit({"a": (), "b": ("a",)}, retries=1, back_off=0.05)
    dag.start(run)
    assert dag.fail(run, "a", "flaky") == []
    assert (dag.ready(run), states(dag, run)["a"]) == ([], "waiting")
    began = time.monotonic()
    assert dag.take(timeout=None) == [(run, "a")]
    assert time.monotonic() - began >= 0.04
    assert dag.fail(run, "a", "broken") == ["b"]
    assert dag.status(run)["nodes"]["a"]["attempts"] == 2


def test_a_node_and_a_run_that_take_too_long(dag):
    run = dag.submit({"a": (), "b": ()}, timeout={"a": 0.02})
    assert (dag.start(run), dag.start(run)) == ("a", "b")
    assert wait_until(lambda: states(dag, run) == {"a": "failed", "b": "running"})
    late = dag.submit({"a": (), "b": ("a",)}, deadline=0.05)
    assert wait_until(lambda: dag.status(late)["state"] == "failed")
    assert states(dag, late) == {"a": "failed", "b": "blocked"}
    assert "deadline" in dag.status(late)["nodes"]["a"]["reason"]


@pytest.mark.parametrize("name", ["timeout", "back_off", "deadline"])
@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_times_that_are_no_number_of_seconds(dag, name, seconds):
    with pytest.raises(InvalidValueError, match=f"`{name}` takes a number of seconds"):
        dag.submit({"a": ()}, **{name: seconds})
    dag.submit({"a": ()}, **{name: float("inf")})


def test_retries_of_what_is_no_node(dag):
    with pytest.raises(NotFoundError, match="no node of the graph `b`"):
        dag.submit({"a": ()}, retries={"b": 1})
    with pytest.raises(OverflowError):
        dag.submit({"a": ()}, retries=-1)


def test_the_most_urgent_run_is_taken_first(dag):
    low, high = dag.submit({"a": ()}, priority=-100), dag.submit({"a": ()}, priority=100)
    assert dag.take(9) == [(high, "a"), (low, "a")]
    assert dag.take() == []


def test_who_waits_for_a_node_of_any_run_gets_it(dag):
    taken = []
    thread = threading.Thread(target=lambda: taken.extend(dag.take(timeout=30)))
    thread.start()
    run = dag.submit({"a": ()})
    thread.join(30)
    assert taken == [(run, "a")]
