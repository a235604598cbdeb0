"""An extension ends as a program ends: what it began comes to its end, within the time that a stop has."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest
from kit_processes import alive, kill, running
from symphony.exceptions import ExtensionCrashedError, ExtensionError
from workshop import wait_until

pytestmark = pytest.mark.timeout(120)

HEAD = """
import asyncio, atexit, os, pathlib, sys, tempfile, threading, time, weakref
HERE = pathlib.Path(__file__).parent
OUT = open(HERE / "said.txt", "w")
def say(what):
    with open(HERE / "log.txt", "a") as log:
        log.write(what + "\\n")
@extension.operation
def pid() -> int:
    return os.getpid()
"""

DATA = (
    HEAD
    + """
TEMPORARY = tempfile.TemporaryDirectory()
class Thing:
    def __del__(self, mkdir=os.mkdir, path=str(HERE / "deleted")):
        mkdir(path)
THING = Thing()
weakref.finalize(THING, say, "finalize")
atexit.register(say, "atexit")
def late():
    time.sleep(0.2)
    say("thread")
@extension.operation
def begin(text: str) -> str:
    OUT.write(text)
    threading.Thread(target=late).start()
    return TEMPORARY.name
"""
)


def log_of(folder: Path) -> list[str]:
    file = folder / "log.txt"
    return file.read_text().split("\n")[:-1] if file.exists() else []


@pytest.mark.parametrize("own", [False, True], ids=["forked", "its-own-interpreter"])
def test_what_an_extension_wrote_and_registered_is_brought_to_its_end(workshop, own):
    folder = workshop.extension("data", DATA, f'python = "{sys.executable}"\n' if own else "")
    with running(workshop) as system:
        temporary = Path(system.kit.extension("data").call("begin", text="kept"))
        assert temporary.is_dir()
    assert (folder / "said.txt").read_text() == "kept"
    assert log_of(folder)[0] == "thread"
    assert sorted(log_of(folder)) == ["atexit", "finalize", "thread"]
    assert (folder / "deleted").is_dir()
    assert not temporary.exists()


HOOKS = (
    HEAD
    + """
@extension.on_start
def first():
    say("start 1")
@extension.on_start
async def second():
    global LOOP
    LOOP = asyncio.get_running_loop()
    say("start 2")
@extension.on_stop
def last():
    say("stop 1")
@extension.on_stop
async def before():
    await asyncio.sleep(0.01)
    say("stop 2 " + str(asyncio.get_running_loop() is LOOP))
@extension.on_stop
def failing():
    raise OSError("the last commit failed")
@extension.operation
async def loop() -> bool:
    return asyncio.get_running_loop() is LOOP
@extension.operation
def keep() -> None:
    @extension.on_stop
    def store():
        say("stored " + extension.call("artifact-store.put", data="last words"))
@extension.operation
def leave(code: int) -> None:
    sys.exit(code)
"""
)


def test_hooks_of_the_start_and_of_the_stop(workshop):
    folder = workshop.extension("hooks", HOOKS)
    with running(workshop) as system:
        assert system.kit.extension("hooks").call("loop")
        assert log_of(folder) == ["start 1", "start 2"]
    # One that raises stops no other.
    assert log_of(folder)[2:] == ["stop 2 True", "stop 1"]


def test_a_hook_of_the_stop_still_reaches_the_pit(workshop):
    grant = '[extension.permissions]\ncalls = ["artifact-store.put"]\n'
    folder = workshop.extension("hooks", HOOKS, grant)
    with running(workshop) as system:
        system.kit.extension("hooks").call("keep")
    assert log_of(folder)[2].startswith("stored ")


def test_a_hook_of_the_start_that_raises_fails_the_start_and_is_told(workshop):
    source = HEAD + (
        "@extension.on_stop\ndef never():\n    say('never')\natexit.register(say, 'atexit')\n"
        "@extension.on_start\nasync def broken():\n    raise ValueError('no such model')\n"
    )
    folder = workshop.extension("broken", source)
    with running(workshop) as system:
        with pytest.raises(ExtensionError, match="did not start: ValueError: no such model"):
            system.kit.extension("broken").call("pid")
    assert log_of(folder) == ["atexit"]


def test_a_restart_and_an_exit_of_its_own_are_orderly_too(workshop):
    folder = workshop.extension("hooks", HOOKS)
    with running(workshop) as system:
        handle = system.kit.extension("hooks")
        handle.call("pid")
        handle.restart()
        assert log_of(folder) == [
            "start 1",
            "start 2",
            "stop 2 True",
            "stop 1",
            "start 1",
            "start 2",
        ]
        with pytest.raises(ExtensionCrashedError) as crash:
            handle.call("leave", code=3)
        assert crash.value.exit_code == 3
        assert log_of(folder)[6:8] == ["stop 2 True", "stop 1"]


LONG = (
    HEAD
    + """
