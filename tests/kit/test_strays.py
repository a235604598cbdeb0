"""What an extension with a `run` grant has started ends with it, wherever it went, and with its supervisor."""

from __future__ import annotations

import pytest
from kit_processes import alive, kill, running, supervisor_of
from symphony.exceptions import ExtensionError
from workshop import wait_until

pytestmark = pytest.mark.timeout(120)

CODE = """
import os, resource, subprocess

SLEEPS = ["sleep", "60"]
LOCKS = 10


def _told(start):
    reader, writer = os.pipe()
    start(writer)
    os.close(writer)
    with open(reader) as source:
        return int(source.readline())


def _twice(writer):
    if os.fork():
        os.wait()
        return
    os.setsid()
    if os.fork() == 0:
        os.write(writer, b"%d\\n" % os.getpid())
        os.close(writer)
        os.execvpe("sleep", SLEEPS, {"PATH": os.environ["PATH"]})
    os._exit(0)


@extension.operation
def start():
    plain = subprocess.Popen(SLEEPS)
    session = subprocess.Popen(SLEEPS, start_new_session=True, env={"PATH": os.environ["PATH"]})
    return [plain.pid, session.pid, _told(_twice)]


@extension.operation
def unmark(way):
    if way == "set":
        resource.setrlimit(LOCKS, (5, 5))
    else:
        resource.prlimit(os.getpid(), LOCKS, (5, 5))


@extension.operation
def pid():
    return os.getpid()
"""


@pytest.fixture
def system(workshop):
    more = '[extension.permissions]\nrun = ["sleep"]\n'
    workshop.extension("starts", CODE, more)
    workshop.extension("other", CODE, more)
    with running(workshop) as system:
        yield system


def answers(handle) -> bool:
    """Whether it is there again."""
    try:
        return handle.call("pid") > 0
    except ExtensionError:
        return False


@pytest.mark.parametrize("end", ["restart", "kill"])
def test_what_one_started_ends_with_it_and_with_no_other(system, end):
    starts, other = system.kit.extension("starts"), system.kit.extension("other")
    started, of_other = starts.call("start"), other.call("start")
    assert all(map(alive, started + of_other))
    if end == "restart":
        starts.restart()
    else:
        kill(starts.pid)
    assert wait_until(lambda: not any(map(alive, started))), "something of it is left"
    assert all(map(alive, of_other))
    starts.call("pid")


def test_what_all_started_ends_with_the_supervisor(system):
    handles = [system.kit.extension(name) for name in ("starts", "other")]
    started = [pid for handle in handles for pid in handle.call("start")]
    assert len(started) == 6
    assert all(map(alive, started))
    kill(supervisor_of())
    # The promise is 250 ms.
    assert wait_until(lambda: not any(map(alive, started)), 1.0), "something of them is left"
    assert wait_until(lambda: answers(handles[0]))
    assert all(map(alive, handles[0].call("start")))


@pytest.mark.parametrize("way", ["set", "prlimit"])
def test_none_takes_its_mark_off(system, way):
    with pytest.raises(ExtensionError, match=r"not allowed|not permitted"):
        system.kit.extension("starts").call("unmark", way=way)
