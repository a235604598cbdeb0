"""An extension that dies: typed errors, restarts, quarantine, and everybody else goes on."""

from __future__ import annotations

import asyncio
import signal
import threading
import time

import pytest
from kit_processes import alive, kill, running
from symphony.exceptions import (
    CallTimeoutError,
    ExtensionCrashedError,
    ExtensionError,
    QuarantinedError,
    StoppedError,
)
from workshop import ECHO, descendants, wait_until

SLEEPS = '[extension.permissions]\nrun = ["sleep"]\n'
FRAIL = (
    ECHO
    + """
import ctypes, os, sys, time

@extension.operation
def exits(code: int):
    print("leaving with", code, file=sys.stderr)
    os._exit(code)

@extension.operation
def sys_exits(code: int):
    sys.exit(code)

@extension.operation
async def sys_exits_async(code: int):
    sys.exit(code)

@extension.operation
def aborts():
    os.abort()

@extension.operation
def segfaults():
    ctypes.string_at(0)

@extension.operation
def sleeps(seconds: float):
    time.sleep(seconds)

@extension.operation
def spins():
    while True:
        pass

@extension.operation
def pid():
    return os.getpid()

@extension.operation
def child():
    import subprocess
    return subprocess.Popen(["sleep", "1000"]).pid

@extension.operation
def closes_its_lane():
    os.closerange(3, 100)
    time.sleep(1000)
"""
)


@pytest.fixture
def frail_system(workshop):
    workshop.extension(
        "frail", FRAIL, SLEEPS + '[extension.restart]\nbudget = 100\nwindow = "5min"\n'
    )
    workshop.extension("other", ECHO)
    with running(workshop) as system:
        yield system


@pytest.fixture
def frail(frail_system):
    return frail_system.kit.extension("frail")


def crash(call, *arguments, **inputs) -> ExtensionCrashedError:
    with pytest.raises(ExtensionCrashedError) as caught:
        call(*arguments, **inputs)
    assert caught.value.extension == "frail"
    assert caught.value.code == "extension-crashed"
    return caught.value


def serves_again(frail) -> None:
    """It was restarted at once; the next call waits for that."""
    assert frail.call("echo", value=1) == 1


@pytest.mark.parametrize(
    ("operation", "inputs", "code", "number"),
    [
        ("exits", {"code": 3}, 3, None),
        ("sys_exits", {"code": 4}, 4, None),
        ("sys_exits", {"code": 0}, 0, None),
        ("sys_exits_async", {"code": 5}, 5, None),
        ("aborts", {}, None, signal.SIGABRT),
        ("segfaults", {}, None, signal.SIGSEGV),
    ],
)
def test_how_it_ended_is_told(frail, operation, inputs, code, number):
    error = crash(frail.call, operation, **inputs)
    assert (error.operation, error.exit_code, error.signal) == (operation, code, number)
    if operation == "exits":
        assert error.stderr == ("leaving with 3",)
        assert "leaving with 3" in error.hints[0]
    if number is not None:
        # Where it stood: the interpreter's own last words.
        assert any("Fatal Python error" in line for line in error.stderr), error.stderr
        assert any("frail.py" in line for line in error.stderr)
    serves_again(frail)


@pytest.mark.parametrize("way", ["call", "async", "many", "stream"])
def test_a_kill_in_the_middle_of_a_call_is_told_to_each_kind_of_caller(frail, way):
    pid = frail.call("pid")
    threading.Timer(0.1, kill, [pid]).start()

    async def wait():
        await frail.call_async("sleeps", seconds=30)

    if way == "call":
        error = crash(frail.call, "sleeps", seconds=30)
    elif way == "async":
        error = crash(asyncio.run, wait())
    elif way == "stream":
        error = crash(lambda: list(frail.stream("sleeps", seconds=30)))
    else:
        outcomes = frail.call_many("sleeps", [{"seconds": 30}] * 3)
        assert all(isinstance(outcome, ExtensionCrashedError) for outcome in outcomes)
        error = outcomes[0]
    assert (error.signal, error.exit_code, error.operation) == (signal.SIGKILL, None, "sleeps")
    serves_again(frail)
    assert frail.call("pid") != pid


def test_every_call_in_flight_hears_of_it_once(frail):
    pid = frail.call("pid")

    async def flood():
        calls = [frail.call_async("sleeps", seconds=30) for _ in range(100)]
        asyncio.get_running_loop().call_later(0.1, kill, pid)
        return await asyncio.gather(*calls, return_exceptions=True)

    outcomes = asyncio.run(flood())
    assert {type(outcome) for outcome in outcomes} == {ExtensionCrashedError}
    serves_again(frail)


def test_a_kill_while_it_is_idle_is_noticed_and_mended_without_a_call(frail):
    pid = frail.call("pid")
    kill(pid)
    assert wait_until(lambda: frail.state == "ready" and frail.pid not in (None, pid))
    serves_again(frail)


def test_others_go_on_while_one_crashes_again_and_again(frail_system):
    frail, others = (frail_system.kit.extension(name) for name in ("frail", "other"))
    seen = []
    for number in range(4):
        kill(frail.call("pid"))
        try:
            seen.append(frail.call("echo", value=number))
        except ExtensionCrashedError:
            seen.append(frail.call("echo", value=number))
        assert others.call("echo", value=number) == number
    assert seen == [0, 1, 2, 3]


def test_its_children_die_with_it(frail):
    child = frail.call("child")
    assert alive(child)
    pid = frail.call("pid")
    kill(pid)
    assert wait_until(lambda: not alive(child))
    # A call in flight at the moment of the kill would fail: the death is noticed first.
    assert wait_until(lambda: frail.state == "ready" and frail.pid not in (None, pid))
    serves_again(frail)