atexit.register(say, "atexit")
@extension.operation
def works() -> None:
    say("works")
    try:
        while True:
            time.sleep(0.02)
    finally:
        say("interrupted")
@extension.operation
def asks() -> None:
    say("asks")
    while not extension.cancelled():
        time.sleep(0.02)
    say("heard")
@extension.operation
def stream():
    try:
        while True:
            yield 1
    finally:
        say("closed")
@extension.operation
async def background() -> None:
    async def work():
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(0.05)
            say("background ended")
    extension.task = asyncio.create_task(work())
@extension.operation
async def awaits() -> None:
    say("awaits")
    try:
        await asyncio.sleep(1000)
    finally:
        await asyncio.sleep(0.2)  # A second cancellation would break this off.
        say("cancelled")
@extension.operation
async def leaves() -> None:
    sys.exit(6)
"""
)


@pytest.mark.parametrize(
    ("operation", "said"),
    [("works", "interrupted"), ("asks", "heard"), ("awaits", "cancelled")],
)
def test_an_operation_that_runs_is_told_and_then_interrupted(workshop, operation, said):
    folder = workshop.extension("long", LONG)
    with running(workshop) as system:
        handle = system.kit.extension("long")
        handle.stream(operation)
        assert wait_until(lambda: operation in log_of(folder))
    assert log_of(folder) == [operation, said, "atexit"]


def test_streams_and_background_tasks_have_their_finally(workshop):
    folder = workshop.extension("long", LONG)
    with running(workshop) as system:
        handle = system.kit.extension("long")
        values = handle.stream("stream")
        assert next(values) == 1
        handle.call("background")
    assert sorted(log_of(folder)) == ["atexit", "background ended", "closed"]
    assert log_of(folder)[-1] == "atexit"


def test_an_asynchronous_exit_is_orderly(workshop):
    folder = workshop.extension("long", LONG)
    with running(workshop) as system:
        handle = system.kit.extension("long")
        handle.call("background")
        with pytest.raises(ExtensionCrashedError) as crash:
            handle.call("leaves")
        assert crash.value.exit_code == 6
    assert log_of(folder)[:2] == ["background ended", "atexit"]


BLOCKED = (
    HEAD
    + """
atexit.register(say, "atexit")
extension.kept = type("Kept", (), {})()
weakref.finalize(extension.kept, say, "finalized")
@extension.on_stop
def last():
    say("stop 1")
@extension.on_stop
async def asynchronous():
    try:
        await asyncio.sleep(30)
    finally:
        say("cancelled")
@extension.operation
async def block() -> None:
    asyncio.get_running_loop().call_later(0.05, time.sleep, 60)
"""
)


@pytest.mark.parametrize("blocked", [True, False])
def test_an_asynchronous_hook_that_does_not_end_leaves_the_rest_its_time(workshop, blocked):
    folder = workshop.extension("hooked", BLOCKED)
    with running(workshop) as system:
        handle = system.kit.extension("hooked")
        if blocked:
            handle.call("block")
            time.sleep(0.3)
        else:
            handle.call("pid")
    told = log_of(folder)
    assert sorted(set(told) - {"cancelled"}) == ["atexit", "finalized", "stop 1"]
    assert ("cancelled" in told) is not blocked


NEVER = (
    HEAD
    + """
def for_ever():
    while True:
        time.sleep(1)
@extension.operation
def keep_a_thread() -> None:
    threading.Thread(target=for_ever).start()
@extension.operation
def leave() -> None:
    for_ever_thread = threading.Thread(target=for_ever)
    for_ever_thread.start()
    sys.exit(0)
"""
)


def test_a_thread_that_never_ends_keeps_no_stop_and_no_restart(workshop):
    workshop.extension("never", NEVER)
    with running(workshop) as system:
        handle = system.kit.extension("never")
        first = handle.call("pid")
        handle.call("keep_a_thread")
        handle.restart()
        assert not alive(first)
        second = handle.call("pid")
        with pytest.raises(ExtensionCrashedError):
            handle.options(timeout=20).call("leave")
        assert wait_until(lambda: not alive(second))
        assert handle.call("pid") not in (first, second)
        handle.call("keep_a_thread")


def test_anybody_elses_sigterm_ends_it_as_it_ends_every_program(workshop):
    workshop.extension("long", LONG)
    with running(workshop) as system:
        handle = system.kit.extension("long")
        pid = handle.call("pid")
        values = handle.stream("works")
        kill(pid, signal.SIGTERM)
        with pytest.raises(ExtensionCrashedError) as crash:
            next(values)
        assert crash.value.signal == signal.SIGTERM
