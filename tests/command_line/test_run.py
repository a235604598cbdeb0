"""`symphony run`: what it runs, prints and writes, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

ECHO = """
import os
import time

@extension.operation
def echo(value):
    return value

@extension.operation
def fail_on(value, bad):
    if value.endswith(bad):
        raise ValueError(f"no {value}")
    return value

@extension.operation
def wait(seconds):
    time.sleep(seconds)

@extension.operation
def note(value, file):
    with open(file, "a") as out:
        out.write(value + "\\n")
"""
NOTES = """
    [melody]
    name = "notes"
    inputs = ["value", "file"]
    [[node]]
    id = "note"
    call = "echo.note"
    with = { value = "${inputs.value}", file = "${inputs.file}" }
"""
SLOW = """
    [melody]
    name = "slow"
    [[node]]
    id = "wait"
    call = "echo.wait"
    with = { seconds = 60 }
"""


@pytest.fixture
def system(workshop):
    workshop.extension("echo", ECHO)
    return workshop


def noted(system):
    return (system.folder / "notes").read_text().splitlines()


def test_inputs_are_strings_and_the_summary_says_what_ran(system, cli):
    system.melody(NOTES)
    ended = cli(
        "run", "--melody", "melody.toml", "--input", "value=1=2", "--input", "file=notes-of-it"
    )
    assert ended.code == 0, ended
    assert ended.err == ""
    assert ended.out.startswith("`test` ready in ")
    assert ended.out.splitlines()[-1].startswith("1 run: 1 ok, 0 failed, in ")


def test_each_runs_once_for_every_file_of_the_glob(system, cli):
    system.melody(NOTES)
    for name in ("a.txt", "b.txt", "c.md", "deep/d.txt"):
        path = system.folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    notes = f"file={system.folder / 'notes'}"
    ended = cli(
        "run", "--melody", "melody.toml", "--each", "value=files/**/*.txt", "--input", notes
    )
    assert ended.code == 0, ended
    assert "3 runs: 3 ok, 0 failed" in ended.out
    files = system.folder / "files"
    assert sorted(noted(system)) == [
        str(files / "a.txt"),
        str(files / "b.txt"),
        str(files / "deep" / "d.txt"),
    ]


def test_runs_runs_as_often_as_asked_and_json_has_the_promised_keys(system, cli, keys):
    system.melody(NOTES)
    system.system('[system.budgets]\nready = "30s"\n[system.phases.pit]\nbudget = "20s"\n')
    notes = f"file={system.folder / 'notes'}"
    ended = cli(
        "run", "--melody", "melody.toml", "--runs", 7, "--input", "value=x", "--input", notes,
        "--json",
    )  # fmt: skip
    assert ended.code == 0, ended
    assert noted(system) == ["x"] * 7
    document = ended.document
    assert set(document) == keys["report"] | {"runs", "results"}
    assert (document["schema"], document["ok"], document["system"]) == (1, True, "test")
    for name in (
        "ready_seconds",
        "since_launch_seconds",
        "overhead_seconds",
        "infrastructure_seconds",
        "memory_mb",
    ):
        assert isinstance(document[name], (int, float)), name
        assert not isinstance(document[name], bool), name
    assert document["overhead_seconds"] <= document["ready_seconds"]
    assert document["infrastructure_seconds"] <= document["ready_seconds"]
    assert document["ready_seconds"] <= document["since_launch_seconds"]
    assert [phase["name"] for phase in document["phases"]] == [
        "foundation",
        "ipc_bus",
        "pit",
        "orchestra_kit",
        "conductor",
    ]
    for phase in document["phases"]:
        assert set(phase) == {"name", "status", "seconds", "budget_seconds"}
        assert phase["status"] == "ready"
    budgets = {phase["name"]: phase["budget_seconds"] for phase in document["phases"]}
    assert (budgets["pit"], budgets["ipc_bus"]) == (20.0, None)
    names = [component["name"] for component in document["components"]]
    for component in document["components"]:
        assert set(component) == {
            "name",
            "phase",
            "status",
            "started_at",
            "seconds",
            "requires",
        }
        assert component["status"] in ("ready", "degraded", "failed", "stopped", "skipped")
        assert isinstance(component["started_at"], float)
        assert set(component["requires"]) <= set(names)
    assert set(document["critical_path"]) <= set(names)
    assert document["critical_path"]
    assert document["budget_violations"] == []
    assert document["error"] is None
    runs = document["runs"]
    assert set(runs) == keys["runs"]
    assert (runs["count"], runs["ok"], runs["failed"]) == (7, 7, 0)
    assert runs["per_second"] == pytest.approx(7 / runs["seconds"], rel=0.01)
    assert ended.err == ""


def test_a_failed_run_fails_the_command_and_the_summary_names_it(system, cli, error_document):
    system.melody(
        """
        [melody]
        name = "picky"
        inputs = ["path"]
        [[node]]
        id = "take"
        call = "echo.fail_on"
        with = { value = "${inputs.path}", bad = "b.txt" }
        """
    )
    for name in "abc":
        (system.folder / f"{name}.txt").write_text("")
    arguments = ("run", "--melody", "melody.toml", "--each", "path=*.txt")
    ended = cli(*arguments)
    assert ended.code == 1, ended
    assert "3 runs: 2 ok, 1 failed" in ended.out
    assert "error: `b.txt` failed in extension `echo`: " in ended.err
    assert "node `take` (`echo.fail_on`) of `picky` failed" in ended.err
    # The extension's own traceback, indented; none of ours.
    assert "\n  Traceback (most recent call last):\n" in ended.err
    assert "in fail_on" in ended.err
    assert "symphony/_" not in ended.err
    document = cli(*arguments, "--json").document
    error_document(document)
    assert (document["error"]["code"], document["error"]["component"]) == ("remote-error", "echo")
    assert (document["runs"]["ok"], document["runs"]["failed"]) == (2, 1)
    by_name = {result["name"]: result for result in document["results"]}
    assert set(by_name) == {"a.txt", "b.txt", "c.txt"}
    assert by_name["a.txt"]["values"] == {"take": str(system.folder / "a.txt")}
    bad = by_name["b.txt"]
    assert (bad["state"], bad["values"]) == ("failed", None)
    assert "in fail_on" in bad["error"]["traceback"]
    (node,) = bad["nodes"]
    assert (node["id"], node["call"], node["state"], node["attempts"]) == (
        "take",
        "echo.fail_on",
        "failed",
        1,
    )
    assert node["error"]["code"] == "remote-error"


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("manifest", "name", "text"),
    [
        ('[system.budgets]\nready = "1us"\n', "ready", r"[\d.]+ .?s instead of 1 µs, [\d.]+ .?s"),
        ('[system.budgets]\noverhead = "1us"\n', "overhead", r"[\d.]+ .?s instead of 1 µs, [\d.]+ .?s"),
        ('[system.budgets]\nmemory = "1KiB"\n', "memory", r"[\d.]+ MiB instead of 0.0 MiB, [\d.]+ MiB"),
        ('[system.phases.pit]\nbudget = "1us"\n', "phases.pit", r"[\d.]+ .?s instead of 1 µs, [\d.]+ .?s"),
    ],
    ids=["ready", "overhead", "memory", "phase"],
)  # fmt: skip
def test_each_budget_that_is_exceeded_is_told_by_how_much_and_with_strict_fails(
    system, cli, strict, manifest, name, text
):
    system.system(manifest)
    flags = ["--strict"] if strict else []
    ended = cli("run", *flags)
    assert ended.code == (1 if strict else 0), ended
    word = "error" if strict else "warning"
    line = rf"^{word}: budget `{name}` exceeded: {text} too much\n$"
    assert re.match(line, ended.err), ended.err
    assert f"over budget: {name} took " in ended.out
    ended = cli("run", "--json", *flags)
    assert ended.code == (1 if strict else 0), ended
    document = ended.document
    assert document["ok"] is not strict
    (violation,) = document["budget_violations"]
    assert set(violation) == {"name", "limit", "actual"}
    assert violation["name"] == name
    assert violation["actual"] > violation["limit"]
    if name == "ready":
        assert violation["limit"] == pytest.approx(1e-6)
        assert violation["actual"] == pytest.approx(document["ready_seconds"])


def test_budgets_that_are_kept_say_nothing_with_strict(system, cli):
    system.system(
        '[system.budgets]\nready = "60s"\noverhead = "60s"\nmemory = "1000MiB"\n'
        '[system.phases.pit]\nbudget = "60s"\n'
    )
    ended = cli("run", "--strict")
    assert (ended.code, ended.err) == (0, ""), ended


MINE = """
import sys
from symphony import Conductor

