"""The docstring coverage, against the running module."""

from __future__ import annotations

import inspect
import textwrap as subject
from typing import Any

from docstrings import docstrings

SOURCE = '''"""Says."""
class A:
    """Says."""
    def m(self): pass
    def n(self):
        "Says."
    def _p(self): pass
    @property
    def q(self):
        """Says."""
    @q.setter
    def q(self, value): pass
def f():
    """  """
class _Hidden:
    def m(self): pass
if True:
    def g(): pass
'''


def test_what_counts_and_what_is_missing() -> None:
    report = docstrings(SOURCE)
    assert report == {
        "parsed": True,
        "total": 7,
        "documented": 4,
        "coverage": round(4 / 7, 4),
        "missing": [
            {"kind": "method", "name": "A.m", "line": 4},
            {"kind": "function", "name": "f", "line": 13},
            {"kind": "function", "name": "g", "line": 18},
        ],
    }


def test_private_names_count_on_demand() -> None:
    report: Any = docstrings(SOURCE, private=True)
    assert {"A._p", "_Hidden", "_Hidden.m"} <= {entry["name"] for entry in report["missing"]}


def test_a_module_without_a_docstring_is_named() -> None:
    report: Any = docstrings("x = 1\n")
    assert report["missing"] == [{"kind": "module", "name": "<module>", "line": 1}]


def test_nothing_to_document_is_fully_documented() -> None:
    assert docstrings("")["coverage"] == 1.0
    assert docstrings("def f(:")["parsed"] is False


def test_it_agrees_with_the_running_module() -> None:
    report: Any = docstrings(inspect.getsource(subject))
    missing = {entry["name"] for entry in report["missing"]}
    for name, value in vars(subject).items():
        if getattr(value, "__module__", None) == subject.__name__ and not name.startswith("_"):
            assert (name in missing) == (not value.__doc__), name
    lines = [entry["line"] for entry in report["missing"]]
    assert lines == sorted(lines)
