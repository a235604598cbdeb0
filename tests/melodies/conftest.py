"""Systems with a laboratory of small operations, and what Melodies do with them."""

from __future__ import annotations

import textwrap

import pytest
from symphony import Melody, boot

LAB = """
import os
import threading
import time

counts = {}

@extension.operation
def echo(value):
    return value

@extension.operation
def kind(value):
    return type(value).__name__

@extension.operation
def person(name):
    return {"name": name, "age": 41, "tags": ["a", "b"], "inner": {"deep": [1.5, None, b"x"]}}

@extension.operation
def add(left, right=1):
    return left + right

@extension.operation
def span(seconds):
    begun = time.monotonic()
    time.sleep(seconds)
    return [begun, time.monotonic()]

@extension.operation
def hold(begun, release):
    open(begun, "w").close()
    end = time.monotonic() + 30
    while not os.path.exists(release) and time.monotonic() < end:
        time.sleep(0.005)

@extension.operation
def fail(text="no"):
    raise ValueError(text)

@extension.operation
def fail_times(name, times, value="done"):
    counts[name] = counts.get(name, 0) + 1
    if counts[name] <= times:
        raise ValueError(f"try {counts[name]}")
    return [value, counts[name]]

@extension.operation
def hang_once(file):
    if os.path.exists(file):
        return "second"
    with open(file + ".part", "w") as out:
        out.write(str(os.getpid()))
    os.rename(file + ".part", file)
    time.sleep(60)

@extension.operation
def until_cancelled(begun, ended):
    open(begun, "w").close()
    end = time.monotonic() + 30
    while not extension.cancelled() and time.monotonic() < end:
        time.sleep(0.005)
    open(ended, "w").close()

@extension.operation
def note(value, file, seconds=0):
    time.sleep(seconds)
    with open(file, "a") as out:
        out.write(str(value) + "\\n")
    return value
"""


class Laboratory:
    """A folder with extensions `lab` and `other`, and systems booted on it."""

    def __init__(self, workshop):
        self.workshop = workshop
        self.folder = workshop.folder
        workshop.extension("lab", LAB)
        workshop.extension("other", LAB)
        self._systems = []

    def boot(self, **more):
        system = boot(config=self.workshop.config, **more)
        self._systems.append(system)
        return system

    def slots(self, number):
        self.workshop.system(f"slots = {number}\n")

    def path(self, name):
        return str(self.folder / name)

    def close(self):
        for system in self._systems:
            system.shutdown()


@pytest.fixture
def lab(workshop):
    laboratory = Laboratory(workshop)
    yield laboratory
    laboratory.close()


@pytest.fixture
def system(lab):
    return lab.boot()


def node(name, call, with_="{}", more=""):
    """The text of one node."""
    return f'[[node]]\nid = "{name}"\ncall = "{call}"\nwith = {with_}\n{more}\n'


def melody(*nodes, inputs=()):
    """A Melody of these nodes' texts."""
    head = f'[melody]\nname = "m"\ninputs = [{", ".join(map(repr, inputs))}]\n'
    return Melody.from_text(head + "".join(map(textwrap.dedent, nodes)))


@pytest.fixture(name="node")
def node_of():
    return node


@pytest.fixture(name="melody")
def melody_of():
    return melody
