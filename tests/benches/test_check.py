"""`make bench-check`: what counts as worse, what is measured again, and what is said."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from workshop import ROOT

FOLDER = ROOT / "benches" / "python"


@pytest.fixture
def bench(monkeypatch):
    """The modules of the benchmarks, which are scripts and no package."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import check
    import report

    yield check, report
    for name in ("check", "report"):
        sys.modules.pop(name)


def group(report, *tries):
    """A group of rows whose ratios differ from measurement to measurement; also how often it was measured."""
    taken = []

    def measure():
        ratios = tries[min(len(taken), len(tries) - 1)]
        taken.append(ratios)
        return [report.Row(key, f"the {key}", "1 ms", ratio=ratio) for key, ratio in ratios.items()]

    return measure, taken


TABLE = {"a": ("the a", 1.0), "b": ("the b", 0.4)}


@pytest.mark.parametrize(
    ("measured", "worse"),
    [
        ({"a": 1.0, "b": 0.4}, []),
        ({"a": 0.2, "b": 0.1}, []),
        ({"a": 1.1499, "b": 0.4599}, []),
        ({"a": 1.16, "b": 0.4}, ["a"]),
        ({"a": 1.16, "b": 0.47}, ["a", "b"]),
        ({"a": 1.0}, ["b"]),
    ],
)
def test_more_than_15_percent_is_worse_and_what_is_not_measured_is_told(bench, measured, worse):
    check, report = bench
    measure, _ = group(report, measured)
    findings = check.check(TABLE, {"all": measure}, say=lambda _text: None)
    assert [finding.key for finding in findings] == worse


def test_what_looks_worse_is_measured_again_three_times_and_no_more(bench):
    check, report = bench
    measure, taken = group(report, {"a": 2.0})
    other, once = group(report, {"b": 0.4})
    said = []
    (finding,) = check.check(TABLE, {"slow": measure, "fine": other}, say=said.append)
    assert (len(taken), len(once)) == (4, 1)
    assert (finding.key, finding.committed, finding.measured) == ("a", 1.0, 2.0)
    assert said == [
        "slow: measured",
        "slow: looks worse, measured again (1 of 3)",
        "slow: looks worse, measured again (2 of 3)",
        "slow: looks worse, measured again (3 of 3)",
        "fine: measured",
    ]


def test_one_good_try_is_enough_and_each_row_has_its_own(bench):
    check, report = bench
    # Each try is bad in another row; both were good once.
    measure, taken = group(report, {"a": 9.0, "b": 0.4}, {"a": 1.1, "b": 9.0})
    assert check.check(TABLE, {"all": measure}, say=lambda _text: None) == []
    assert len(taken) == 2


def test_the_findings_are_a_table_and_a_row_that_is_new_fails_nothing(bench):
    check, report = bench
    measure, _ = group(report, {"a": 1.5, "new": 3.0})
    said = []
    findings = check.check(TABLE, {"all": measure}, say=said.append)
    assert check.findings_table(findings).splitlines() == [
        "| what | table | measured | worse |",
        "|---|---|---|---|",
        "| the a | 1.00 × | 1.50 × | +50 % |",
        "| the b | 0.40 × | not measured | |",
    ]
    assert said[-1] == "`new` is not in the table yet: `make bench` writes it"


def test_rows_of_an_interpreter_that_is_not_here_fail_nothing(bench):
    check, report = bench
    table = {"a-3.11": ("the a", 1.0), "b-3.11": ("the b", 1.0), "a-3.12": ("the a", 1.0)}
    measure, _ = group(report, {"a-3.11": 1.0})
    said = []
    findings = check.check(table, {"both": measure}, said.append)
    assert [finding.key for finding in findings] == ["b-3.11"]
    assert said[-1] == "`a-3.12` is left out: that interpreter is not built for here"


def test_the_table_is_read_as_it_was_written(bench, tmp_path):
    check, report = bench
    rows = [
        report.Row("a", "the a", "2 ms", "1 ms", 2.0, "≤ 3"),
        report.Row("plain", "no ratio", "3 ms"),
    ]
    path = tmp_path / "table.json"
    check.write_table(path, rows, "a machine")
    assert check.read_ratios(path) == {"a": ("the a", 2.0)}
    assert json.loads(path.read_text())["machine"] == "a machine"


def test_the_committed_table_is_the_pages_and_its_headlines_are_the_readmes(bench):
    check, report = bench
    table = json.loads((ROOT / "benches" / "table.json").read_text())
    readme = (ROOT / "README.md").read_text()
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    for row in table["rows"]:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f} ×"
        line = f"| {row['what']} | {row['ours']} | {row['peer']} | {ratio} | {row['target']} |"
        assert line in page, line
        assert row["key"] not in report.HEADLINES or line in readme, line
    assert table["machine"] in readme
    assert table["machine"] in page
    wanted = {"plan-50", "plan-10000", "overhead", "ready", "ready-torch", "memory"}
    assert wanted <= {row["key"] for row in table["rows"]}
    assert len(check.read_ratios(ROOT / "benches" / "table.json")) >= 8


@pytest.mark.parametrize(("measured", "code"), [(1.1, 0), (1.2, 1)])
def test_the_script_exits_with_1_where_a_ratio_is_worse(measured, code):
    source = f"""
import sys
sys.path[:0] = [{str(ROOT / "benches")!r}, {str(FOLDER)!r}]
import side_by_side
from report import Row
side_by_side.read_ratios = lambda _path: {{"a": ("the a", 1.0)}}
side_by_side.groups = lambda *_: {{"one": lambda: [Row("a", "the a", "1 ms", ratio={measured})]}}
sys.exit(side_by_side.main())
"""
    done = subprocess.run(
        [sys.executable, "-c", source, "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert ("| the a | 1.00 × | 1.20 × | +20 % |" in done.stdout) == bool(code)
