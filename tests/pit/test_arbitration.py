"""`pit.arbitration`: who gets a scarce thing, and why."""

from __future__ import annotations

import threading

import pytest
from symphony import InvalidValueError, NotFoundError, StoppedError, boot
from workshop import wait_until


@pytest.fixture
def engine():
    with boot() as system:
        system.pit.arbitration.define("gpu", 2)
        yield system.pit.arbitration


def test_granted_deferred_and_denied(engine):
    granted = engine.request("gpu", "ann", 2)
    deferred = engine.request("gpu", "bob")
    denied = engine.request("gpu", "bob", 3)
    assert [g.outcome for g in (granted, deferred, denied)] == ["granted", "deferred", "denied"]
    assert granted.reason == "2 of 2 free were taken"
    assert deferred.reason == "1 wanted, 0 of 2 free"
    assert denied.reason == "3 wanted, there are only 2"
    for grant in (deferred, denied):
        with pytest.raises(RuntimeError, match=grant.outcome), grant:
            pass
        grant.release()
    granted.release()
    granted.release()
    with engine.request("gpu", "bob", 2) as again:
        assert again.outcome == "granted"


def test_leaving_the_block_gives_it_back(engine):
    with engine.request("gpu", "ann", 2) as grant:
        assert engine.request("gpu", "bob").outcome == "deferred"
    assert grant.outcome == "granted"
    with pytest.raises(KeyError, match="own"), engine.request("gpu", "ann", 2):
        raise KeyError("own")
    with engine.request("gpu", "bob", 2) as grant:
        assert grant.outcome == "granted"


def test_the_audit_tells_every_decision(engine):
    with engine.request("gpu", "ann", 2, priority=100):
        engine.request("gpu", "bob")
        engine.request("gpu", "bob", 3)
    audit = engine.audit()
    assert [entry["decision"] for entry in audit] == ["granted", "deferred", "denied", "released"]
    assert [entry["sequence"] for entry in audit] == [1, 2, 3, 4]
    assert [entry["amount"] for entry in audit] == [2, 1, 3, 2]
    assert [entry["owner"] for entry in audit] == ["ann", "bob", "bob", "ann"]
    assert audit[0]["priority"] == 100
    assert {entry["resource"] for entry in audit} == {"gpu"}
    assert all(entry["reason"] and entry["waited"] >= 0 for entry in audit)
    times = [entry["at"] for entry in audit]
    assert times == sorted(times)


@pytest.mark.parametrize("strategy", ["priority", "fair", "queue"])
def test_eight_threads_never_hold_more_than_there_is(engine, strategy):
    engine.define("slot", 3, strategy=strategy)
    inside, most, lock = 0, 0, threading.Lock()
    outcomes = []

    def work(number):
        nonlocal inside, most
        for _ in range(25):
            with engine.request("slot", f"owner {number}", timeout=30) as grant:
                with lock:
                    inside += 1
                    most = max(most, inside)
                outcomes.append(grant.outcome)
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert outcomes == ["granted"] * 200
    assert most <= 3
    assert engine.request("slot", "last", 3).outcome == "granted"


def test_who_waits_is_granted_when_it_is_given_back(engine):
    held = engine.request("gpu", "ann", 2)
    entered, outcomes = threading.Event(), []

    def ask():
        entered.set()
        outcomes.append(engine.request("gpu", "bob", 2, timeout=30).outcome)

    thread = threading.Thread(target=ask)
    thread.start()
    assert entered.wait(10)
    # The one that waits does not hold the interpreter: this thread goes on.
    assert sum(range(10_000)) == 49_995_000
    held.release()
    thread.join(30)
    assert outcomes == ["granted"]


def test_who_waits_too_long_is_deferred(engine):
    with engine.request("gpu", "ann", 2):
        assert engine.request("gpu", "bob", timeout=0.05).outcome == "deferred"
    assert engine.audit()[1]["waited"] >= 0.05


def test_what_cannot_be_defined(engine):
    for arguments, strategy, text in (
        (("gpu", 2), "priority", "`gpu` exists already"),
        (("x", 0), "priority", "`0` is not a lawful capacity"),
        (("x", 1), "luck", "`luck` is not a lawful strategy"),
    ):
        with pytest.raises(InvalidValueError, match=text) as caught:
            engine.define(*arguments, strategy=strategy)
        assert (caught.value.code, caught.value.hints) == ("invalid-value", ())


