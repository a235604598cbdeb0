"""The trials of `symphony doctor`: boots, budgets, a killed extension, a rollback, a killed root, and an interrupt."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import machines
import pytest
from doctors import assert_told
from workshop import ECHO, write


def test_boots_are_counted_and_measured(doctor, workshop):
    workshop.extension("echo", ECHO, 'activation = "eager"\n')
    document = doctor("--boots", "3")
    boots = document["boots"]
    assert (boots["count"], boots["ok"]) == (3, 3)
    assert 0 < boots["p50_seconds"] <= boots["p99_seconds"]
    assert 0 < boots["overhead_p50_seconds"] < boots["p50_seconds"]
    assert boots["memory_mb"] > 0
    assert_told(document, "boots", "ok", "3 of 3")
    assert_told(document, "killed-extension", "ok", "`echo` was killed and was back")
    assert_told(document, "rollback", "ok", "left nothing")
    assert_told(document, "killed-root", "ok", "the next boot came up")


def test_an_extension_that_starts_with_its_first_call_is_started_and_killed(doctor, workshop):
    workshop.extension("late", ECHO)
    assert_told(doctor(), "killed-extension", "ok", "`late` was killed")


def test_without_extensions_a_small_system_is_tried(doctor):
    assert_told(doctor(), "killed-extension", "ok", "`probe` of a small system")


def test_components_and_the_conductor_are_booted_too(doctor, workshop):
    write(
        workshop.folder / "app.py",
        """
        import pathlib

        class Index:
            def __init__(self) -> None:
                with open(pathlib.Path(__file__).parent / "started", "a") as file:
                    file.write("x")

        def make(index: Index) -> list:
            return [index]
        """,
    )
    write(
        workshop.folder / "parts.py",
        """
        from symphony import component
        import app

        @component
        def index() -> app.Index:
            return app.Index()
        """,
    )
    workshop.system('components = ["parts"]\nconductor = "app:make"\n')
    assert_told(doctor(), "rollback", "ok", "fail at `make`")
    # One boot, an extension's, two of the rollback, the root and the next; of a system with no extension one less.
    assert (workshop.folder / "started").read_text() == "x" * 5


def test_a_system_over_its_budget(doctor, workshop):
    workshop.system('[system.budgets]\nready = "1ms"\n')
    document = doctor("--boots", "2")
    assert_told(document, "budgets", "degraded", "`ready` in 2 of 2 boots", "instead of 1")
    assert doctor("--strict")["code"] == 1


def test_a_boot_that_fails_is_told_with_its_cause_and_nothing_else_is_tried(doctor, workshop):
    write(
        workshop.folder / "parts.py",
        """
        from symphony import component

        @component
        class Broken:
            def start(self) -> None:
                raise OSError("the disk is on fire")
        """,
    )
    document = doctor("--components", "parts", "--boots", "4")
    assert_told(document, "boots", "failed", "0 of 2", "`Broken`", "the disk is on fire")
    assert document["boots"] == {
        "count": 2,
        "ok": 0,
        "p50_seconds": None,
        "p99_seconds": None,
        "overhead_p50_seconds": None,
        "memory_mb": None,
    }
    for name in ("budgets", "killed-extension", "rollback", "killed-root"):
        assert_told(document, name, "degraded", "not tried")


def test_a_boot_that_the_machine_fails_names_the_checks_that_found_why(doctor, workshop):
    for number in range(12):
        workshop.extension(f"echo{number}", ECHO, 'activation = "eager"\n')
    document = doctor(preexec_fn=machines.with_descriptors(40))
    assert_told(document, "descriptors", "failed", "40 open files")
    assert_told(document, "boots", "failed", "0 of 1")
    assert "`descriptors`" in document["by_name"]["boots"]["hint"]


def test_a_boot_that_comes_up_degraded_says_so(doctor, workshop):
    workshop.extension(
        "lame",
        "raise RuntimeError('not today')\n" + ECHO,
        'activation = "eager"\nrequired = false\n',
    )
    workshop.extension("echo", ECHO, 'activation = "eager"\n')
    assert_told(doctor(), "boots", "degraded", "`lame`", "not today")


def test_an_extension_that_does_not_come_back(doctor, workshop):
    workshop.extension(
        "echo", ECHO, 'activation = "eager"\n[extension.restart]\nbudget = 0\nwindow = "5min"\n'
    )
    assert_told(doctor(), "killed-extension", "failed", "`echo`")


def test_a_rollback_that_leaves_something_names_it(doctor, workshop):
    write(
        workshop.folder / "parts.py",
        """
        from symphony import component

        kept = []

        @component
        class Careless:
            def start(self) -> None:
                kept.append(open("/dev/zero"))
        """,
    )
    document = doctor("--components", "parts")
    assert_told(document, "rollback", "failed", "left behind", "/dev/zero")


def test_a_boot_that_fails_for_a_hidden_proc_points_there(doctor):
    document = doctor(preexec_fn=machines.without_proc)
    assert_told(document, "proc", "failed")
    assert_told(document, "boots", "failed")
    assert "`proc`" in document["by_name"]["boots"]["hint"]


def test_what_is_left_of_a_root_is_counted_and_ended(monkeypatch):
    from symphony._cli._doctor import _trials

    monkeypatch.setattr(_trials, "_LATE", 0.3)
    root, left = (subprocess.Popen(["sleep", "60"]) for _ in range(2))
    try:
        seconds, count = _trials._kill_root(root.pid, [left.pid])
        assert count == 1
        assert seconds >= 0.3
        assert left.wait(10) == -signal.SIGKILL
    finally:
        for process in (root, left):
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_doctor_that_is_interrupted_leaves_nothing(cli, workshop, number, code, word):
    write(
        workshop.folder / "parts.py",
        """
        import time
        from symphony import component

        @component
        class Slow:
            def start(self) -> None:
                open("begun", "w").close()
                time.sleep(9)
        """,
    )
    process = cli.start("doctor", "--json", "--components", "parts", "--boots", "2")
    end = time.monotonic() + 60
    while not (workshop.folder / "begun").exists() and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err
    document = json.loads(out)
    assert document["ok"] is False
    last = document["checks"][-1]
    assert (last["name"], last["status"]) == (word, "failed")
    # And the fixture looks for processes and files.