class Mine(Conductor):
    def run(self, forever=False):
        print("mine runs", self.kit.extension("echo").call("echo", value=3))

class Broken(Conductor):
    def run(self, forever=False):
        raise ValueError("a bad day")

def make(kit) -> Mine: ...

def failing() -> Mine:
    raise OSError("no disk")
"""


def test_a_conductor_of_ones_own_is_found_beside_the_caller(system, cli):
    (system.folder / "mine.py").write_text(MINE)
    ended = cli("run", "--conductor", "mine:Mine")
    assert ended.code == 0, ended
    assert "mine runs 3" in ended.out
    assert " Mine " in ended.out


def test_a_factory_that_raises_is_told_with_its_place(system, cli, form):
    (system.folder / "mine.py").write_text(MINE)
    ended = cli("run", "--conductor", "mine:failing")
    assert ended.code == 1, ended
    form(ended.err)
    assert "  Caused by: OSError: no disk\n    mine.py:16  in failing\n" in ended.err
    document = cli("run", "--conductor", "mine:failing", "--json").document
    assert document["error"]["causes"] == ["OSError: no disk"]


def test_a_conductor_that_raises_in_run_is_told_with_its_place(system, cli, form, error_document):
    (system.folder / "mine.py").write_text(MINE)
    ended = cli("run", "--conductor", "mine:Broken")
    assert ended.code == 1, ended
    form(ended.err)
    assert ended.err.startswith("error: ValueError: a bad day\n")
    assert "mine.py:11  in run" in ended.err
    document = cli("run", "--conductor", "mine:Broken", "--json").document
    error_document(document)
    assert document["error"]["message"] == "ValueError: a bad day"
    assert document["ready_seconds"] > 0


def test_the_workspace_can_be_set(system, cli):
    (system.folder / "other").mkdir()
    assert cli("run", "--workspace", "other").code == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--runs", "3"], "need `--melody`"),
        (["--runs", "0", "--melody", "melody.toml"], "`0` is not a positive number"),
        (["--conductor", "app.conductor"], "`app.conductor` is not of the form MODULE:CALLABLE"),
        (["--input", "novalue"], "`novalue` is not of the form NAME=VALUE"),
        (["--trace", "x.txt"], "ends neither in .html nor in .json"),
        (["--no-such-flag"], "--no-such-flag"),
        (["--melody", "melody.toml"], "lacks the input `value`"),
        (
            ["--melody", "melody.toml"] + [f"--input={k}=1" for k in ("value", "file", "more")],
            "has no input `more`",
        ),
    ],
)
def test_a_wrong_call_is_2_and_still_one_document(
    system, cli, form, error_document, arguments, text
):
    system.melody(NOTES)
    ended = cli("run", *arguments)
    assert (ended.code, ended.out) == (2, ""), ended
    form(ended.err)
    assert text in ended.err
    ended = cli("run", "--json", *arguments)
    assert ended.code == 2, ended
    error_document(ended.document)
    assert text in ended.document["error"]["message"]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["text", "json"])
def test_a_signal_ends_runs_and_system_with_its_own_code(system, cli, number, code, flags):
    system.extension("told", "@extension.operation\ndef tell(file):\n    open(file, 'w').close()\n")
    system.melody(
        SLOW + '\n    [[node]]\n    id = "tell"\n    call = "told.tell"\n'
        f'    with = {{ file = "{system.folder}/begun" }}\n'
    )
    process = cli.start("run", "--melody", "melody.toml", *flags)
    end = time.monotonic() + 20
    while not (system.folder / "begun").exists() and time.monotonic() < end:
        time.sleep(0.01)
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code, (out, err)
    assert time.monotonic() - began < 4 * 3
    assert err.startswith("error: "), err
    assert "Traceback" not in err
    if flags:
        document = json.loads(out)
        assert document["error"]["code"] == "interrupted"
        assert document["ok"] is False


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_a_signal_during_the_boot_rolls_back(workshop, cli, number, code):
    begun = workshop.folder / "begun"
    workshop.extension(
        "slow",
        f"open({str(begun)!r}, 'w').close()\nimport time\ntime.sleep(60)\n",
        'activation = "eager"\n[extension.limits]\nstart = "50s"\n',
    )
    process = cli.start("run", "--json")
    end = time.monotonic() + 20
    while not begun.exists() and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code, (out, err)
    document = json.loads(out)
    assert document["ok"] is False
    assert document["error"]["code"] == "interrupted"
    assert "Traceback" not in err


def test_a_reader_that_goes_away_is_no_traceback(system, cli):
    process = cli.start("run")
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) in (0, 1)
    assert "Traceback" not in err


def test_what_extensions_print_does_not_mix_with_the_document(workshop, cli):
    workshop.extension(
        "loud",
        "print('to stdout')\n@extension.operation\ndef shout():\n    print('again', flush=True)\n",
        'activation = "eager"\n',
    )
    workshop.melody('[melody]\nname = "m"\n[[node]]\nid = "a"\ncall = "loud.shout"\n')
    ended = cli("run", "--melody", "melody.toml", "--json")
    assert ended.code == 0, ended
    assert ended.document["runs"]["ok"] == 1
    assert "to stdout" not in ended.out


def test_no_system_is_left_on_the_state_folder(system, cli):
    assert cli("run").code == 0
    assert cli("run").code == 0
    assert os.path.isdir(system.folder / ".symphony")


@pytest.mark.parametrize("retry", [0, 1])
def test_a_killed_extension_costs_at_most_its_own_node(system, cli, retry):
    system.extension(
        "frail",
        """
