"""Random Melodies against a naive interpreter of the same Melody."""

from __future__ import annotations

import itertools
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from symphony import Melody, RemoteError, boot

STEP = """
counts = {}

@extension.operation
def step(name, run, fails, values):
    counts[run, name] = counts.get((run, name), 0) + 1
    if counts[run, name] <= fails:
        raise ValueError(name)
    return {"name": name, "tries": counts[run, name], "values": values}
"""
NEVER = 1000


class Step:
    """One node: what it uses, how often it fails, and what is done then."""

    def __init__(self, name, uses, fails, retry, on_error, stand_in=None, part=False):
        self.name, self.uses, self.fails, self.retry = name, uses, fails, retry
        self.on_error, self.stand_in, self.part = on_error, stand_in, part

    def table(self):
        values = [f"${{{name}.name}}" if self.part else f"${{{name}}}" for name in self.uses]
        table = {
            "id": self.name,
            "call": ("a" if len(self.name) % 2 else "b") + ".step",
            "with": {
                "name": self.name,
                "run": "${inputs.run}",
                "fails": self.fails,
                "values": values,
            },
            "retry": self.retry,
        }
        if self.on_error == "fallback":
            table["on_error"] = {"fallback": self.stand_in.name}
        elif self.on_error == "skip":
            table["on_error"] = "skip"
        return table

    def __repr__(self):
        return json.dumps(self.table())


@st.composite
def steps(draw):
    """Steps in an order in which each uses only earlier ones."""
    made = []
    for number in range(draw(st.integers(1, 7))):
        made.append(draw(step(f"n{number}", made, True)))
    return made


@st.composite
def step(draw, name, earlier, may_fall_back):
    names = [each.name for each in earlier]
    uses = draw(st.lists(st.sampled_from(names), max_size=3, unique=True)) if names else []
    kinds = ["skip", "skip", "fail"] + (["fallback"] * 3 if may_fall_back else [])
    on_error = draw(st.sampled_from(kinds))
    retry = draw(st.integers(0, 2))
    fails = draw(st.sampled_from([0, 0, 1, 2, NEVER if on_error != "fail" else 0]))
    stand_in = None
    if on_error == "fallback":
        stand_in = draw(step(f"{name}_b", earlier, False))
    return Step(name, uses, fails, retry, on_error, stand_in, draw(st.booleans()))


class FailedError(Exception):
    """The run fails at this node."""


def attempt(one, values):
    """The value of a step that is called as long as its retries last; or `FailedError`."""
    if one.fails > one.retry:
        raise FailedError(one.name)
    used = [values[name] for name in one.uses]
    if one.part:
        used = [None if value is None else value["name"] for value in used]
    return {"name": one.name, "tries": one.fails + 1, "values": used}


def settle(one, values):
    """Gives a step its value, its stand-in's, or none; or raises `FailedError`."""
    try:
        values[one.name] = attempt(one, values)
    except FailedError:
        if one.on_error == "fail":
            raise
        values[one.name] = None
        if one.stand_in is not None:
            settle(one.stand_in, values)
            values[one.name] = values[one.stand_in.name]


def interpret(made):
    """The values that a run has to end with, and the nodes at which it may fail instead."""
    values, lost, may_fail = {}, set(), set()
    for one in made:
        needed = set(one.uses)
        if one.stand_in is not None:
            values[one.stand_in.name] = None
            needed |= set(one.stand_in.uses)
        if needed & lost:
            # It waits for what never comes.
            lost.add(one.name)
            continue
        try:
            settle(one, values)
        except FailedError:
            lost.add(one.name)
            may_fail.add(one.name)
    return values, may_fail


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("random")
    (folder / "Symphony.toml").write_text('[system]\nname = "random"\nextensions = ["*"]\n')
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "Symphony.toml").write_text(
            f'[extension]\nname = "{name}"\nversion = "1.0.0"\nentry = "{name}_steps:extension"\n'
        )
        (folder / name / f"{name}_steps.py").write_text(
            f'from symphony.extension import Extension\nextension = Extension("{name}")\n' + STEP
        )
    with boot(config=folder / "Symphony.toml") as system:
        yield system


numbers = itertools.count()


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(made=steps())
def test_a_random_melody_ends_as_a_naive_interpreter_says(running, made):
    tables = [each.table() for each in made]
    tables += [each.stand_in.table() for each in made if each.stand_in]
    tables.sort(key=lambda table: sum(table["id"].encode()) % 5)
    document = {"melody": {"name": "random", "inputs": ["run"]}, "node": tables}
    values, may_fail = interpret(made)
    run = running.submit(Melody.from_text(json.dumps(document), "m.json"), {"run": next(numbers)})
    if may_fail:
        with pytest.raises(RemoteError) as caught:
            run.result(30)
        assert run.state == "failed"
        found = re.match(r"node `(\w+)` \(`[ab]\.step`\) of `random` failed: ", str(caught.value))
        assert found is not None, str(caught.value)
        assert found[1] in may_fail
    else:
        assert run.result(30) == values
        assert run.state == "done"
