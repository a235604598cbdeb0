"""`symphony.testing`, as outside users have it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from symphony import BootError, BootTimeoutError, InvalidValueError, TransientError, boot
from symphony.testing import (
    Leaks,
    LeftBehindError,
    MockComponent,
    Scenario,
    ScenarioError,
    no_leaks,
)
from workshop import ECHO, run_python


def test_a_mock_is_injected_and_runs_its_steps_in_order():
    index = MockComponent("Index")
    planner = MockComponent("Planner", needs=[index])

    def run() -> None:
        with boot(components=[planner, index]) as system:
            assert system[planner].injected == {"need_0": system[index]}

    with no_leaks():
        run()
    assert index.calls == planner.calls == ["init", "start", "health", "stop"]


def test_a_mock_fails_where_it_is_told():
    first = MockComponent("First")
    last = MockComponent("Last", needs=[first], fail={"start": OSError("no disk")})

    def run() -> None:
        with pytest.raises(BootError) as caught:
            boot(components=[first, last])
        assert caught.value.component == "Last"
        assert isinstance(caught.value.__cause__, OSError)

    with no_leaks():
        run()
    assert (first.calls[-1], last.calls) == ("stop", ["init", "start"])


@pytest.mark.parametrize("step", ["init", "start"])
def test_a_mock_hangs_until_it_is_released(step):
    hanging = MockComponent("Hanging", hang=step, timeout=0.05)
    with no_leaks():
        with pytest.raises(BootTimeoutError, match="`Hanging`"):
            boot(components=[hanging])
        hanging.release()


def test_a_mock_is_as_slow_as_it_is_told():
    slow = MockComponent("Slow", latency=0.05)
    with boot(components=[slow]) as system:
        report = json.loads(system.report.to_json())
    seconds = {entry["name"]: entry["seconds"] for entry in report["components"]}
    assert seconds["Slow"] >= 0.05


def test_a_mock_may_be_unwell_or_stand_for_another_type():
    class Store: ...

    ill = MockComponent("Ill", health=False, provides=Store)
    with pytest.raises(BootError) as caught:
        boot(components=[ill])
    assert caught.value.code == "unhealthy"
    with boot(components=[MockComponent("Well", provides=Store)]) as system:
        assert type(system[Store]).__name__ == "Well"
    with pytest.raises(InvalidValueError, match="there is no step `strat`"):
        MockComponent(hang="strat")


def test_each_kind_of_leak_is_named():
    go = threading.Event()
    child = None
    reading, writing = -1, -1
    thread = threading.Thread(target=go.wait)
    try:
        with pytest.raises(LeftBehindError) as caught, no_leaks(patience=0.05):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            reading, writing = os.pipe()
            thread.start()
        text = str(caught.value)
        assert f"process {child.pid}: " in text
        assert f"descriptor {writing}: pipe:" in text
        assert f"thread {thread.native_id}: " in text
    finally:
        go.set()
        thread.join()
        os.close(reading)
        os.close(writing)
        assert child is not None
        child.kill()
        child.wait()


def test_what_is_about_to_end_is_waited_for():
    with no_leaks():
        threading.Thread(target=time.sleep, args=(0.05,)).start()


def test_a_mock_holds_memory_while_it_lives():
    # In a process of its own: this one may give back at any moment what earlier tests held.
    done = run_python(
        """
        from symphony import boot
        from symphony.testing import MockComponent, no_leaks
        from symphony.testing._memory import own_memory
        size = 50_000_000
        large = MockComponent("Large", memory=size)
        before = own_memory()
        with no_leaks(memory=size // 2):
            with boot(components=[large]) as system:
                held = own_memory()
                assert len(system[large].held) == size
            del system
        print(held - before > size * 0.8)
        """
    )
    assert done.stdout == "True\n", done.stderr


def test_a_mock_fails_so_often_and_then_does_well():
    flaky = MockComponent("Flaky", fail={"start": TransientError("not yet")}, failures=2)
    with boot(components=[flaky]):
        assert flaky.count("start") == 3
        assert (flaky.count("init"), flaky.count("stop")) == (3, 0)
    assert flaky.count("stop") == 1


@pytest.mark.parametrize("wrong", [{"latency": -1}, {"failures": -1}, {"memory": -5}])
def test_a_mock_refuses_a_negative_number(wrong):
    with pytest.raises(InvalidValueError, match=r"cannot be -|from 0 up, not -"):
        MockComponent(**wrong)


STORE_AND_INDEX = {"Store": {}, "Index": {"needs": ["Store"], "fail": {"start": "no disk"}}}


def test_a_scenario_says_everything_that_differs_at_once():
    scenario = Scenario(
        {
            "name": "wrong",
            "components": STORE_AND_INDEX,
            "expect": {
                "error": "start-timeout",
                "component": "Store",
                "phase": "pit",
                "text": ["no disk", "no luck"],
                "starts": ["Index", "Store"],
                "stops": ["Index"],
                "calls": {"Index": {"start": 2, "stop": 0}},
                "status": {"Index": "ready", "Nobody": "ready"},
                "rollback_errors": ["stop-failed"],
            },
        }
    )
    with pytest.raises(ScenarioError) as caught:
        scenario.run()
    assert caught.value.differences == (
        "error: `start-failed` instead of `start-timeout`",
        "component of the error: `Index` instead of `Store`",
        "phase of the error: `conductor` instead of `pit`",
        "text of the error: `no luck` is not in it",
        "rollback_errors: [] instead of ['stop-failed']",
        "starts: in the order `Store`, `Index` instead of `Index`, `Store`",
        "stops: `Index` did not",
        "stops: `Store` did, and should not",
        "`start` of `Index`: called once instead of 2 times",
        "status of `Index`: failed instead of ready",
        "status of `Nobody`: not planned instead of ready",
    )
    text = str(caught.value)
    assert text.startswith("scenario `wrong` came out otherwise:\n  error: ")
    assert "what happened: Store.init, Store.start, Index.init, Index.start, Store.stop" in text


def test_a_scenario_that_expects_nothing_has_to_boot():
    assert Scenario({"components": {"Store": {}}}).run().error is None
    with pytest.raises(ScenarioError, match="error: `start-failed` instead of none"):
        Scenario({"components": STORE_AND_INDEX}).run()
    with pytest.raises(ScenarioError, match="error: none instead of `unhealthy`"):
        Scenario({"components": {"Store": {}}, "expect": {"error": "unhealthy"}}).run()
    with pytest.raises(ScenarioError, match="health: degraded"):
        Scenario(
            {
                "components": {"Store": {"health": "degraded: old"}},
                "expect": {"health": "healthy"},
            }
        ).run()


def test_a_fault_that_never_happens_fails_the_scenario():
    table = {
        "components": {"Store": {}},
        "faults": [{"component": "Store", "step": "health", "call": 7}],
    }
    with pytest.raises(ScenarioError, match=r"`Store`: fail in health \(call 7\) never happened"):
        Scenario(table).run()


def test_a_scenario_leaves_nothing_and_says_what_is_left(tmp_path):
    with no_leaks():
        Scenario(
            {
                "components": {"Hangs": {"hang": ["start", "stop"], "timeout": 0.1}},
                "expect": {"error": "start-timeout", "stops": []},
            }
        ).run()
    go = threading.Event()
    thread = threading.Thread(target=go.wait)
    scenario = Scenario({"components": {"Store": {}}})
    plan = scenario._plan
    scenario._plan = lambda: (thread.start(), plan())[1]  # type: ignore[method-assign]
    before = Leaks.found
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Leaks, "found", lambda leaks: before(leaks, 0.1))
            with pytest.raises(ScenarioError, match="left behind: thread"):
                scenario.run()
    finally:
        go.set()
        thread.join()


@pytest.mark.parametrize(
    ("table", "text", "hint"),
    [
        ({"expects": {}}, "the scenario has `expects`", "did you mean `expect`?"),
        ({"components": {"A": {"need": []}}}, "component `A` has `need`", "did you mean `needs`?"),
        ({"components": {"A": {"needs": ["Stor"]}, "Store": {}}}, "needs `Stor`", "`Store`?"),
        ({"components": {"no word": {}}}, "`no word` is not the name", ""),
        ({"expect": {"stop": []}}, "`expect` has `stop`", "`stops`?"),
        ({"components": {"A": {}}, "expect": {"stops": [["B"]]}}, "names `B`", "there are A"),
        (
            {"components": {"A": {}}, "expect": {"calls": {"A": {"strat": 1}}}},
            "`strat`",
            "`start`?",
        ),
        ({"faults": [{"component": "A", "step": "strat"}]}, "there is no step `strat`", ""),
        ({"faults": [{"component": "A", "steps": "start"}]}, "a fault has `steps`", "`step`?"),
    ],
)
def test_a_scenario_that_is_misspelt_is_refused(table, text, hint):
    with pytest.raises(InvalidValueError) as caught:
        Scenario(table)
    assert text in caught.value.message
    assert hint in " ".join(caught.value.hints)


def test_a_scenario_file_that_is_wrong_is_named(tmp_path):
    for name, content in (("a.toml", "x = = 1"), ("b.json", "{"), ("c.toml", "expects = {}")):
        path = tmp_path / name
        path.write_text(content)
        with pytest.raises(InvalidValueError, match=name):
            Scenario.load(path)
    with pytest.raises(FileNotFoundError):
        Scenario.load(tmp_path / "none.toml")


def test_a_scenario_with_a_config_boots_that_system(workshop):
    workshop.system("[system.budgets]\nready = '1h'")
    workshop.extension("echo", ECHO, 'activation = "eager"')
    path = workshop.folder / "whole.json"
    table = {
        "config": "Symphony.toml",
        "components": {"Index": {"needs": ["orchestra-kit"]}},
        "expect": {"status": {"echo": "ready", "Index": "ready"}, "health": "healthy"},
    }
    path.write_text(json.dumps(table))
    assert Scenario.load(path).run().report.system == "test"


def pytest_in(folder, source, *arguments, **environment):
    """Runs pytest on one file, in a process and a folder of its own."""
    (folder / "test_it.py").write_text(textwrap.dedent(source))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, "test_it.py"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    ).stdout


def test_the_plugin_gives_booted_systems_and_tells_what_they_leave(tmp_path):
    printed = pytest_in(
        tmp_path,
        """
        import threading
        from symphony.testing import MockComponent

        mock = MockComponent("Mine")
        go = threading.Event()

        def test_booted(booted):
            class Local: ...

            def make(it: "Local") -> object:
                return it

            system = booted(make, components=[mock, Local])
            assert type(system[mock]) is mock
            assert type(system.conductor) is Local

        def test_it_was_stopped():
            assert mock.calls[-1] == "stop"

        def test_leaves_a_thread(leak_free):
            leak_free.found = lambda patience: type(leak_free).found(leak_free, 0.05)
            threading.Thread(target=go.wait, daemon=True).start()
        """,
    )
    assert "3 passed, 1 error" in printed, printed
    assert "LeftBehindError: left behind:" in printed
    assert "  thread " in printed


def test_the_plugin_plans_faults_that_have_to_happen(tmp_path):
    printed = pytest_in(
        tmp_path,
        """
        import pytest
        from symphony import BootError, BootTimeoutError
        from symphony.testing import Fault, MockComponent

        def test_it_happens(fault_plan):
            plan = fault_plan(Fault("artifact-store", "start", "hang"))
            with pytest.raises(BootTimeoutError):
                plan.boot(timeout=0.2)

        def test_it_happens_in_a_booted_system(booted):
            system = booted(faults=[Fault("pit", "health", "hang", call=2)])
            assert system.health(timeout=0.1).state == "unhealthy"

        def test_a_boot_that_fails(booted):
            with pytest.raises(BootError):
                booted(faults=[Fault("pit", "start")])

        def test_it_never_happens(fault_plan):
            fault_plan(Fault("artifact-store", "stop", call=3)).boot().shutdown()
        """,
    )
    assert "4 passed, 1 error" in printed, printed
    assert "UnfiredFaultError: planned, and never happened:" in printed
    assert "`artifact-store`: fail in stop (call 3)" in printed


def test_the_plugin_costs_those_nothing_who_do_not_use_it(tmp_path):
    printed = pytest_in(
        tmp_path,
        """
        import sys

        def test_nothing_of_it_is_imported(request):
            assert request.config.pluginmanager.has_plugin("symphony")
            assert "pytest_symphony" in sys.modules
            assert [name for name in sys.modules if name.split(".")[0] == "symphony"] == []
        """,
    )
    assert "1 passed" in printed, printed


@pytest.mark.parametrize("loaded_by_itself", [False, True])
def test_the_plugin_may_be_asked_for_too(tmp_path, loaded_by_itself):
    source = """
        def test_booted(booted):
            assert booted().report.ok
        """
    environment = {} if loaded_by_itself else {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    printed = pytest_in(tmp_path, source, "-p", "symphony.testing.plugin", **environment)
    assert "1 passed" in printed, printed
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["symphony.testing.plugin"]\n')
    printed = pytest_in(tmp_path, source, **environment)
    assert "1 passed" in printed, printed
