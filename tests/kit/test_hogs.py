"""An extension that takes all it can get: it meets a limit that says its name, or ends with all that it started."""

from __future__ import annotations

import sys
import threading

import pytest
from kit_processes import alive, kill, running
from symphony.exceptions import RemoteError
from workshop import ECHO, Workshop, descendants, descriptors, wait_until, write

pytestmark = pytest.mark.timeout(120)

HOG = """
import errno, os, sys, threading, time
taken = []

@extension.operation
def opens() -> None:
    while True:
        taken.append(os.open("/dev/null", os.O_RDONLY))

@extension.operation
def opened() -> int:
    return len(taken)

@extension.operation
def prints() -> None:
    def endlessly():
        while True:
            os.write(1, b"x" * 999 + b"\\n")
    threading.Thread(target=endlessly, daemon=True).start()

@extension.operation
def pid() -> int:
    return os.getpid()
"""

# What an extension with a grant for this interpreter starts. Each process writes its number beside the script, and
# sleeps once there are enough of them: the machine is not only this test's.
BOMB = """
import os, sys, time

name, place = sys.argv[1:]


def told():
    open(os.path.join(place, str(os.getpid())), "w").close()


def tree(depth):
    told()
    for _ in range(2 if depth else 0):
        if os.fork() == 0:
            return tree(depth - 1)
    time.sleep(1000)


def flees():
    # Never the same process for longer than an instant.
    if os.fork():
        os._exit(0)
    os.setsid()
    told()
    while os.fork() == 0:
        pass
    os._exit(0)


{"tree": lambda: tree(6), "flees": flees}[name]()
"""
BOMBER = """
import os, subprocess, sys

@extension.operation
def explode(name: str, place: str) -> int:
    return subprocess.Popen([sys.executable, "-S", "-E", "bomb.py", name, place]).pid

@extension.operation
def pid() -> int:
    return os.getpid()
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("told")


@pytest.fixture(scope="module")
def system(shared_workshop: Workshop, place):
    shared_workshop.extension("hog", HOG, "[extension.restart]\nbudget = 1000\n")
    shared_workshop.extension("neighbour", ECHO)
    folder = shared_workshop.extension(
        "bomber",
        BOMBER,
        f'[extension.permissions]\nrun = ["{sys.executable}"]\nwrite = ["{place}"]\n'
        "[extension.restart]\nbudget = 1000\n",
    )
    write(folder / "bomb.py", BOMB)
    with running(shared_workshop) as system:
        yield system


@pytest.fixture
def hog(system):
    """The hog. Whatever it does, its neighbour answers each call, and then it is there again itself."""
    hog, neighbour = system.kit.extension("hog"), system.kit.extension("neighbour")
    hog.activate()
    neighbour.activate()
    over, wrong = threading.Event(), []

    def call():
        number = 0
        while not over.is_set():
            number += 1
            try:
                answer = neighbour.options(timeout=20).call("echo", value=number)
            except Exception as error:
                answer = error
            if answer != number:
                wrong.append(answer)

    calling = threading.Thread(target=call)
    calling.start()
    yield hog
    over.set()
    calling.join()
    assert not wrong, wrong[:3]
    hog.options(timeout=30).restart()
    assert hog.call("opened") == 0


def test_one_that_opens_files_meets_its_own_limit_and_nobody_elses(hog):
    process, ours = hog.pid, descriptors()
    for _ in range(2):
        with pytest.raises(RemoteError, match="Too many open files") as caught:
            hog.call("opens")
        assert caught.value.type_name == "OSError"
    # With no descriptor left it is called, answers, and can be stopped.
    assert hog.call("opened") > 100
    assert hog.pid == process
    assert descriptors() <= ours + 2


def test_one_that_prints_for_ever_holds_nobody_up_and_is_stopped(hog):
    process = hog.pid
    for _ in range(4):
        hog.call("prints")
    assert [hog.call("pid") for _ in range(100)] == [process] * 100


@pytest.mark.parametrize("end", ["restart", "kill"])
@pytest.mark.parametrize("name", ["tree", "flees"])
def test_what_one_started_ends_with_it(system, place, name, end):
    bomber, neighbour = system.kit.extension("bomber"), system.kit.extension("neighbour")
    neighbour.activate()
    bomber.activate()
    others = set(descendants()) - {bomber.pid}
    least = {"tree": 127, "flees": 1}[name]
    began = set(place.iterdir())
    bomber.call("explode", name=name, place=str(place))
    assert wait_until(lambda: len(set(place.iterdir()) - began) >= least, 30)
    if name != "flees":
        assert len(set(descendants()) - others) >= least
    assert neighbour.call("echo", value=1) == 1
    process = bomber.pid
    if end == "kill":
        kill(process)
    else:
        bomber.options(timeout=30).restart()
    assert wait_until(lambda: bomber.state == "ready" and bomber.pid not in (None, process), 20)

    def left():
        return set(descendants()) - others - {bomber.pid}

    assert wait_until(lambda: not any(map(alive, left())), 10), left()
    assert neighbour.call("echo", value=1) == 1
