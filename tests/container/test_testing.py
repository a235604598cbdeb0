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
from symphony import BootError, BootTimeoutError, InvalidValueError, boot
from symphony.testing import LeftBehindError, MockComponent, no_leaks


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


def test_the_plugin_gives_booted_systems_and_tells_what_they_leave(tmp_path):
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["symphony.testing.plugin"]\n')
    (tmp_path / "test_it.py").write_text(
        textwrap.dedent("""
        import threading
        from symphony.testing import MockComponent

        mock = MockComponent("Mine")
        go = threading.Event()

        def test_booted(booted):
            system = booted(components=[mock])
            assert type(system[mock]) is mock

        def test_it_was_stopped():
            assert mock.calls[-1] == "stop"

        def test_leaves_a_thread(leak_free, monkeypatch):
            monkeypatch.setattr(leak_free, "found", lambda patience: type(leak_free).found(leak_free, 0.05))
            threading.Thread(target=go.wait, daemon=True).start()
        """)
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "3 passed, 1 error" in done.stdout, done.stdout
    assert "LeftBehindError: left behind:" in done.stdout
    assert "  thread " in done.stdout
