"""The command line's own part: usage, rendering, documents, traces."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import symphony
from symphony._boot.threads import Terminated
from symphony._cli import _errors
from symphony._cli._arguments import build_parser
from symphony._cli._exit import exit_code_of
from symphony._cli._main import _HOMES, main
from symphony._cli._trace import write_trace
from symphony._core import plan_error
from symphony.batch import Tally
from symphony.exceptions import BootError, Diagnostic, SymphonyError


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["call", "no-operation"],
        ["run", "--input", "novalue"],
        ["run", "--runs", "0"],
        ["run", "--trace", "x.txt"],
        ["graph", "--format", "png"],
    ],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--runs", "3"], "need `--melody`"),
        (["--melody", "m", "--input", "a=1", "--each", "a=*.py"], "input `a` is given twice"),
    ],
)
def test_arguments_that_contradict_each_other_exit_with_2(arguments, text, capsys):
    assert main(["run", *arguments]) == 2
    assert text in capsys.readouterr().err


def test_a_glob_that_matches_nothing_is_an_error_and_json_is_one_document(capsys):
    assert main(["run", "--json", "--melody", "m.toml", "--each", "path=/no/such/*.py"]) == 1
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["ok"] is False
    assert document["error"]["message"] == "`--each path=/no/such/*.py` matches no file"
    assert document["runs"] == {"count": 0, "ok": 0, "failed": 0, "seconds": 0.0, "per_second": 0.0}
    assert set(document) == {
        "schema",
        "ok",
        "state",
        "system",
        "ready_seconds",
        "since_launch_seconds",
        "overhead_seconds",
        "infrastructure_seconds",
        "memory_mb",
        "phases",
        "components",
        "critical_path",
        "budget_violations",
        "safe_mode",
        "error",
        "savings",
        "spans",
        "runs",
        "results",
    }
    assert err == (
        "error: `--each path=/no/such/*.py` matches no file\n"
        "  = invalid-value: docs/errors.md#invalid-value\n"
    )


def test_check_of_a_path_that_is_not_there_is_usage(capsys):
    assert main(["check", "--json", "/no/such/folder"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert document["diagnostics"][0]["message"] == "no such file or folder: `/no/such/folder`"


def test_without_a_command_the_help_is_printed(capsys):
    assert main([]) == 0
    assert "COMMAND" in capsys.readouterr().out


def version_of_the_workspace() -> str:
    manifest = (Path(__file__).parents[2] / "Cargo.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "(.+)"$', manifest, re.MULTILINE)
    assert found
    return found[1]


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"symphony {version_of_the_workspace()}\n"
    assert symphony.__version__ == version_of_the_workspace()


def test_an_error_prints_its_causes_then_its_hints():
    error = BootError(
        "phase `pit` failed",
        component="artifact-store",
        phase="pit",
        hints=["free some space"],
        rollback_errors=[SymphonyError("`pool-manager` did not stop")],
    )
    error.__cause__ = OSError("disk full")
    assert _errors.render(error) == (
        "error: phase `pit` failed\n"
        "  Caused by: OSError: disk full\n"
        "  While rolling back: `pool-manager` did not stop\n"
        "\n"
        "hint: free some space\n"
        "  = start-failed: docs/errors.md#start-failed"
    )
    assert _errors.as_document(error) == {
        "code": "start-failed",
        "message": "phase `pit` failed",
        "phase": "pit",
        "component": "artifact-store",
        "causes": ["OSError: disk full"],
        "hints": ["free some space"],
    }


def test_a_plan_error_prints_every_fault(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = plan_error(
        [
            Diagnostic("missing-dependency", "`A` needs `B`", file=f"{tmp_path}/a.py", line=3),
            Diagnostic("duplicate-component", "`C` stands twice", hint="take one out"),
        ],
    )
    assert _errors.render(error) == (
        "error: `A` needs `B`\n  a.py:3\n\nerror: `C` stands twice\nhint: take one out\n\n"
        "  = missing-dependency: docs/errors.md#missing-dependency\n"
        "  = duplicate-component: docs/errors.md#duplicate-component"
    )


REPORT = {
    **_errors.empty_report(),
    "ok": True,
    "system": "ide <1>",
    "ready_seconds": 0.05,
    "phases": [
        {"name": name, "status": "ready", "seconds": 0.02, "budget_seconds": None}
        for name in ("foundation", "pit")
    ],
    "critical_path": ["supervisor"],
    "spans": [],
    "components": [
        {
            "name": "supervisor",
            "phase": "foundation",
            "status": "ready",
            "started_at": 0.001,
            "seconds": 0.02,
            "requires": [],
        },
        {
            "name": "never",
            "phase": "pit",
            "status": "skipped",
            "started_at": None,
            "seconds": 0.0,
            "requires": ["supervisor"],
        },
    ],
}


def test_a_trace_has_every_component_that_began_and_runs_that_do_not_overlap(tmp_path):
    tally = Tally()
    tally.spans = [("a", 0.0, 1.0, True), ("b", 0.5, 1.5, False), ("c", 1.2, 1.3, True)]
    path = tmp_path / "x.json"
    write_trace(str(path), REPORT, tally)
    events = [e for e in json.loads(path.read_text())["traceEvents"] if e["ph"] == "X"]
    assert [event["name"] for event in events] == ["supervisor", "a", "b", "c"]
    tracks = {event["name"]: event["tid"] for event in events}
    assert tracks["a"] == tracks["c"] != tracks["b"]
    assert events[0]["ts"] == pytest.approx(1000.0)


def test_a_page_escapes_names_and_marks_the_critical_path(tmp_path):
    path = tmp_path / "x.html"
    write_trace(str(path), REPORT, Tally())
    page = path.read_text()
    assert "ide &lt;1&gt;" in page
    assert 'class="row critical"' in page
    # What never began is in the tables, and has no bar.
    assert 'aria-label="supervisor: ready' in page
    assert 'aria-label="never' not in page


def test_failures_of_runs_are_told_with_causes_hints_and_codes_each_once():
    tally = Tally()
    for number in (1, 2):
        error = SymphonyError("no room: on `a`", code="no-space", hints=["free some space"])
        error.__cause__ = OSError("the disk is full")
        tally.failures.append((f"run {number}", error))
    assert _errors.render_failures(tally) == (
        "error: `run 1` failed: no room: on `a`\n"
        "  Caused by: OSError: the disk is full\n"
        "error: `run 2` failed: no room: on `a`\n"
        "  Caused by: OSError: the disk is full\n"
        "\n"
        "hint: free some space\n"
        "  = no-space: docs/errors.md#no-space"
    )


def test_help_lists_only_what_there_is():
    text = build_parser().format_help()
    told = re.findall(r"^    ([a-z]+)(?: |$)", text.partition("options:")[0], re.MULTILINE)
    assert sorted(told) == sorted(_HOMES)


def boot_ended_by(cause):
    error = BootError("the boot was interrupted", code="interrupted")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (Terminated(143), 143, "error: terminated"),
        (boot_ended_by(KeyboardInterrupt()), 130, "error: the boot was interrupted"),
        (boot_ended_by(Terminated(143)), 143, "error: the boot was interrupted"),
        (BootError("no"), 1, "error: no"),
    ],
)
def test_a_signal_has_its_own_exit_code_whatever_it_ended(error, code, text):
    assert exit_code_of(error) == code
    assert _errors.render(error).splitlines()[0] == text
    document = _errors.as_document(error)
    assert (document["code"] == "interrupted") == (code > 1)
