"""`symphony run --trace`: a document that Perfetto opens, with child processes, and a page."""

from __future__ import annotations

import json

import pytest

ECHO = """
@extension.operation
def echo(value):
    return value
"""
WHO = """
from symphony import Conductor

class Who(Conductor):
    def run(self, forever=False):
        import json, os
        kit = self.kit
        numbers = {name: kit.extension(name).pid for name in ("one", "two")}
        numbers["root"] = os.getpid()
        children = open(f"/proc/self/task/{os.getpid()}/children").read().split()
        numbers["supervisor process"] = int(children[0])
        json.dump(numbers, open("numbers.json", "w"))
        return super().run(forever)
"""
EAGER = 'activation = "eager"\n'
CHILD = ["fork", "set-up", "import", "handshake", "ready"]
SLACK = 1.0
"""Microseconds that rounding may cost."""


@pytest.fixture
def traced(workshop, cli):
    """A boot with two eager extensions: its trace, and the numbers of its processes."""
    for name in ("one", "two"):
        workshop.extension(name, ECHO, EAGER)
    (workshop.folder / "who.py").write_text(WHO)
    ended = cli("run", "--conductor", "who:Who", "--trace", "x.json", "--json")
    assert ended.code == 0, ended
    numbers = json.loads((workshop.folder / "numbers.json").read_text())
    return json.loads((workshop.folder / "x.json").read_text()), numbers, ended.document


def check_form(document):
    """What the trace event format asks for: https://ui.perfetto.dev reads it."""
    assert set(document) == {"traceEvents", "displayTimeUnit", "symphony"}
    named = {"process_name": set(), "thread_name": set()}
    for event in document["traceEvents"]:
        assert event["ph"] in ("X", "M")
        assert isinstance(event["name"], str)
        assert event["name"]
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        if event["ph"] == "M":
            assert set(event["args"]) == {"name"}
            named[event["name"]].add((event["pid"], event["tid"]))
            continue
        assert event["ts"] >= 0
        assert event["dur"] >= 0
        assert isinstance(event["args"], dict)
    spans = [event for event in document["traceEvents"] if event["ph"] == "X"]
    assert {(span["pid"], span["tid"]) for span in spans} <= named["thread_name"]
    assert {span["pid"] for span in spans} == {pid for pid, _ in named["process_name"]}
    for track in named["thread_name"]:
        assert_nested([span for span in spans if (span["pid"], span["tid"]) == track])
    return spans


def assert_nested(spans):
    """Spans of one track follow each other or lie inside each other."""
    open_until = []
    for span in sorted(spans, key=lambda span: (span["ts"], -span["dur"])):
        end = span["ts"] + span["dur"]
        while open_until and open_until[-1] <= span["ts"] + SLACK:
            open_until.pop()
        assert not open_until or end <= open_until[-1] + SLACK, span
        open_until.append(end)


def test_children_stand_under_their_own_numbers_inside_their_components(traced):
    document, numbers, report = traced
    spans = check_form(document)
    components = {entry["name"]: entry for entry in report["components"]}
    for name in ("one", "two", "supervisor process"):
        mine = [span for span in spans if span["pid"] == numbers[name]]
        wanted = CHILD if name in ("one", "two") else ["exec", "import", "warm image", "ready"]
        assert [span["name"] for span in mine] == wanted
        begin = components[name]["started_at"] * 1e6
        end = begin + components[name]["seconds"] * 1e6
        at = begin
        for span in mine:
            # One after the other, without a hole, between the order and the word that it is ready.
            assert span["ts"] >= at - SLACK
            at = span["ts"] + span["dur"]
        assert at <= end + SLACK
        # They account for nearly all of the start: the rest is the root's own.
        assert sum(span["dur"] for span in mine) >= 0.5 * (end - begin)
    titles = {
        event["pid"]: event["args"]["name"]
        for event in document["traceEvents"]
        if event["name"] == "process_name"
    }
    assert titles[numbers["root"]] == "symphony test"
    assert titles[numbers["one"]] == "one"


def test_the_root_has_phases_with_gates_and_components(traced):
    document, numbers, report = traced
    spans = {span["name"]: span for span in check_form(document) if span["pid"] == numbers["root"]}
    phases = [f"phase {phase['name']}" for phase in report["phases"]]
    assert {*phases, "gate", "supervisor", "artifact-store", "Who"} <= set(spans)
    for phase in report["phases"]:
        span = spans[f"phase {phase['name']}"]
        assert span["dur"] == pytest.approx(phase["seconds"] * 1e6, abs=SLACK)
        assert span["cat"] == "phases"


def test_a_failed_boot_shows_how_far_it_came_and_its_rollback(workshop, cli):
    workshop.extension("one", ECHO, EAGER)
    workshop.extension("two", "raise ValueError(1)\n", EAGER + 'requires = ["one"]\n')
    assert cli("run", "--trace", "x.json").code == 1
    spans = check_form(json.loads((workshop.folder / "x.json").read_text()))
    by_track = {}
    for span in spans:
        by_track.setdefault(span["cat"].partition(" ")[0], []).append(span)
    assert "supervisor" in {span["name"] for span in by_track["foundation"]}
    (rollback,) = [span for span in by_track["phases"] if span["name"] == "rollback"]
    stopped = {span["name"] for span in by_track["stops"]}
    assert {"one", "orchestra-kit", "supervisor", "state"} <= stopped
    # The process that failed is there for as long as it lived.
    (failed,) = [span for span in by_track["start"] if span["args"]["component"] == "two"]
    (component,) = [span for span in by_track["orchestra_kit"] if span["name"] == "two"]
    assert failed["name"] == "start"
    assert failed["pid"] not in (component["pid"], None)
    assert failed["ts"] >= component["ts"] - SLACK
    for span in by_track["stops"]:
        assert span["ts"] >= rollback["ts"] - SLACK
        assert span["ts"] + span["dur"] <= rollback["ts"] + rollback["dur"] + SLACK


def test_runs_come_after_the_boot(workshop, cli):
    workshop.extension("echo", ECHO)
    workshop.melody(
        '[melody]\nname = "m"\n[[node]]\nid = "a"\ncall = "echo.echo"\nwith = { value = 1 }\n'
    )
    ended = cli("run", "--melody", "melody.toml", "--runs", "3", "--trace", "x.json")
    assert ended.code == 0, ended
    spans = {
        span["name"]: span
        for span in check_form(json.loads((workshop.folder / "x.json").read_text()))
    }
    for number in (1, 2, 3):
        run = spans[f"run {number}"]
        assert run["ts"] >= spans["Conductor"]["ts"] + spans["Conductor"]["dur"] - SLACK


def test_the_page_needs_nothing_else_and_shows_the_children(workshop, cli):
    workshop.extension("one", ECHO, EAGER)
    assert cli("run", "--trace", "x.html").code == 0
    page = (workshop.folder / "x.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "http" not in page
    for text in ("artifact-store", "orchestra_kit", ">import (", ">handshake ("):
        assert text in page, text
    workshop.extension("two", "raise ValueError(1)\n", EAGER)
    assert cli("run", "--trace", "x.html").code == 1
    page = (workshop.folder / "x.html").read_text()
    assert "<h2>rollback</h2>" in page
