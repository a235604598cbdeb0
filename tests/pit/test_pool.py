"""`pit.pool`: workers on lease."""

from __future__ import annotations

import gc
import sys
import threading
import weakref

import pytest
from conftest import wait_until
from symphony import (
    CallTimeoutError,
    InvalidValueError,
    NotFoundError,
    OverloadedError,
    StoppedError,
    boot,
)


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
    figures = pool.stats("model")
    assert 1 < figures.pop("demand") <= 2
    assert figures == {
        "size": 2,
        "idle": 2,
        "leased": 0,
        "starting": 0,
        "waiting": 0,
        "hits": 1,
        "misses": 2,
        "created": 2,
        "failures": 0,
        "evicted": 0,
        "broken": 0,
        "unhealthy": 0,
        "overdue": 0,
        "timeouts": 0,
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


def test_a_lease_is_entered_once(pool):
    pool.register("model", object, size=2)
    lease = pool.lease("model")
    with lease:
        with pytest.raises(InvalidValueError, match="entered already"), lease:
            pass
        assert pool.stats("model")["leased"] == 1
    with pytest.raises(InvalidValueError, match="is over"):
        lease.__enter__()
    assert (pool.stats("model")["leased"], pool.stats("model")["idle"]) == (0, 1)


def test_two_threads_that_enter_one_lease_get_one_worker(pool):
    pool.register("model", object, size=2)
    outcomes, lease = [], pool.lease("model")
    start = threading.Barrier(8)

    def enter():
        start.wait(30)
        try:
            outcomes.append(lease.__enter__())
        except InvalidValueError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    refused = [it for it in outcomes if isinstance(it, InvalidValueError)]
    assert (len(outcomes), len(refused), pool.stats("model")["leased"]) == (8, 7, 1)
    lease.__exit__()
    assert pool.stats("model")["leased"] == 0


def test_a_lease_that_timed_out_may_be_tried_again(pool):
    pool.register("model", object, size=1)
    lease = pool.lease("model", 0.01)
    with pool.lease("model"), pytest.raises(CallTimeoutError), lease:
        pass
    with lease as worker:
        assert type(worker) is object


def test_a_factory_that_hangs_costs_one_lease_and_not_the_pool(pool):
    hangs, calls = threading.Event(), []

    def factory():
        calls.append(1)
        if len(calls) == 1:
            hangs.wait(60)
        return len(calls)

    pool.register("model", factory, size=1, memory=5, start_timeout=0.05)
    late = []

    def unlucky():
        with pool.lease("model", 30) as worker:
            late.append(worker)

    thread = threading.Thread(target=unlucky)
    thread.start()
    assert wait_until(lambda: calls)
    with pool.lease("model", 30) as worker:
        assert worker == 2
        assert (pool.stats("model")["overdue"], pool.stats("model")["memory"]) == (1, 5)
        hangs.set()
        assert wait_until(lambda: pool.stats("model")["waiting"] == 1)
    thread.join(30)
    assert late == [worker]


def test_an_idle_worker_that_died_is_not_lent(pool, monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda it: told.append(it.exc_value))
    made, own = [], ConnectionError("own")

    def factory():
        made.append({"alive": True})
        return made[-1]

    def check(worker):
        if worker["alive"] is None:
            raise own
        return worker["alive"]

    pool.register("model", factory, size=1, check=check)
    for state in (False, None):
        with pool.lease("model", 30) as worker:
            worker["alive"] = state
        with pool.lease("model", 30) as another:
            assert another is not worker
            another["alive"] = True
    assert (pool.stats("model")["unhealthy"], told) == (2, [own])


def test_a_check_answers_true_or_false(pool):
    pool.register("model", object, size=1, check=lambda worker: worker)
    with pool.lease("model"):
        pass
    with pytest.raises(TypeError, match="answers True or False, not object"), pool.lease("model"):
        pass
    assert pool.stats("model")["idle"] == 0


class Interruption(BaseException):
    """What no `except Exception` catches."""


def test_what_is_no_exception_ends_the_lease_and_not_the_pool(pool):
    def check(_worker):
        raise Interruption

    pool.register("model", object, size=1, check=check)
    with pool.lease("model"):
        pass
    with pytest.raises(Interruption), pool.lease("model"):
        pass
    with pool.lease("model", 30):
        assert pool.stats("model")["created"] == 2


def test_idle_workers_are_asked_and_missing_ones_made_in_the_background(pool):
    made, dead = [], set()

    def factory():
        made.append(object())
        return made[-1]

    def check(worker):
        return id(worker) not in dead

    pool.register("model", factory, size=2, check=check, prewarm=True)
    with pool.lease("model"), pool.lease("model"):
        pass
    dead.update(map(id, made))
    assert wait_until(lambda: pool.stats("model")["unhealthy"] == 2)
    assert wait_until(lambda: pool.stats("model")["idle"] == 2)
    with pool.lease("model", 0) as worker:
        assert worker in made[2:]


def test_the_upkeep_of_pools_does_not_keep_a_swap_waiting():
    with boot() as system:
        system.pit.pool.register("model", object, size=1, check=lambda _: True, prewarm=True)
        kind = type(system.pit.pool)
        report = system.swap(kind, object())
    assert report.drained


def test_the_memory_cap_evicts_what_was_used_longest_ago(pool):
    for name in ("old", "new"):
        pool.register(name, object, size=2, memory=10)
        with pool.lease(name):
            pass
    pool.limit(10)
    assert (pool.stats("old")["evicted"], pool.stats("new")["idle"]) == (1, 1)
    with pool.lease("new"), pytest.raises(CallTimeoutError), pool.lease("old", 0):
        pass
    with pool.lease("old", 0):
        assert pool.stats("new")["evicted"] == 1
    with pytest.raises(OverloadedError, match="`old` is full: 10 wanted, 9 allowed"):
        pool.limit(9)
    with pytest.raises(OverloadedError, match="11 wanted, 10 allowed"):
        pool.register("huge", object, size=1, memory=11)
    pool.limit(None)
    with pool.lease("old", 0), pool.lease("old", 0), pool.lease("new", 0):
        assert pool.stats("old")["memory"] == 20


def test_what_a_factory_and_a_check_hold_goes_with_the_system_although_it_holds_the_pool():
    class Models:
        def __init__(self, pool):
            # A circle that no collector sees: the pool holds the factory, and that the handle of the pool.
            self.pool = pool
            pool.register("model", self.make, size=1, check=self.is_well)

        def make(self):
            return [1]

        def is_well(self, _model):
            return True

    system = boot()
    models = Models(system.pit.pool)
    with models.pool.lease("model") as model:
        assert model == [1]
    seen = weakref.ref(models)
    system.shutdown()
    del models, system
    gc.collect()
    assert seen() is None
