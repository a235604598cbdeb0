"""The complexity, against functions counted by hand and against the syntax tree."""

from __future__ import annotations

import ast
import sys

import pytest
from complexity import complexity, rank_of


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("pass", 1),
        ("return 1 if a else 2", 2),
        ("if a: pass\n    elif b: pass\n    else: pass", 3),
        ("for x in a:\n        while b: pass", 3),
        ("return a and b and c or d", 4),
        ("return [x for x in a if b if c]", 4),
        ("try: pass\n    except A: pass\n    except B: pass\n    finally: pass", 3),
        ("return lambda: a if b else c", 2),
        ("with a: assert b", 1),
    ],
)
def test_counted_by_hand(body: str, expected: int) -> None:
    (entry,) = complexity(f"def f(a):\n    {body}\n")
    assert entry["complexity"] == expected


def test_a_case_that_catches_all_adds_nothing() -> None:
    source = "def f(a):\n  match a:\n    case 1: pass\n    case [x]: pass\n    case _: pass\n"
    found = [entry["complexity"] for entry in complexity(source)]
    assert found == ([3] if sys.version_info >= (3, 10) else [])


def test_what_is_inside_counts_for_itself() -> None:
    source = "class A:\n  def m(self):\n    def inner():\n      if a: pass\n    return inner\n"
    assert [(entry["name"], entry["complexity"]) for entry in complexity(source)] == [
        ("A.m.inner", 2),
        ("A.m", 1),
    ]


def test_nesting_counts_statements_and_not_elif() -> None:
    source = "def f():\n if a: pass\n elif b: pass\n elif c:\n  for d in e:\n   pass\n"
    assert complexity(source)[0]["depth"] == 2


def test_every_function_of_the_standard_library_is_measured(
    standard_sources: dict[str, str],
) -> None:
    for path, source in standard_sources.items():
        entries = complexity(source)
        expected = {
            (node.lineno, (node.end_lineno or 0) - node.lineno + 1)
            for node in ast.walk(ast.parse(source))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        }
        assert {(entry["line"], entry["length"]) for entry in entries} == expected, path
        values = [entry["complexity"] for entry in entries]
        assert values == sorted(values, key=int, reverse=True), path


def test_a_known_monster_is_first(standard_sources: dict[str, str]) -> None:
    path = next(path for path in standard_sources if path.endswith("/tarfile.py"))
    names = {str(entry["name"]): entry for entry in complexity(standard_sources[path])}
    assert names["main"]["rank"] in "CDEF"
    assert names["stn"]["complexity"] == 2


def test_ranks_follow_radon() -> None:
    assert [rank_of(value) for value in (1, 5, 6, 10, 11, 20, 21, 30, 31, 40, 41)] == list(
        "AABBCCDDEEF"
    )
