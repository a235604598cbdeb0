"""For tests of what is built on Symphony: components that behave as told, faults on purpose, scenarios, leak checks.

    from symphony.testing import MockComponent, no_leaks

    Index = MockComponent("Index", fail={"start": OSError("no disk")})
    with no_leaks(), pytest.raises(BootError):
        boot(components=[Index])

    plan = FaultPlan(Fault("artifact-store", "start", "hang"))
    with no_leaks(), pytest.raises(BootTimeoutError):
        plan.boot(components=[Index], timeout=1.0)

    def once():
        with boot(components=[MockComponent("Index")]):
            pass

    assert growth(once).is_flat()

    Scenario.load("scenarios/no-disk.toml").run()

    with extension("outline") as running:
        assert running.call("outline", source="") == []

pytest finds the fixtures `booted`, `fault_plan` and `leak_free` by itself. All of it: `docs/testing.md`.
"""

from __future__ import annotations

from symphony.testing._extension import RunningExtension, extension
from symphony.testing._faults import Fault, FaultPlan
from symphony.testing._leaks import Leaks, LeftBehindError, no_leaks
from symphony.testing._memory import Growth, growth
from symphony.testing._mock import MockComponent, MockFailure
from symphony.testing._scenario import Outcome, Scenario, ScenarioError

__all__ = [
    "Fault",
    "FaultPlan",
    "Growth",
    "Leaks",
    "LeftBehindError",
    "MockComponent",
    "MockFailure",
    "Outcome",
    "RunningExtension",
    "Scenario",
    "ScenarioError",
    "extension",
    "growth",
    "no_leaks",
]