import os
import signal
import subprocess
import sys

@extension.operation
def touch(value, file):
    if value.endswith("1.txt") and not os.path.exists(file):
        open(file, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return value
""",
    )
    system.melody(
        """
        [melody]
        name = "touch"
        inputs = ["path"]
        [[node]]
        id = "touch"
        call = "frail.touch"
        with = { path = "${inputs.path}" }
        """.replace("{ path =", f'{{ file = "{system.folder}/killed", value =')
        + f"retry = {retry}\n"
    )
    for number in range(3):
        (system.folder / f"{number}.txt").write_text("")
    ended = cli("run", "--melody", "melody.toml", "--each", "path=?.txt", "--json")
    runs = ended.document["runs"]
    assert runs["count"] == 3
    if retry:
        assert ended.code == 0, ended
        return
    assert ended.code == 1, ended
    assert runs["failed"] >= 1
    error = ended.document["error"]
    assert (error["code"], error["component"]) == ("extension-crashed", "frail")
    assert "SIGKILL" in ended.err
    assert "`1.txt` failed in extension `frail`" in ended.err


def test_a_conductor_that_runs_for_ever_is_interrupted_like_any_other(system, cli):
    (system.folder / "mine.py").write_text(
        "from symphony import Conductor\n\n"
        "class Mine(Conductor):\n"
        "    def run(self, forever=False):\n"
        "        open('begun', 'w').close()\n"
        "        return super().run(forever=True)\n"
    )
    process = cli.start("run", "--conductor", "mine:Mine")
    end = time.monotonic() + 20
    while not (system.folder / "begun").exists() and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "error: interrupted\n")


def test_on_a_terminal_progress_is_drawn_on_stderr_and_wiped(system, cli):
    system.melody(NOTES)
    master, slave = os.openpty()
    arguments = ("--melody", "melody.toml", "--runs", "40", "--input", "value=x")
    process = subprocess.Popen(
        [sys.executable, "-m", "symphony", "run", *arguments, "--input", "file=/dev/null"],
        cwd=system.folder,
        env={**cli.environment, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=slave,
        text=True,
    )
    os.close(slave)
    drawn = b""
    with contextlib.suppress(OSError):  # The terminal's end is an error on Linux.
        while piece := os.read(master, 4096):
            drawn += piece
    os.close(master)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "\x1b" not in out
    assert "40 runs: 40 ok" in out
    assert b"notes" in drawn
    assert b"/40" in drawn


def test_a_trace_that_cannot_be_written_is_refused_before_the_run(system, cli):
    system.melody(NOTES)
    notes = f"file={system.folder / 'notes'}"
    (system.folder / "folder.json").mkdir()
    os.mkfifo(system.folder / "pipe.json")
    for place in ("absent/x.json", "folder.json", "/proc/x.json", "pipe.json"):
        ended = cli(
            "run", "--melody", "melody.toml", "--input", "value=x", "--input", notes,
            "--trace", place,
        )  # fmt: skip
        assert ended.code == 2, ended
        assert f"`{place}` cannot be written: " in ended.err
        assert not (system.folder / "notes").exists()


def test_forever_runs_until_a_signal(system, cli):
    system.melody(NOTES)
    notes = system.folder / "notes"
    process = cli.start(
        "run", "--melody", "melody.toml", "--input", "value=x", "--input", f"file={notes}", "--forever",
    )  # fmt: skip
    end = time.monotonic() + 30
    while not notes.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert notes.exists()
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 143, err
    assert "Traceback" not in err


def test_the_state_the_components_and_the_log_are_arguments(system, cli):
    (system.folder / "parts.py").write_text(
        "from symphony import component\n@component\nclass Part:\n    pass\n"
    )
    ended = cli("run", "--state", "elsewhere", "--components", "parts", "-v", "--json")
    assert ended.code == 0, ended
    assert "Part" in [each["name"] for each in ended.document["components"]]
    assert (system.folder / "elsewhere").is_dir()
    assert not (system.folder / ".symphony").exists()
    assert " INFO symphony.boot: " in ended.err
    assert " DEBUG symphony.boot: " in cli("run", "--log-level", "debug").err
