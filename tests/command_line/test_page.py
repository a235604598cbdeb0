"""`symphony run --trace x.html`: one page that needs nothing else, with the report's own figures."""

from __future__ import annotations

import json
import os
import re

import pytest
from parsed_pages import HOSTILE, Page
from symphony._pictures.page import beside_imports, boot_page

ECHO = """
@extension.operation
def echo(value):
    return value

@extension.operation
def refuse(value):
    raise ValueError(f"no <i>{value}</i>")
"""
EAGER = 'activation = "eager"\n'
MELODY = """
[melody]
name = "review"
inputs = ["x"]
[[node]]
id = "first"
call = "one.echo"
with = { value = "${inputs.x}" }
[[node]]
id = "second"
call = "two.echo"
with = { value = "${first}" }
[[node]]
id = "third"
call = "two.refuse"
with = { value = "${second}" }
on_error = "skip"
"""


def read(path):
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    check_alone(page)
    return page


def check_alone(page):
    """It asks for nothing, and nothing in it runs."""
    assert page.text.startswith("<!doctype html>")
    for tag, attributes in page.elements:
        assert tag not in ("iframe", "img", "object", "embed", "base", "form", "foreignobject")
        assert not [name for name in attributes if name.startswith("on")], attributes
        assert "src" not in attributes
        assert attributes.get("href", "data:,") == "data:,"
        if tag == "script":
            assert attributes == {"type": "application/json", "id": "symphony-data"}
    assert len(page.all("script")) == 1
    assert "http" not in page.text
    assert "@import" not in page.text
    assert not re.search(r"url\((?!#symphony-)", page.text)
    assert page.all("meta")[1]["content"].startswith("width=device-width")
    for feature in ("prefers-color-scheme:dark", "media print", "max-width:640px"):
        assert feature in page.text
    # What is drawn is told: each lane, and each picture.
    for lane in page.all("span", "lane"):
        assert lane["role"] == "img"
        assert lane["aria-label"]


def places_of(page, kind):
    """Left and width, in percent, of the bars of a kind, by the title before the colon."""
    found = []
    for bar in page.all("span", "bar"):
        if kind in bar["class"].split():
            left, width = re.fullmatch(r"left:(.+)%;width:(.+)%", bar["style"]).groups()
            found.append((bar["title"].partition(":")[0], float(left), float(width)))
    return found


@pytest.fixture
def system(workshop):
    workshop.system('[system.budgets]\nready = "1ms"\n[system.phases.pit]\nbudget = "10s"\n')
    workshop.extension("one", ECHO, EAGER)
    workshop.extension("two", ECHO)
    workshop.melody(MELODY)
    (workshop.folder / "brain.py").write_text(
        "import time\nfrom symphony import Conductor, OrchestraKit\ntime.sleep(0.3)\n"
        "def make(kit: OrchestraKit) -> Conductor:\n    return Conductor(kit)\n"
    )
    return workshop


@pytest.fixture
def pictured(system, cli):
    """A page, and the document that the same command printed."""
    arguments = ("--melody", "melody.toml", "--input", "x=1", "--runs", "3", "--json")
    ended = cli("run", "--conductor", "brain:make", *arguments, "--trace", "x.html")
    assert ended.code == 0, ended
    return read(system.folder / "x.html"), ended.document


def test_its_figures_are_the_reports(pictured):
    page, document = pictured
    runs, results = document.pop("runs"), document.pop("results")
    held = page.document
    assert held["report"] == document
    assert held["runs"]["summary"] == runs
    assert held["runs"]["results"] == results
    # What people read stands on the same figures.
    shown = [float(data["value"]) for data in page.all("data")]
    keys = ("ready", "since_launch", "overhead", "infrastructure")
    wanted = [document[f"{key}_seconds"] for key in keys] + [document["memory_mb"]]
    for phase in document["phases"]:
        wanted += [phase["seconds"], phase["budget_seconds"]]
    for entry in document["components"]:
        wanted += [entry["started_at"], entry["seconds"]]
    assert shown == [figure for figure in wanted if figure is not None]
    words = " ".join(page.words)
    for name in document["critical_path"]:
        assert name in words
    (violation,) = document["budget_violations"]
    assert violation["name"] == "ready"
    assert "Budgets that were exceeded" in words


