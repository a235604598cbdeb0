"""`symphony run --baseline`: what became slower, faster, new and gone, and how a bad file is refused."""

from __future__ import annotations

import json
import re

import pytest

ECHO = '"""An extension."""\n@extension.operation\ndef echo(value):\n    return value\n'
EAGER = 'activation = "eager"\n'


@pytest.fixture
def report(workshop, cli):
    """Boots once and writes the report; gives a function that changes it."""
    workshop.extension("echo", ECHO, EAGER)
    document = cli("run", "--json").document
    path = workshop.folder / "base.json"

    def change(**figures):
        for name, seconds in figures.items():
            for entry in [*document["components"], *document["phases"]]:
                if entry["name"] == name:
                    entry["seconds"] = seconds
            if f"{name}_seconds" in document:
                document[f"{name}_seconds"] = seconds
        path.write_text(json.dumps(document, indent=2))
        return document

    change()
    return change


def slow(report):
    """A baseline in which everything took far longer, so that nothing is slower now."""
    document = report()
    names = [entry["name"] for entry in [*document["components"], *document["phases"]]]
    return report(**dict.fromkeys(names, 1000.0), ready=1000.0, overhead=1000.0)


@pytest.mark.parametrize("strict", [False, True])
def test_what_is_slower_is_told_with_both_figures_and_with_strict_fails(report, cli, strict):
    slow(report)
    report(echo=0.000_001, orchestra_kit=0.000_001)
    flags = ["--strict"] if strict else []
    ended = cli("run", "--baseline", "base.json", *flags)
    assert ended.code == (1 if strict else 0), ended
    word = "error" if strict else "warning"
    figures = r"[\d.]+ m?s instead of 1 µs \(\+[\d.]+ m?s, \d+\.\d\d ×\)"
    for subject in ("phase `orchestra_kit`", "component `echo`"):
        line = rf"^{word}: {subject} is slower than in `base.json`: {figures}$"
        assert re.search(line, ended.err, re.MULTILINE), ended.err
    assert len(ended.err.splitlines()) == 2, ended.err
    assert re.search(
        r"^compared with `base.json`: 2 slower, \d+ faster, 0 new, 0 gone$", ended.out, re.MULTILINE
    )


def test_the_document_has_the_comparison(report, cli, keys):
    document = slow(report)
    report(echo=0.000_001)
    for entry in document["components"]:
        if entry["name"] == "stale-manager":
            entry["name"] = "of-old"
    report()
    ended = cli("run", "--baseline", "base.json", "--json", "--strict")
    assert ended.code == 1, ended
    assert set(ended.document) == keys["report"] | {"runs", "results", "baseline"}
    assert ended.document["ok"] is False
    baseline = ended.document["baseline"]
    assert set(baseline) == {"file", "slower", "faster", "new", "gone", "noise"}
    assert baseline["file"] == "base.json"
    assert (baseline["new"], baseline["gone"]) == (["stale-manager"], ["of-old"])
    assert baseline["noise"] == {"seconds": 0.001, "share": 0.15}
    (change,) = baseline["slower"]
    actual = next(one["seconds"] for one in ended.document["components"] if one["name"] == "echo")
    assert change == {
        "kind": "component",
        "name": "echo",
        "earlier_seconds": 0.000_001,
        "seconds": actual,
        "difference_seconds": pytest.approx(actual - 0.000_001),
        "ratio": pytest.approx(actual / 0.000_001),
    }
    assert {"ready", "foundation", "supervisor"} <= {one["name"] for one in baseline["faster"]}
    assert "note: component `stale-manager` is new\nnote: component `of-old` is gone\n" in ended.err


def test_what_is_not_slower_passes_with_strict(report, cli):
    slow(report)
    ended = cli("run", "--baseline", "base.json", "--strict")
    assert (ended.code, ended.err) == (0, ""), ended
    assert "0 slower" in ended.out


def test_without_the_flag_there_is_no_such_key_and_after_a_failed_boot_nothing_in_it(
    report, workshop, cli
):
    assert "baseline" not in cli("run", "--json").document
    workshop.extension("echo", "raise ValueError(1)\n", EAGER)
    ended = cli("run", "--baseline", "base.json", "--json")
    assert ended.code == 1
    assert ended.document["baseline"] is None


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        (None, "", "cannot read the baseline `base.json`: No such file or directory"),
        (b"\xff\xfe", "", "the baseline `base.json` is not a text in UTF-8"),
        (b"", "base.json:1", "it is not a report of a boot: "),
        (b'{\n  "schema": 1,\n  "ready_seconds": oops\n}', "base.json:3:20: ", "expected value"),
        (b'{\n  "schema": 1}', "base.json:2:14: ", "missing field"),
        (b'{"schema": 1, "ready_seconds": "soon"}', "base.json:1:37: ", "invalid type: string"),
        (b"[1, 2]", "base.json:1:", "it is not a report of a boot"),
    ],
    ids=["absent", "not text", "empty", "not JSON", "not a report", "a wrong type", "a list"],
)
def test_a_bad_file_is_a_wrong_call_and_nothing_is_booted(
    workshop, cli, form, error_document, text, place, reason
):
    if text is not None:
        (workshop.folder / "base.json").write_bytes(text)
    ended = cli("run", "--baseline", "base.json")
    assert (ended.code, ended.out) == (2, ""), ended
    form(ended.err)
    assert ended.err.startswith("error: " + place), ended.err
    assert reason in ended.err
    document = cli("run", "--baseline", "base.json", "--json").document
    error_document(document)
    assert reason in document["error"]["message"]
    assert not (workshop.folder / ".symphony").exists()


def test_the_report_of_a_boot_that_failed_is_no_baseline(workshop, cli):
    workshop.extension("echo", "raise ValueError(1)\n", EAGER)
    failed = cli("run", "--json")
    (workshop.folder / "base.json").write_text(failed.out)
    ended = cli("run", "--baseline", "base.json")
    assert ended.code == 2
    assert "it is the report of a boot that was never ready" in ended.err
