"""Late edges are bound by a component of their own, the last of the boot."""

from __future__ import annotations

import json
import sys

import pytest
from symphony import BootError, Late, LateBindingError, Pit, boot, component
from symphony.testing import Fault, FaultPlan, no_leaks
from workshop import write


class Planner:
    def __init__(self, index: Index):
        self.index = index


class Index:
    def __init__(self, planner: Late[Planner]):
        self.planner = planner
        self.asked = 0

    def health(self):
        assert self.planner.value.index is self
        self.asked += 1


@component(required=False)
class Broken:
    def start(self):
        raise OSError("no disk")


def components_of(system) -> list[str]:
    return [entry["name"] for entry in json.loads(system.report.to_json())["components"]]


def test_what_is_late_is_bound_before_its_consumer_is_asked_how_it_is():
    with boot(components=[Planner, Index]) as system:
        index = system[Index]
        assert index.asked == 1
        assert index.planner.value is system[Planner]
        assert components_of(system)[-1] == "late-binding"


def test_nothing_is_added_where_nothing_is_late():
    class Plain:
        pass

    with boot(components=[Plain]) as system:
        assert "late-binding" not in components_of(system)


def test_it_starts_after_all_that_it_connects_and_after_the_conductor():
    seen = []

    class Slow:
        def start(self):
            import time

            time.sleep(0.05)

    def make(slow: Late[Slow], pit: Late[Pit]):
        return (slow, pit)

    def observe(event):
        seen.append((event.name, event.component))

    with boot(make, components=[Slow], observer=observe) as system:
        slow, pit = system.conductor
        assert slow.value is system[Slow]
        assert pit.value is system.pit
    begun = seen.index(("component-started", "late-binding"))
    assert begun > seen.index(("component-finished", "Slow"))
    assert begun > seen.index(("component-finished", "make"))


def test_a_target_that_did_not_start_fails_the_boot_with_consumer_target_and_place(monkeypatch):
    monkeypatch.chdir(__file__.rpartition("/")[0])
    stopped = []

    class Consumer:
        def __init__(self, broken: Late[Broken]):
            self.broken = broken

        def stop(self):
            with pytest.raises(LateBindingError):
                self.broken.value  # noqa: B018 - reading is the test.
            stopped.append("Consumer")

    with no_leaks(), pytest.raises(BootError) as caught:
        boot(components=[Broken, Consumer])
    error = caught.value
    assert (error.code, error.component, error.phase) == (
        "late-binding",
        "late-binding",
        "conductor",
    )
    with open(__file__, encoding="utf-8") as source:
        lines = source.read().splitlines()
    needs = lines.index("        def __init__(self, broken: Late[Broken]):") + 1
    made = lines.index("class Broken:") + 1
    text = str(error)
    assert "`Consumer` needs `Late[Broken]`, and `Broken` did not start" in text
    assert f"test_late_binding.py:{needs}  `broken: Late[Broken]` of `Consumer`" in text
    assert f"take `required=False` of `Broken` out at test_late_binding.py:{made}" in error.hints[0]
    assert stopped == ["Consumer"]
    assert not error.report.ok


def test_a_consumer_that_did_not_start_itself_needs_nothing():
    @component(required=False)
    class Both:
        def __init__(self, broken: Late[Broken]):
            raise OSError("no disk either")

    class User:
        def __init__(self, planner: Late[Index]):
            self.planner = planner

    with boot(components=[Broken, Both, User, Planner, Index]) as system:
        assert system[User].planner.value is system[Index]


def test_its_work_is_symphonys_own():
    plan = FaultPlan(Fault("late-binding", "start", "slow", seconds=0.2))
    with plan.boot(components=[Planner, Index]) as system:
        assert system.report.overhead_seconds >= 0.2
        assert system.report.critical_path[-1] == "late-binding"


@pytest.mark.parametrize("body", ["known", "hidden"])
@pytest.mark.parametrize("target", ["up", "absent"])
def test_a_conductor_named_by_a_string_may_have_late_needs(body, target, tmp_path, monkeypatch):
    name = f"late_conductor_{body}_{target}"
    annotation = {"known": "Late[Broken]", "hidden": "globals()['Late'][Broken]"}[body]
    if target == "up":
        annotation = annotation.replace("Broken", "Index")
    write(
        tmp_path / f"{name}.py",
        f"""
        from symphony import Late
        from test_late_binding import Broken, Index
        class Made:
            def __init__(self, late): self.late = late
        def make(late: {annotation}):
            return Made(late)
        """,
    )
    monkeypatch.setitem(sys.modules, "test_late_binding", sys.modules[__name__])
    monkeypatch.syspath_prepend(str(tmp_path))
    with no_leaks():
        if target == "up":
            with boot(f"{name}:make", components=[Planner, Index]) as system:
                assert system.conductor.late.value is system[Index]
            del system
            return
        with pytest.raises(BootError) as caught:
            boot(f"{name}:make", components=[Broken])
    error = caught.value
    assert (error.code, error.component, error.phase) == (
        "late-binding",
        "late-binding",
        "conductor",
    )
    assert "`make` needs `Late[Broken]`, and `Broken` did not start" in str(error)