def test_its_bars_lie_where_the_report_says(pictured):
    page, document = pictured
    begun = [entry for entry in document["components"] if entry["started_at"] is not None]
    bars = {name: (left, width) for name, left, width in places_of(page, "whole")}
    longest = max(begun, key=lambda entry: entry["seconds"])
    scale = bars[longest["name"]][1] / longest["seconds"]
    for entry in begun:
        left, width = bars[entry["name"]]
        assert left == pytest.approx(entry["started_at"] * scale, abs=0.01)
        assert width == pytest.approx(entry["seconds"] * scale, abs=0.01)
    phases = {name: width for name, _, width in places_of(page, "phase")}
    for phase in document["phases"]:
        width = phases[f"phase {phase['name']}"]
        assert width == pytest.approx(phase["seconds"] * scale, abs=0.01)
    # The steps of the extension's own process lie inside its start.
    left, width = bars["one"]
    steps = [place for name, *place in places_of(page, "step") if name in ("import", "handshake")]
    assert [left <= at and at + long <= left + width + 0.01 for at, long in steps].count(True) >= 2


def test_runs_stand_by_lane_node_by_node(pictured):
    page, document = pictured
    ended = max(end for _, _, end, _ in page.document["runs"]["spans"])
    bars = places_of(page, "whole")
    runs = {name: (left, left + width) for name, left, width in bars if name.startswith("run ")}
    assert len(runs) == document["runs"]["count"] == 3
    for name, began, end, _ in page.document["runs"]["spans"]:
        assert runs[name][0] == pytest.approx(100 * began / ended, abs=0.01)
        assert runs[name][1] == pytest.approx(100 * end / ended, abs=0.01)
    nodes = [bar for bar in bars if " calls " in bar[0]]
    assert len(nodes) == 9
    firsts, seconds = ([b for b in nodes if b[0].startswith(n)] for n in ("first ", "second "))
    for first, second in zip(firsts, seconds):
        # The second uses what the first made.
        assert second[1] >= first[1] + first[2] - 0.01
    for _, left, width in nodes:
        assert any(
            begin - 0.01 <= left and left + width <= end + 0.01 for begin, end in runs.values()
        )


def test_it_tells_what_ran_beside_the_import(pictured):
    page, document = pictured
    (entry,) = [one for one in document["components"] if one["name"] == "import brain"]
    words = " ".join(page.words)
    assert "Beside the import" in words
    assert entry["seconds"] >= 0.3
    report = {
        "components": [
            {"name": "import torch", "started_at": 1.0, "seconds": 2.0},
            {"name": "before", "started_at": 0.0, "seconds": 0.5},
            {"name": "across", "started_at": 0.5, "seconds": 1.0},
            {"name": "inside", "started_at": 1.25, "seconds": 0.5},
            {"name": "late", "started_at": 2.5, "seconds": 4.0},
            {"name": "never", "started_at": None, "seconds": 0.0},
        ]
    }
    told = beside_imports(report)
    assert "3 starts beside it" in told
    assert "During 1.25 s of it" in told or "During 1.2 s of it" in told or "During 1.3 s" in told
    assert "before" not in told


def test_a_failed_boot_has_its_page_with_cause_and_rollback(workshop, cli):
    workshop.extension("one", ECHO, EAGER)
    workshop.extension(
        "two", "raise ValueError('no <b>licence</b>')\n", EAGER + 'requires = ["one"]\n'
    )
    ended = cli("run", "--trace", "x.html", "--json")
    assert ended.code == 1
    page = read(workshop.folder / "x.html")
    words = " ".join(page.words)
    assert page.document["report"]["error"] == ended.document["error"]
    for text in (ended.document["error"]["message"], "no <b>licence</b>", "It was never ready"):
        assert text in words
    assert "<h2>rollback</h2>" in page.text
    assert {name for name, _, _ in places_of(page, "stop")} >= {"one", "orchestra-kit", "state"}


@pytest.mark.parametrize("name", ["x.html", "x.json"])
def test_a_plan_at_fault_has_its_page_too(workshop, cli, name):
    workshop.system('components = ["parts"]\n')
    (workshop.folder / "parts.py").write_text(
        "from symphony import component\n"
        '@component\nclass A:\n    def __init__(self, b: "B"): ...\n'
        "@component\nclass B:\n    def __init__(self, a: A): ...\n"
    )
    assert cli("run", "--trace", name).code == 1
    if name.endswith(".json"):
        assert json.loads((workshop.folder / name).read_text())["traceEvents"]
        return
    words = " ".join(read(workshop.folder / name).words)
    for text in ("dependency-cycle", "parts.py:4", "parts.py:7", "hint: declare"):
        assert text in words


