"""Whatever waits handles signals, with nothing held, soon, and loses none: in the root and in an extension."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import signal_storm
from kit_processes import running
from workshop import wait_until

SLOW = """
import os
import signal
import time

@extension.operation
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@extension.operation
def numbers(count: int, seconds: float):
    for number in range(count):
        yield number
        time.sleep(seconds)
"""
MELODY = """
[melody]
name = "nap"
[[node]]
id = "nap"
call = "slow.nap"
with = { seconds = 20.0 }
"""
HEARING = """
import os
import signal
import time

class Rung(Exception):
    pass


def ring(number, frame):
    time.sleep(0.3)
    raise Rung("rung")


@extension.operation
def rung_while_it_calls() -> str:
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.15)
    try:
        extension.call("slow.nap", seconds=0.3)
    except Rung as error:
        return str(error)
    return "answered"


@extension.operation
def listen(folder: str) -> int:
    signal.signal(signal.SIGUSR1, lambda number, frame: open(os.path.join(folder, "heard"), "w"))
    return os.getpid()


@extension.operation
def pid() -> int:
    return os.getpid()
"""


class RungError(Exception):
    """What the handler of the test's signal raises."""


def ring(number, frame):
    raise RungError


@pytest.fixture
def handler():
    before = signal.signal(signal.SIGUSR1, ring)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.fixture
def handled():
    """Sets the handler of the test's signal."""
    before = signal.getsignal(signal.SIGUSR1)
    yield lambda work: signal.signal(signal.SIGUSR1, lambda number, frame: work())
    signal.signal(signal.SIGUSR1, before)


@pytest.fixture(scope="module")
def slow(shared_workshop):
    shared_workshop.extension("slow", SLOW)
    shared_workshop.extension(
        "mute", "import time; time.sleep(20)", '[extension.limits]\nstart = "30s"'
    )
    shared_workshop.extension("hearing", HEARING, '[extension.permissions]\ncalls = ["slow.*"]')
    shared_workshop.melody(MELODY)
    with running(shared_workshop) as system:
        yield system


def signalled_in(seconds: float) -> list[float]:
    """Sends the signal; when it was sent."""
    sent: list[float] = []

    def work():
        time.sleep(seconds)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGUSR1)

    threading.Thread(target=work).start()
    return sent


def many(system):
    system.kit.extension("slow").call_many("nap", [{"seconds": 20.0}] * 3)


def publish(system):
    topic = system.bus.topic("full")
    with topic.subscribe(policy="block", capacity=1):
        topic.publish(1)
        topic.publish(2)


WAITS = {
    "call": lambda system: system.kit.extension("slow").call("nap", seconds=20.0),
    "call_many": many,
    "stream": lambda system: list(
        system.kit.extension("slow").stream("numbers", count=2, seconds=20.0)
    ),
    "publish": publish,
    "subscription": lambda system: next(system.bus.topic("silent").subscribe()),
    "get": lambda system: system.bus.topic("silent").subscribe().get(20.0),
    "activate": lambda system: system.kit.extension("mute").activate(),
    "restart": lambda system: system.kit.extension("mute").restart(),
    "run": lambda system: system.run(forever=True),
}


@pytest.mark.parametrize("wait", WAITS)
def test_a_signal_ends_it_within_a_tenth_of_a_second(wait, slow, handler):
    # What an earlier wait left in the extension is not of interest here.
    slow.kit.extension("slow").restart()
    sent = signalled_in(0.3)
    with pytest.raises(RungError):
        WAITS[wait](slow)
    # The promise, and what a busy machine may add to it.
    assert time.monotonic() - sent[0] < 0.4


def test_a_signal_ends_the_wait_for_a_result(slow, shared_workshop, handler):
    run = slow.submit(shared_workshop.folder / "melody.toml")
    sent = signalled_in(0.3)
    with pytest.raises(RungError):
        run.result()
    assert time.monotonic() - sent[0] < 0.4
    assert run.state == "running"
    run.cancel()


def test_a_handler_may_close_the_stream_that_is_waited_for(slow, handled):
    slow.kit.extension("slow").restart()
    stream = slow.kit.extension("slow").stream("numbers", count=2, seconds=20.0)
    assert next(stream) == 0
    handled(stream.close)
    signalled_in(0.2)
    assert list(stream) == []


def test_a_handler_may_take_the_next_value_and_call(slow, handled):
    slow.kit.extension("slow").restart()
    stream = slow.kit.extension("slow").stream("numbers", count=3, seconds=0.4)
    taken = []

    def take():
        taken.extend([next(stream), slow.kit.extension("hearing").call("pid")])

    assert next(stream) == 0
    handled(take)
    signalled_in(0.1)
    assert list(stream) == [2]
    assert taken == [1, slow.kit.extension("hearing").pid]


def test_another_thread_may_close_the_stream_that_is_waited_for(slow):
    slow.kit.extension("slow").restart()
    stream = slow.kit.extension("slow").stream("numbers", count=2, seconds=20.0)
    assert next(stream) == 0
    rest = []
    thread = threading.Thread(target=lambda: rest.append(list(stream)))
    thread.start()
    time.sleep(0.2)
    stream.close()
    thread.join(10)
    assert rest == [[]]


def test_a_handler_that_asks_the_system_leaves_the_wait_alone(slow, handled):
    slow.kit.extension("slow").restart()
    told = []
    handled(lambda: told.append(slow.health().state))
    signalled_in(0.2)
    assert slow.kit.extension("slow").call("nap", seconds=0.6) == 0.6
    assert len(told) == 1


def test_a_slow_handler_in_an_extension_raises_out_of_its_call(slow):
    slow.kit.extension("slow").restart()
    hearing = slow.kit.extension("hearing")
    for _ in range(3):
        assert hearing.call("rung_while_it_calls") == "rung"


def test_an_extension_that_has_nothing_to_do_handles_signals(slow, tmp_path):
    hearing = slow.kit.extension("hearing")
    pid = hearing.call("listen", folder=str(tmp_path))
    time.sleep(0.3)
    os.kill(pid, signal.SIGUSR1)
    assert wait_until((tmp_path / "heard").exists, 5)


@pytest.mark.parametrize("wait", signal_storm.WAITS)
def test_no_signal_is_lost(wait, workshop):
    workshop.extension("naps", signal_storm.EXTENSION, 'activation = "eager"')
    workshop.melody(signal_storm.MELODY)
    command = [sys.executable, signal_storm.__file__, str(workshop.folder), wait, "20", "7"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (ended.stdout.strip(), ended.returncode) == ("0 lost", 0), ended.stderr