def test_what_cannot_be_asked_for(engine):
    with pytest.raises(NotFoundError, match="no resource `tpu`") as missing:
        engine.request("tpu", "ann")
    assert (missing.value.code, missing.value.hints) == ("not-found", ())
    with pytest.raises(InvalidValueError, match="`0` is not a lawful amount") as wrong:
        engine.request("gpu", "ann", 0)
    assert (wrong.value.code, wrong.value.hints) == ("invalid-value", ())
    assert engine.audit() == []


def test_after_the_shutdown():
    with boot() as system:
        engine = system.pit.arbitration
        engine.define("gpu", 1)
        grant = engine.request("gpu", "ann")
    grant.release()
    for call in (
        lambda: engine.define("x", 1),
        lambda: engine.request("gpu", "ann"),
        engine.audit,
    ):
        with pytest.raises(StoppedError, match="arbitration-engine") as caught:
            call()
        assert caught.value.code == "stopped"


def test_owners_that_hold_what_each_other_wants_are_told_as_a_ring(engine):
    for name in ("disk", "net"):
        engine.define(name, 1)
    meet, answers = threading.Barrier(2), {}

    def work(owner, held, wanted):
        with engine.request(held, owner):
            meet.wait(30)
            with_it = engine.request(wanted, owner, timeout=None)
            answers[owner] = (with_it.outcome, with_it.reason)
            with_it.release()

    threads = [
        threading.Thread(target=work, args=("ann", "disk", "net")),
        threading.Thread(target=work, args=("bob", "net", "disk")),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcome for outcome, _ in answers.values()) == ["deferred", "granted"]
    reason = next(reason for outcome, reason in answers.values() if outcome == "deferred")
    assert reason in {
        "deadlock: `ann` waits for `net`, held by `bob`, which waits for `disk`, held by `ann`",
        "deadlock: `bob` waits for `disk`, held by `ann`, which waits for `net`, held by `bob`",
    }
    assert reason in [entry["reason"] for entry in engine.audit()]


def test_a_lease_ends_unless_it_is_renewed(engine):
    grant = engine.request("gpu", "ann", 2, lease=0.05)
    assert (grant.held, grant.owner, grant.resource, grant.amount) == (True, "ann", "gpu", 2)
    grant.renew(600)
    assert engine.request("gpu", "bob", timeout=0.1).outcome == "deferred"
    grant.renew(0.01)
    with engine.request("gpu", "bob", timeout=30) as other:
        assert (grant.held, other.held) == (False, True)
        with pytest.raises(InvalidValueError, match="not held any more"):
            grant.renew()
    assert "expired" in [entry["decision"] for entry in engine.audit()]
    with pytest.raises(InvalidValueError, match="`lease` takes a number of seconds"):
        engine.request("gpu", "ann", lease=-1)


def test_what_an_owner_holds_is_seen_and_given_back(engine):
    grants = [engine.request("gpu", owner) for owner in ("ann", "bob")]
    assert engine.status() == {
        "gpu": {
            "strategy": "priority",
            "capacity": 2,
            "used": 2,
            "waiting": 0,
            "holders": {"ann": 1, "bob": 1},
        }
    }
    assert engine.release("ann") == 1
    assert [grant.held for grant in grants] == [False, True]


def test_shares_follow_the_weights(engine):
    engine.define("slot", 1, strategy="fair", weights={"ann": 3})
    served = []

    def work(owner):
        with engine.request("slot", owner, timeout=30):
            served.append(owner)

    threads = [threading.Thread(target=work, args=(owner,)) for owner in ("ann", "bob") * 12]
    with engine.request("slot", "cat"):
        for thread in threads:
            thread.start()
        # Everybody waits before anybody is served: the order is the engine's, and not that of threads.
        assert wait_until(lambda: engine.status()["slot"]["waiting"] == len(threads))
    for thread in threads:
        thread.join(60)
    assert 8 <= served[:12].count("ann") <= 10, served
    assert served.count("ann") == served.count("bob") == 12
    for strategy, weights in (("fair", {"ann": 0}), ("queue", {"ann": 1})):
        with pytest.raises(InvalidValueError, match="not a lawful"):
            engine.define("other", 1, strategy=strategy, weights=weights)