def test_a_lane_that_was_closed_is_a_crash(frail):
    error = crash(frail.call, "closes_its_lane")
    assert "closed its lane" in str(error)
    serves_again(frail)


def test_a_hung_operation_still_answers_pings_and_restart_frees_it(frail):
    pid = frail.call("pid")
    for operation, inputs in (("sleeps", {"seconds": 60}), ("spins", {})):
        with pytest.raises(CallTimeoutError):
            frail.options(timeout=0.1).call(operation, **inputs)
        # Longer than the kit's look at its ping: it is busy, not dead.
        time.sleep(1.2)
        assert (frail.state, frail.pid) == ("ready", pid)
        frail.restart()
        assert frail.call("pid") != pid
        pid = frail.call("pid")


@pytest.fixture
def brittle(workshop):
    workshop.extension(
        "brittle", FRAIL, SLEEPS + '[extension.restart]\nbudget = 3\nwindow = "5min"\n'
    )
    with running(workshop) as system:
        yield system.kit.extension("brittle")


def test_after_its_budget_it_is_quarantined_and_a_restart_heals(brittle):
    for _ in range(3):
        with pytest.raises(ExtensionCrashedError):
            brittle.call("exits", code=9)
    with pytest.raises((ExtensionCrashedError, QuarantinedError)):
        brittle.call("exits", code=9)
    assert wait_until(lambda: brittle.state == "quarantined")
    begun = time.monotonic()
    with pytest.raises(QuarantinedError) as caught:
        brittle.call("echo", value=1)
    assert time.monotonic() - begun < 1.0
    assert caught.value.extension == "brittle"
    assert "exit code 9" in str(caught.value)
    assert any("restart()" in hint for hint in caught.value.hints)
    with pytest.raises(QuarantinedError):
        asyncio.run(_echo(brittle))
    [error] = brittle.call_many("echo", [{"value": 1}])
    assert isinstance(error, QuarantinedError)
    brittle.restart()
    assert brittle.state == "ready"
    assert brittle.call("echo", value=1) == 1
    # The past is forgotten.
    with pytest.raises(ExtensionCrashedError):
        brittle.call("exits", code=9)
    assert brittle.call("echo", value=2) == 2


async def _echo(handle):
    return await handle.call_async("echo", value=1)


def test_restart_by_hand_keeps_the_callers_waiting(frail):
    pid = frail.call("pid")
    outcomes = []

    def callers():
        for _ in range(20):
            try:
                outcomes.append(frail.call("echo", value=1))
            except ExtensionError as error:
                outcomes.append(error)

    thread = threading.Thread(target=callers)
    thread.start()
    frail.restart()
    thread.join()
    assert frail.call("pid") != pid
    assert outcomes.count(1) >= 18, outcomes


def test_after_the_shutdown_every_way_of_calling_says_so(workshop):
    workshop.extension("frail", FRAIL, SLEEPS)
    with running(workshop) as system:
        handle = system.kit.extension("frail")
        serves_again(handle)
    assert descendants() == []
    with pytest.raises(StoppedError):
        handle.call("echo", value=1)
    with pytest.raises(StoppedError):
        asyncio.run(_echo(handle))
    with pytest.raises(StoppedError):
        handle.stream("echo", value=1)
    with pytest.raises(StoppedError):
        handle.call_many("echo", [{"value": 1}])
    with pytest.raises(StoppedError):
        handle.restart()
    assert descendants() == []


def test_a_call_in_flight_at_the_shutdown_ends_typed(workshop):
    workshop.extension("frail", FRAIL, SLEEPS)
    outcome = []
    with running(workshop) as system:
        handle = system.kit.extension("frail")
        serves_again(handle)

        def call():
            try:
                handle.call("sleeps", seconds=60)
            except Exception as error:
                outcome.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        time.sleep(0.1)
    thread.join(10)
    assert not thread.is_alive()
    assert isinstance(outcome[0], (StoppedError, ExtensionCrashedError)), outcome


LEAVES_FILES = """
import os

@extension.operation
def leaves(name: str) -> None:
    os.makedirs(os.path.join(os.environ["TMPDIR"], "deep"), exist_ok=True)
    with open(os.path.join(os.environ["TMPDIR"], "deep", name), "w") as file:
        file.write("x")

@extension.operation
def left() -> list:
    return sorted(os.listdir(os.environ["TMPDIR"]))

@extension.operation
def pid() -> int:
    return os.getpid()
"""


def test_a_run_finds_its_temporary_folder_empty_however_the_last_one_ended(workshop):
    workshop.extension("leaves", LEAVES_FILES)
    with running(workshop) as system:
        handle = system.kit.extension("leaves")
        handle.call("leaves", name="first")
        assert handle.call("left") == ["deep"]
        # A folder of a run that is killed, of one that is stopped, and of one whose system is gone.
        pid = handle.call("pid")
        kill(pid)
        assert wait_until(lambda: handle.pid not in {None, pid} and handle.state == "ready")
        assert handle.call("left") == []
        handle.call("leaves", name="second")
        handle.restart()
        assert handle.call("left") == []
        handle.call("leaves", name="third")
    with running(workshop) as system:
        assert system.kit.extension("leaves").call("left") == []
        place = workshop.folder / ".symphony" / "extensions" / "leaves"
        assert wait_until(lambda: sorted(path.name for path in place.iterdir()) == ["data", "tmp"])
