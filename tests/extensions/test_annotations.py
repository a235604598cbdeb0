"""The annotation coverage, against signatures of running functions."""

from __future__ import annotations

import inspect
import queue
from typing import Any

from annotations import measure


def test_places_and_gaps() -> None:
    source = """
class A:
    def __init__(self, a: int, b) -> None: ...
    @staticmethod
    def s(a) -> int: ...
    @classmethod
    def c(cls, *, d: int = 1, **rest: str): ...
def f(a: int, /, *more: int) -> str:
    def g(): ...
"""
    report = measure(source)
    assert report["functions"] == 5
    assert report["complete"] == 1
    assert report["gaps"] == [
        {"name": "A.__init__", "line": 3, "lacks": ["b"]},
        {"name": "A.s", "line": 5, "lacks": ["a"]},
        {"name": "A.c", "line": 7, "lacks": ["return"]},
        {"name": "f.g", "line": 9, "lacks": ["return"]},
    ]
    # a, b; a, return; d, rest, return; a, more, return; return.
    assert (report["places"], report["annotated"]) == (11, 7)
    assert report["coverage"] == round(7 / 11, 4)


def test_it_agrees_with_signatures() -> None:
    report: Any = measure(inspect.getsource(queue), limit=1000)
    gaps = {gap["name"]: gap["lacks"] for gap in report["gaps"]}
    for name, method in vars(queue.Queue).items():
        if not inspect.isfunction(method):
            continue
        signature = inspect.signature(method)
        expected = [
            parameter.name
            for parameter in list(signature.parameters.values())[1:]
            if parameter.annotation is inspect.Parameter.empty
        ]
        if signature.return_annotation is inspect.Signature.empty and name != "__init__":
            expected.append("return")
        assert gaps.get(f"Queue.{name}", []) == expected, name


def test_no_place_is_full_coverage() -> None:
    assert measure("x = 1")["coverage"] == 1.0
    assert measure("def f(:")["parsed"] is False


def test_the_list_is_limited() -> None:
    source = "".join(f"def f{number}(): ...\n" for number in range(9))
    report: Any = measure(source, limit=3)
    assert len(report["gaps"]) == 3
    assert report["complete"] == 0
