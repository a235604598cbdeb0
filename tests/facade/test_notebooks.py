"""What notebooks show: self-contained fragments that change nothing around them and hold any name."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import symphony
from parsed_pages import HOSTILE, Page
from symphony import Health, SwapReport, boot
from symphony._core import CallCounts, ExperimentReport, Holder
from symphony._pictures.page_style import SCOPE, STYLE, fragment_style

SAFE = {"href", "src", "action", "srcset", "formaction", "data"}


def read(shown):
    """The fragment of an object, which asks for nothing, runs nothing and is one element."""
    text = shown._repr_html_()
    page = Page(text)
    assert text.startswith(f'<div class="{SCOPE[1:]}">')
    for tag, attributes in page.elements:
        assert tag not in ("script", "iframe", "img", "object", "embed", "base", "form", "link")
        assert not [name for name in attributes if name.startswith("on") or name in SAFE]
    assert "http" not in text
    assert "@import" not in text
    assert not re.search(r"url\((?!#symphony-)", text)
    return page


@pytest.fixture(scope="module")
def system():
    class Hub:
        def health(self):
            return Health.degraded("<b>no index</b>\n  File 'x.py'")

    with boot(components=[Hub]) as running:
        yield running


def test_a_report_is_its_page_without_the_frame(system):
    page = read(system.report)
    report = json.loads(system.report.to_json())
    shown = [float(data["value"]) for data in page.all("data")]
    assert shown[0] == report["ready_seconds"]
    words = " ".join(page.words)
    for text in ("Waterfall", "Component graph", *report["critical_path"]):
        assert text in words
    assert system._repr_html_() == system.report._repr_html_()


def test_health_shows_first_what_is_not_healthy(system):
    health = system.health()
    page = read(health)
    words = [word for word in page.words if word.strip()]
    assert words[0] == "degraded"
    head = words.index("reason")
    names = [word for word in words[head:] if word in health.components]
    assert names[0] == "Hub"
    assert set(names) == set(health.components)
    # The lines of a reason stay lines.
    assert any("<b>no index</b>\n" in word for word in words)
    assert read(Health.unhealthy("gone")).words[:2] == ["unhealthy", "gone"]


def test_a_swap_shows_who_was_reached_and_who_holds_the_old_one(system):
    report = SwapReport("Store", "Old", "New", [("Planner", "store")], 2)
    words = " ".join(read(report).words)
    for text in ("Store", "Old → New", "Planner", "store", "handles", "nobody holds the old one"):
        assert text in words
    report.drained = False
    report.stop_error = ValueError("<u>no</u>")
    words = " ".join(read(report).words)
    assert "the old one is left running" in words
    assert "ValueError: <u>no</u>" in words


@pytest.mark.parametrize("at", range(len(HOSTILE)))
def test_no_name_breaks_out(at):
    name = HOSTILE[at]
    # Rust keeps no surrogates: they are replaced on the way in.
    name = name.encode("utf-8", "replace").decode()
    swap = SwapReport(name, name, name, [(name, name)], 1)
    shown = [Health.degraded(name), swap, ExperimentReport(name, [(name, 0.5, CallCounts())])]
    for one in shown:
        page = read(one)
        assert page.all("div")[0] == {"class": SCOPE[1:]}
        assert len(page.all("style")) == 1
    assert "<b>" not in "".join(read(swap).text.split("</style>")[1:])


def test_a_holder_is_shown_with_its_edit():
    from symphony._pictures.notebook import swap_fragment

    class Report:
        component, old, new, handles, seconds = "Store", "Old", "New", 0, 0.1
        drained, stop_error, notes, rewritten = False, None, ("a <note>",), ()
        holders = (Holder("app.py:7", "a <closure>", "store: Handle[Store]"),)

    page = Page(swap_fragment(Report()))
    for text in ("app.py:7", "a <closure>", "store: Handle[Store]", "a <note>"):
        assert text in page.words


def test_the_style_reaches_nothing_else():
    style = fragment_style()
    assert style.count("{") == style.count("}")
    rules = re.findall(r"([^{}@]+)\{[^{}]*\}", re.sub(r"@media[^{]+\{", "{", style))
    assert len(rules) > 60
    for rule in rules:
        for selector in rule.split(","):
            assert SCOPE in selector, rule
    # All of the page's rules are there, and those of a notebook that says whether it is dark.
    assert style.count("{") > STYLE.count("{")
    for word in ("prefers-color-scheme:dark", "data-jp-theme-light=false", "vscode-light"):
        assert word in style


def test_nothing_is_imported_before_a_notebook_asks():
    text = (
        "import sys, symphony\nhealth = symphony.Health()\n"
        "assert not [m for m in sys.modules if m.startswith('symphony._pictures')]\n"
        "assert 'healthy' in health._repr_html_()\nassert 'symphony._pictures.notebook' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", text], check=True, timeout=60)
    assert symphony.Health


def test_a_star_import_gives_every_public_name():
    names: dict[str, object] = {}
    exec("from symphony import *", names)
    assert {"boot", "Conductor", "System", "MissingDependencyError"} <= set(names)
    public = {name for name in dir(symphony) if not name.startswith("_")}
    assert public == set(names) - {"__builtins__"}
