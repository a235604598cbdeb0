"""The root is out of descriptors for a moment: one start fails, and everything else goes on."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
import time

import pytest
from kit_processes import kill, running, supervisor_of
from symphony.exceptions import ExtensionError
from workshop import ECHO, wait_until

NAMES = ("first", "second", "third")


@pytest.fixture
def system(workshop):
    for name in NAMES:
        workshop.extension(name, ECHO, "[extension.restart]\nbudget = 0\n")
    with running(workshop) as system:
        # What an error says is imported with the first one, which needs a descriptor.
        with contextlib.suppress(ExtensionError):
            system.kit.extension("first").call("nothing-of-this-name")
        yield system


@contextlib.contextmanager
def no_descriptors():
    """Takes every descriptor of this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, before[1]))
    taken = []
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        yield
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.timeout(120)
def test_a_start_that_meets_it_fails_and_the_next_one_works(system):
    first, second, third = (system.kit.extension(name) for name in NAMES)
    first.activate()
    second.activate()
    pids, supervisor = (first.pid, second.pid), supervisor_of()
    ends = []

    def start():
        try:
            third.activate()
        except (ExtensionError, OSError) as error:
            ends.append(error)

    # The order is under way when the descriptors go: the answer finds none for the new process.
    kill(supervisor, signal.SIGSTOP)
    starting = threading.Thread(target=start)
    starting.start()
    assert wait_until(lambda: third.state == "loading")
    time.sleep(0.2)
    with no_descriptors():
        kill(supervisor, signal.SIGCONT)
        assert wait_until(lambda: third.state == "failed"), third.state
        starting.join(10)
    assert len(ends) == 1
    assert (first.pid, second.pid) == pids
    assert supervisor_of() == supervisor
    for extension in (first, second, third):
        assert extension.call("echo", value=7) == 7


@pytest.mark.timeout(120)
def test_a_supervisor_that_dies_meanwhile_comes_back_with_its_extensions(system):
    first, second, third = (system.kit.extension(name) for name in NAMES)
    first.activate()
    second.activate()
    supervisor = supervisor_of()
    with no_descriptors():
        kill(supervisor)
        assert wait_until(lambda: first.state == second.state == "restarting")
        time.sleep(1)
    assert wait_until(lambda: first.state == second.state == "ready", 60), (
        first.state,
        second.state,
    )
    assert supervisor_of() != supervisor
    for extension in (first, second, third):
        assert extension.call("echo", value=7) == 7


def test_the_supervisor_takes_all_it_may_and_guests_get_the_limit_of_the_root(workshop):
    workshop.extension("first", ECHO)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lower = (min(600, before[1]), before[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, lower)
    try:
        with running(workshop) as system:
            first = system.kit.extension("first")
            first.activate()
            limits = [
                resource.prlimit(pid, resource.RLIMIT_NOFILE)
                for pid in (supervisor_of(), first.pid)
            ]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert limits == [(before[1], before[1]), lower]
