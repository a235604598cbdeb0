"""The review: what it takes from the analyses, and that the same input gives the same document."""

from __future__ import annotations

import json
from typing import Any

import pytest
from complexity import complexity
from docstrings import docstrings
from outline import outline
from pitfalls import pitfalls
from rank import grade_of, project, review


def review_of(path: str, source: str) -> Any:
    return review(
        path,
        source.count("\n"),
        outline=outline(source),
        complexity=complexity(source),
        docstrings=docstrings(source),
        pitfalls=pitfalls(source),
    )


def test_it_names_places_that_exist(standard_sources: dict[str, str]) -> None:
    for path, source in standard_sources.items():
        report = review_of(path, source)
        lines = source.split("\n")
        assert 0 <= report["score"] <= 100
        assert report["grade"] == grade_of(report["score"])
        for entry in report["most_complex"]:
            file, _, line = entry["place"].rpartition(":")
            assert file == path
            assert entry["name"].rpartition(".")[2] in lines[int(line) - 1]
        assert report["findings"]["pitfalls"] == len(pitfalls(source))


def test_absent_analyses_are_named_and_cost_nothing() -> None:
    report: Any = review("a.py", 100)
    assert report["score"] == 100.0
    assert report["grade"] == "A"
    assert len(report["absent"]) == 15
    assert report["documentation"] is None


def test_the_document_is_the_review_and_always_the_same(standard_sources: dict[str, str]) -> None:
    path, source = next(iter(standard_sources.items()))
    one, two = review_of(path, source), review_of(path, source)
    assert one["document"] == two["document"]
    document = json.loads(one.pop("document"))
    assert document == one


@pytest.mark.parametrize(
    "worse",
    [
        {"secrets": [{"rule": "aws-access-key", "line": 3}]},
        {"docstrings": {"parsed": True, "coverage": 0.2}},
        {"complexity": [{"name": "f", "line": 1, "complexity": 30}]},
        {"pitfalls": [{"line": 1, "message": "m"}]},
        {"duplicates": [{"lines": 12}]},
        {"lint": {"count": 4}},
    ],
)
def test_each_fault_lowers_the_score(worse: Any) -> None:
    assert review("a.py", 100, **worse)["score"] < 100


def test_a_file_that_does_not_parse_is_not_called_undocumented() -> None:
    assert review("a.py", 9, docstrings=docstrings("def f(:"))["documentation"] is None


def test_a_projects_advice_begins_with_cycles() -> None:
    report: Any = project(
        "src",
        totals={"functions": 10, "too_complex": 1, "code": 100},
        modules={"cycles": [["a", "b"], ["c", "d", "e"]]},
        hotspots=[{"name": "f", "place": "a.py:3", "complexity": 31}],
    )
    assert report["advice"][0] == "2 import cycles; the largest holds 3 modules"
    assert "`f` at a.py:3" in report["advice"][1]
    assert json.loads(report["document"])["score"] == report["score"] == 74.0


def test_a_project_without_analyses_is_ranked() -> None:
    assert project("src")["grade"] == "A"
