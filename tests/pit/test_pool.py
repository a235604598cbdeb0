"""`pit.pool`: workers on lease."""

from __future__ import annotations

import sys
import threading

import pytest
from conftest import wait_until
from symphony import CallTimeoutError, InvalidValueError, NotFoundError, StoppedError, boot


@pytest.fixture
def pool():
    with boot() as system:
        yield system.pit.pool


def test_a_warm_worker_is_lent_again(pool):
    pool.register("model", object, size=2, memory=10)
    with pool.lease("model") as first:
        assert pool.stats("model")["leased"] == 1
    with pool.lease("model") as second:
        assert second is first
        with pool.lease("model") as third:
            assert third is not first
    assert pool.stats("model") == {
        "size": 2,
        "idle": 2,
        "leased": 0,
        "waiting": 0,
        "hits": 1,
        "misses": 2,
        "created": 2,
        "failures": 0,
        "evicted": 0,
        "memory": 20,
    }


def test_a_lease_ends_with_its_block_also_after_an_error(pool):
    pool.register("model", object, size=1)
    with pytest.raises(KeyError, match="mine"), pool.lease("model"):
        raise KeyError("mine")
    assert pool.stats("model")["idle"] == 1


def test_a_broken_worker_is_not_lent_again(pool):
    pool.register("model", object, size=1)
    lease = pool.lease("model")
    with lease as first:
        lease.mark_broken()
    assert pool.stats("model")["idle"] == 0
    with pool.lease("model") as second:
        assert second is not first


def test_the_factorys_own_exception_arrives(pool):
    own = KeyError("own")
    answers = [own, "worker"]

    def factory():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    pool.register("model", factory, size=1)
    with pytest.raises(KeyError) as caught, pool.lease("model"):
        pass
    assert caught.value is own
    figures = pool.stats("model")
    assert (figures["failures"], figures["created"], figures["leased"]) == (1, 0, 0)
    # The place is free again.
    with pool.lease("model", timeout=20) as worker:
        assert worker == "worker"


@pytest.mark.parametrize("timeout", [0.0, 0.05])
def test_who_waits_too_long_gets_a_timeout(pool, timeout):
    pool.register("model", object, size=1)
    with pool.lease("model"):
        with pytest.raises(CallTimeoutError, match="pool `model`") as caught:
            with pool.lease("model", timeout):
                pass
    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.code, caught.value.hints) == ("call-timeout", ())
    assert pool.stats("model")["waiting"] == 0


def test_a_waiting_lease_does_not_hold_the_interpreter(pool):
    pool.register("model", object, size=1)
    lent = []

    def wait():
        with pool.lease("model", 30) as worker:
            lent.append(worker)

    thread = threading.Thread(target=wait)
    with pool.lease("model") as worker:
        thread.start()
        # This thread runs Python while the other one stands in the core.
        assert wait_until(lambda: pool.stats("model")["waiting"] == 1)
        assert lent == []
    thread.join(30)
    assert lent == [worker]


def test_eight_threads_never_share_a_worker(pool):
    made, lock, inside, shared = [], threading.Lock(), set(), []

    def factory():
        with lock:
            made.append(object())
            return made[-1]

    def work():
        for _ in range(50):
            with pool.lease("model", 30) as worker:
                with lock:
                    shared.extend({id(worker)} & inside)
                    inside.add(id(worker))
                with lock:
                    inside.discard(id(worker))

    pool.register("model", factory, size=3)
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert shared == []
    figures = pool.stats("model")
    assert figures["hits"] + figures["misses"] == 400
    assert figures["created"] == len(made) <= 3
    assert (figures["leased"], figures["waiting"]) == (0, 0)


def test_a_prewarmed_worker_is_a_hit(pool):
    pool.register("model", object, size=2)
    pool.prewarm("model")
    assert wait_until(lambda: pool.stats("model")["idle"] == 1)
    with pool.lease("model"):
        assert (pool.stats("model")["hits"], pool.stats("model")["misses"]) == (1, 0)


def test_what_the_factory_raises_in_a_prewarming_is_unraisable(pool, monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda it: told.append((it.exc_type, it.exc_value)))
    own = KeyError("own")

    def factory():
        raise own

    pool.register("model", factory, size=1)
    pool.prewarm("model")
    assert wait_until(lambda: bool(told))
    assert told == [(KeyError, own)]


def test_what_cannot_be_registered(pool):
    pool.register("model", object, size=1)
    for name, size, text in (
        ("model", 1, "`model` exists already"),
        ("x", 0, "`0` is not a lawful pool size"),
    ):
        with pytest.raises(InvalidValueError, match=text) as caught:
            pool.register(name, object, size=size)
        assert (caught.value.code, caught.value.hints) == ("invalid-value", ())


def test_there_is_no_such_pool(pool):
    for call in (lambda: pool.stats("none"), lambda: pool.lease("none").__enter__()):
        with pytest.raises(NotFoundError, match="no pool `none`") as caught:
            call()
        assert (caught.value.code, caught.value.hints) == ("not-found", ())


@pytest.mark.parametrize("timeout", [-1.0, float("nan")])
def test_a_timeout_that_is_no_number_of_seconds(pool, timeout):
    pool.register("model", object, size=1)
    with pytest.raises(ValueError, match="seconds"):
        pool.lease("model", timeout)


def test_after_the_shutdown():
    with boot() as system:
        pool = system.pit.pool
        pool.register("model", object, size=1)
        lease = pool.lease("model")
    for call in (
        lambda: pool.register("x", object, size=1),
        lambda: pool.lease("model"),
        lease.__enter__,
        lambda: pool.stats("model"),
    ):
        with pytest.raises(StoppedError, match="pool-manager") as caught:
            call()
        assert caught.value.code == "stopped"