def test_a_run_that_failed_is_told_with_its_traceback(system, cli):
    system.melody(MELODY.replace('on_error = "skip"\n', ""))
    assert cli("run", "--melody", "melody.toml", "--input", "x=<u>", "--trace", "x.html").code == 1
    page = read(system.folder / "x.html")
    words = " ".join(page.words)
    assert "Runs that failed" in words
    assert "no <i><u></i>" in words
    assert "in refuse" in words


def test_it_is_written_whole_or_not_at_all(system, cli):
    target = system.folder / "kept.html"
    target.write_text("earlier")
    link = system.folder / "x.html"
    link.symlink_to(target)
    assert cli("run", "--trace", "x.html").code == 0
    assert link.is_symlink()
    assert target.read_text().startswith("<!doctype html>")
    assert [name for name in os.listdir(system.folder) if "part" in name] == []


def hostile_report():
    entries = [
        {
            "name": name,
            "phase": "conductor",
            "status": "failed",
            "started_at": 0.1 * at,
            "seconds": 0.1,
            "requires": HOSTILE[:at],
            "reason": name,
        }
        for at, name in enumerate(HOSTILE)
    ]
    error = {
        "code": HOSTILE[0],
        "message": HOSTILE[0],
        "phase": HOSTILE[1],
        "component": HOSTILE[2],
    }
    error |= {"causes": HOSTILE, "hints": HOSTILE, "traceback": HOSTILE[3], "stderr": HOSTILE}
    spans = [
        {"name": name, "component": one, "phase": None, "pid": 1, "started_at": 0.0, "seconds": 0.1}
        for one in HOSTILE
        for name in ("stop", one)
    ]
    report = {
        **dict.fromkeys(("ready_seconds", "since_launch_seconds", "infrastructure_seconds")),
        "schema": 1,
        "ok": False,
        "system": HOSTILE[0],
        "overhead_seconds": 0.0,
        "memory_mb": 0.0,
        "phases": [
            {"name": "conductor", "status": "failed", "seconds": 1.0, "budget_seconds": 0.5}
        ],
        "components": entries,
        "critical_path": HOSTILE,
        "spans": spans,
        "error": error,
        "savings": [{"name": name, "seconds": 0.1} for name in HOSTILE],
        "budget_violations": [{"name": name, "limit": 1.0, "actual": 2.0} for name in HOSTILE[:5]],
    }
    nodes = [
        {
            "id": name,
            "call": name,
            "state": "failed",
            "seconds": 0.1,
            "attempts": 2,
            "error": error,
        }
        for name in HOSTILE
    ]
    runs = {
        "summary": {"count": 8, "ok": 4, "failed": 4, "seconds": 1.0, "per_second": 8.0},
        "spans": [(name, 0.0, 0.5, at % 2 == 0) for at, name in enumerate(HOSTILE)],
        "results": [
            {"name": name, "state": "failed", "seconds": 0.5, "nodes": nodes, "error": error}
            for name in HOSTILE
        ],
        "melody": None,
    }
    return report, runs


def test_no_name_breaks_out_of_the_page():
    report, runs = hostile_report()
    faults = [
        {"code": name, "severity": name, "message": name, "hint": name, "text": f"error: {name}"}
        for name in HOSTILE
    ]
    text = boot_page(report, runs, faults)
    text.encode()
    page = Page(text)
    check_alone(page)
    assert page.document["report"]["system"] == HOSTILE[0]
    assert page.document["runs"]["results"][0]["error"]["causes"][:5] == HOSTILE[:5]
    tags = {tag for tag, _ in page.elements}
    assert tags <= {
        *("html", "head", "meta", "link", "title", "style", "body", "main", "script", "h1", "h2"),
        *("h3", "p", "ul", "ol", "li", "b", "data", "span", "div", "code", "pre", "details", "i"),
        *("summary", "table", "tr", "th", "td", "caption", "small", "svg", "defs", "marker", "g"),
        *("polygon", "rect", "text", "path"),
    }
    for forbidden in "\0\x1b\u202e":
        assert forbidden not in text


def test_what_is_shown_of_very_many_runs_is_bounded():
    report, runs = hostile_report()
    runs["spans"] = [(f"run {at}", at * 0.001, at * 0.001 + 0.1, at % 7 > 0) for at in range(5000)]
    text = boot_page(report, runs)
    drawn = [bar for bar in places_of(Page(text), "whole") if bar[0].startswith("run ")]
    assert 40 <= len(drawn) <= 100
    assert f"{len(drawn)} of them are drawn" in text
