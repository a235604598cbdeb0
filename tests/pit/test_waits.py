"""Waits for a worker or a resource: Ctrl-C ends them, nothing is lost by it, and other threads run on."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from conftest import run_python, wait_until
from symphony import CallTimeoutError, InvalidValueError, StoppedError, boot


class RungError(Exception):
    """What the handler of the test's signal raises."""


def ring(number, frame):
    raise RungError


@pytest.fixture
def pit():
    """A Pit with one worker and one resource to wait for."""
    with boot() as system:
        pit = system.pit
        pit.arbitration.define("gpu", 1)
        pit.pool.register("model", object, size=1)
        yield pit


@pytest.fixture
def handler():
    before = signal.signal(signal.SIGUSR1, ring)
    yield
    signal.signal(signal.SIGUSR1, before)


def signalled_once(condition):
    """Sends the signal as soon as the condition holds."""

    def work():
        if wait_until(condition, 20):
            os.kill(os.getpid(), signal.SIGUSR1)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("timeout", [None, 60.0])
def test_a_signal_ends_a_wait_for_a_worker(pit, handler, timeout):
    with pit.pool.lease("model") as first:
        thread = signalled_once(lambda: pit.pool.stats("model")["waiting"] == 1)
        with pytest.raises(RungError), pit.pool.lease("model", timeout=timeout):
            pass
        thread.join()
        assert pit.pool.stats("model")["waiting"] == 0
    with pit.pool.lease("model", timeout=0) as again:
        assert again is first


@pytest.mark.parametrize("timeout", [None, 60.0])
def test_a_signal_ends_a_wait_for_a_resource(pit, handler, timeout):
    with pit.arbitration.request("gpu", "ann"):
        asking = threading.Event()
        thread = signalled_once(asking.is_set)
        with pytest.raises(RungError):
            asking.set()
            pit.arbitration.request("gpu", "bob", timeout=timeout)
        thread.join()
    assert pit.arbitration.request("gpu", "cid").outcome == "granted"


def test_a_handler_that_does_not_raise_lets_the_wait_go_on(pit):
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    try:
        held = pit.pool.lease("model")
        held.__enter__()

        def work():
            wait_until(lambda: pit.pool.stats("model")["waiting"] == 1, 20)
            os.kill(os.getpid(), signal.SIGUSR1)
            wait_until(lambda: heard, 20)
            held.__exit__()

        thread = threading.Thread(target=work)
        thread.start()
        with pit.pool.lease("model", timeout=60) as worker:
            assert worker is not None
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard == [signal.SIGUSR1]


@pytest.mark.parametrize(
    "wait",
    [
        "system.pit.pool.lease('model').__enter__()",
        "system.pit.arbitration.request('gpu', 'bob', timeout=None)",
    ],
)
def test_ctrl_c_ends_the_program(wait):
    source = f"""
        import os, signal, threading
        from symphony import boot
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with boot() as system:
            system.pit.pool.register("model", object, size=1)
            system.pit.arbitration.define("gpu", 1)
            held = system.pit.pool.lease("model")
            held.__enter__()
            grant = system.pit.arbitration.request("gpu", "ann")
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                {wait}
            except KeyboardInterrupt:
                print("interrupted")
    """
    ended = run_python(source, timeout=60)
    assert (ended.stdout, ended.returncode) == ("interrupted\n", 0), ended.stderr


def test_threads_run_while_another_one_waits(pit):
    outcomes = []

    def wait():
        try:
            with pit.pool.lease("model", timeout=30):
                outcomes.append("leased")
        except StoppedError:
            outcomes.append("stopped")

    with pit.pool.lease("model"):
        threads = [threading.Thread(target=wait) for _ in range(8)]
        for thread in threads:
            thread.start()
        # This thread gets on only if those that wait have let the interpreter go.
        assert wait_until(lambda: pit.pool.stats("model")["waiting"] == 8, 20)
    for thread in threads:
        thread.join(30)
    assert outcomes == ["leased"] * 8


def test_the_shutdown_ends_every_wait():
    outcomes = []
    with boot() as system:
        pit = system.pit
        pit.pool.register("model", object, size=1)
        pit.arbitration.define("gpu", 1)
        held, grant = pit.pool.lease("model"), pit.arbitration.request("gpu", "ann")
        held.__enter__()
        asking = threading.Event()

        def lease():
            try:
                pit.pool.lease("model").__enter__()
            except StoppedError as error:
                outcomes.append(error.code)

        def request():
            asking.set()
            try:
                pit.arbitration.request("gpu", "bob", timeout=None)
            except StoppedError as error:
                outcomes.append(error.code)

        threads = [threading.Thread(target=lease), threading.Thread(target=request)]
        for thread in threads:
            thread.start()
        assert wait_until(lambda: pit.pool.stats("model")["waiting"] == 1, 20)
        assert asking.wait(20)
    for thread in threads:
        thread.join(30)
    assert outcomes == ["stopped", "stopped"]
    grant.release()
    held.__exit__()


def test_a_lease_that_comes_too_late(pit):
    with pit.pool.lease("model"):
        for timeout in (0, 0.05):
            with pytest.raises(CallTimeoutError, match="a worker of pool `model`") as caught:
                pit.pool.lease("model", timeout=timeout).__enter__()
            assert isinstance(caught.value, TimeoutError)
            assert caught.value.code == "call-timeout"


@pytest.mark.parametrize("timeout", [-1, float("nan"), -1e30])
def test_what_is_no_number_of_seconds(pit, timeout):
    for call in (
        lambda: pit.pool.lease("model", timeout=timeout),
        lambda: pit.arbitration.request("gpu", "ann", timeout=timeout),
    ):
        with pytest.raises(
            InvalidValueError, match="`timeout` takes a number of seconds"
        ) as caught:
            call()
        assert caught.value.code == "invalid-value"
    assert pit.arbitration.audit() == []
