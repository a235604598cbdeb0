"""The naming rules, case by case."""

from __future__ import annotations

import pytest
from naming import naming


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        ("class lower: pass", ["N801"]),
        ("class _Private: pass\nclass HTTPServer: pass", []),
        ("def CamelCase(): pass", ["N802"]),
        ("def mixedCase(): pass", ["N802"]),
        ("def fine_name2(): pass\ndef _(): pass\ndef __(): pass", []),
        ("class A:\n  def visit_Name(self): pass\n  def setUp(self): pass", []),
        ("def f(badName, *, otherBad=1): pass", ["N803", "N803"]),
        ("class A:\n  @classmethod\n  def f(self): pass", ["N804"]),
        ("class A:\n  def f(this): pass", ["N805"]),
        ("class A:\n  @staticmethod\n  def f(this): pass", []),
        ("class A:\n  def __eq__(self, other): pass", []),
        ("def __odd__(): pass", ["N807"]),
        ("def __getattr__(name): pass", []),
        ("from m import LIMIT as limit", ["N811"]),
        ("from m import LIMIT as TOP", []),
        ("l = 1\nfor O in x: pass", ["E741", "E741"]),
        ("def f(l): pass", ["E741"]),
        ("größe = 1\ndef übung(): pass", []),
    ],
)
def test_rules(source: str, codes: list[str]) -> None:
    assert [entry["code"] for entry in naming(source)] == codes


def test_findings_are_where_the_name_is(standard_sources: dict[str, str]) -> None:
    count = 0
    for path, source in standard_sources.items():
        lines = source.split("\n")
        for entry in naming(source):
            count += 1
            line = int(str(entry["line"]))
            # A parameter found with its function may stand some lines below `def`.
            assert str(entry["name"]) in "\n".join(lines[line - 1 : line + 9]), (path, entry)
    assert count > 100
