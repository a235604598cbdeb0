"""`symphony serve`: when clients are told that there are other tools; the extensions are played by the test."""

from __future__ import annotations

import asyncio
import threading
import types

import pytest
from symphony._cli._serve import tools as served_tools
from symphony._cli._serve.tools import Tools
from symphony.exceptions import SymphonyError

pytestmark = pytest.mark.timeout(30)


class Extension:
    """One that comes up, or fails, when it is let go."""

    def __init__(self, outcomes):
        self._outcomes = iter(outcomes)
        self.goes = threading.Event()
        self.pid = None
        self.state = "stopped"
        self.starts = 0

    def schema(self):
        assert self.goes.wait(10)
        self.starts += 1
        outcome = next(self._outcomes)
        if isinstance(outcome, str):
            raise SymphonyError(outcome)
        self.pid = self.starts
        return {name: {"input": {}, "description": "known"} for name in outcome}

    def ends(self):
        """Is another run when it is asked next."""
        self.pid, self.state = 1000, "ready"


class Kit:
    """With one extension."""

    def __init__(self, extension, operations, folder):
        self._extension = extension
        self._operations = operations
        self._folder = folder

    def extensions(self):
        return ["one"]

    def extension(self, _name):
        return self._extension

    def operations(self, _name):
        return self._operations

    def version(self, _name):
        return "1.0.0", self._folder

    def grants(self, _name):
        granted = {"in_root": True, "write": [], "run": [], "calls": []}
        return {**granted, "network": False, "digest": "1"}


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """Lists often, before and after each start ends; what each list held, and how often a change was told."""
    monkeypatch.setattr(served_tools, "_WAIT", 0.1)

    def run(extension, operations=None, *, rounds=1, between=lambda: None):
        changes, lists = [], []
        (tmp_path / "extension").mkdir()
        kit = Kit(extension, operations, str(tmp_path / "extension"))

        async def ask():
            system = types.SimpleNamespace(kit=kit)
            tools = Tools(system, str(tmp_path), str(tmp_path), lambda: changes.append(1))
            for _ in range(rounds):
                extension.goes.clear()
                early = await asyncio.gather(tools.all(), tools.all())
                lists.append([tool.told["name"] for tool in early[0]])
                extension.goes.set()
                await tools.all()
                between()
            await tools.close()

        asyncio.run(ask())
        return lists, len(changes)

    return run


def test_a_start_that_was_waited_for_by_many_is_told_once(listed):
    assert listed(Extension([["a"]])) == ([[]], 1)


def test_a_start_that_fails_tells_no_change(listed):
    extension = Extension(["no", "not", "never"])
    assert listed(extension, rounds=3) == ([[], [], []], 0)
    assert extension.starts == 3


def test_a_start_that_fails_in_other_words_each_time_is_told_once(listed):
    extension = Extension(["no", "not", "never"])
    assert listed(extension, ["a"], rounds=3) == ([[], ["one.a"], ["one.a"]], 1)


def test_what_could_not_be_asked_and_then_can_is_told(listed):
    assert listed(Extension(["no", ["a"]]), ["a"], rounds=2) == ([[], ["one.a"]], 2)


def test_another_run_with_the_same_tools_is_no_change(listed):
    extension = Extension([["a"], ["a"]])
    found = listed(extension, rounds=2, between=extension.ends)
    assert found == ([[], ["one.a"]], 1)
    assert extension.starts == 2


def test_another_run_with_other_tools_is_a_change(listed):
    extension = Extension([["a"], ["a", "b"]])
    assert listed(extension, rounds=2, between=extension.ends) == ([[], ["one.a"]], 2)
