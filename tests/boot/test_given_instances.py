"""An object in `components=` is a component as what its class makes is, but that it is there already."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Protocol

import pytest
from symphony import DuplicateComponentError, MissingDependencyError, boot, component

pytestmark = [pytest.mark.usefixtures("nothing_left"), pytest.mark.timeout(60)]


class Database:
    def __init__(self, address: str) -> None:
        self.address = address
        self.steps: list[str] = []

    def start(self) -> None:
        self.steps.append("start")

    def health(self) -> bool:
        return "start" in self.steps

    def stop(self) -> None:
        self.steps.append("stop")


class Users:
    def __init__(self, database: Database) -> None:
        self.database = database


def test_it_is_injected_started_and_stopped():
    database = Database("here")
    with boot(components=[Users, database]) as system:
        assert system[Users].database is system[Database] is database
        assert database.steps == ["start"]
        assert system.health().state == "healthy"
    assert database.steps == ["start", "stop"]


def test_what_its_class_is_marked_with_holds():
    class Stored(Protocol):
        def get(self) -> int: ...

    @component(name="kept", provides=Stored)
    class Store:
        def get(self) -> int:
            return 3

    class Reader:
        def __init__(self, store: Stored) -> None:
            self.store = store

    store = Store()
    with boot(components=[Reader, store]) as system:
        assert system[Reader].store is store
        assert "kept" in system.report.to_json()


def test_one_that_is_entered_is_entered_once():
    @component(enter=True)
    class Session:
        entered = left = 0

        def __enter__(self):
            self.entered += 1
            return self

        def __exit__(self, *_: object) -> None:
            self.left += 1

    session = Session()
    with boot(components=[session]) as system:
        assert system[Session] is session
        assert (session.entered, session.left) == (1, 0)
    assert (session.entered, session.left) == (1, 1)


def test_two_of_one_class_are_one_name_twice():
    class All:
        def __init__(self, every: Sequence[Database]) -> None:
            self.every = every

    with pytest.raises(DuplicateComponentError, match="Database"):
        boot(components=[All, Database("a"), Database("b")])


def test_an_object_satisfies_its_class_alone():
    class Kept(Database):
        pass

    with pytest.raises(MissingDependencyError):
        boot(components=[Users, Kept("here")])


def test_a_swap_replaces_it():
    old, new = Database("old"), Database("new")
    with boot(components=[Users, old]) as system:
        report = system.swap(Database, new, drain=0.1)
        assert system[Users].database is new, report
        assert new.steps == ["start"]
    assert new.steps == ["start", "stop"]
    assert old.steps == ["start", "stop"]


@pytest.mark.parametrize("value", [3, None, b"", {}, [Database]])
def test_plain_values_are_refused(value):
    with pytest.raises(TypeError, match="`components` takes classes, functions, instances"):
        boot(components=[value])


SCRIPT = """
import os, shutil, sys
from symphony import BootError, SystemConfig, boot
config = os.path.join(os.getcwd(), "Symphony.toml")
os.mkdir("gone"); os.chdir("gone"); os.rmdir(os.getcwd())
for give in (lambda: boot(config="Symphony.toml"), lambda: SystemConfig(config, state="state")):
    try:
        give()
    except BootError as error:
        print(error.code, str(error).splitlines()[0])
with boot(config=config) as system:
    print(system.kit.extension("echo").options(timeout=20).call("echo", value=3))
"""


def test_a_working_directory_that_was_removed(workshop):
    workshop.extension(
        "echo", "@extension.operation\ndef echo(value: int) -> int: return value\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        check=False,
        capture_output=True,
        text=True,
        timeout=40,
        cwd=workshop.folder,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert done.stdout.splitlines() == [
        "manifest-invalid `Symphony.toml` is relative to the working directory, and that was removed",
        "manifest-invalid `state` is relative to the working directory, and that was removed",
        "3",
    ], done.stderr
