"""The Pit's rows of `make bench`: whom ours are set against, and that the measurements run."""

from __future__ import annotations

import sys

import pytest
from workshop import ROOT

MODULES = ("pit", "measure", "report", "check")


@pytest.fixture
def pit(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benches" / "python"))
    import pit

    yield pit
    for name in MODULES:
        sys.modules.pop(name, None)


def spans_of(pit, **contenders):
    spans = pit.Spans()
    for name, rounds in contenders.items():
        for one in rounds:
            spans.add(name, one)
    return spans


def test_a_row_is_against_the_fastest_and_names_the_others(pit):
    spans = spans_of(
        pit,
        ours=[[2e-6, 2e-6, 9e-6], [4e-6]],
        slow=[[8e-6], [16e-6]],
        fast=[[1e-6], [2e-6]],
    )
    row = spans.row("key", "what", "target")
    assert (row.ours, row.peer) == ("3.0 µs", "fast 1.5 µs")
    # Round for round: what slows a round down slows everybody in it.
    assert row.ratio == pytest.approx(2.0)
    assert row.what == "what (slow 12.0 µs: 0.25 ×)"


def test_the_slowest_hundredth_is_told_where_there_are_enough(pit):
    spans = spans_of(pit, ours=[[1e-6] * 197 + [5e-6] * 3], peer=[[1e-6]])
    assert spans.row("key", "what", "target").ours == "1.0 µs, p99 5.0"


@pytest.mark.timeout(240)
def test_the_measurements_run_and_keep_what_they_measure(pit):
    keys = [row.key for row in (*pit.pools(1), *pit.million(2000, 1))]
    assert keys == [
        "pool-lease",
        "million-put",
        "million-open",
        "million-find",
        "million-sweep",
        "million-memory",
    ]


def test_contents_that_come_back_different_are_told(pit, monkeypatch, tmp_path):
    kept = pit.Files(tmp_path)
    assert kept.get(kept.put(b"content")) == b"content"
    monkeypatch.setattr(pit, "contenders", lambda *_: {"ours": kept, "liar": Liar()})
    with pytest.raises(SystemExit, match="liar gave back something else"):
        pit.stores(0)


class Liar:
    def put(self, data):
        return data

    def get(self, _name):
        return b""
