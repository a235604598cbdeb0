"""Token statistics, against tokenize itself."""

from __future__ import annotations

import io
import keyword
import tokenize
from typing import Any

import pytest
from tokens import LAYOUT, tokens


def test_counts_are_those_of_tokenize(standard_sources: dict[str, str]) -> None:
    for path in sorted(standard_sources)[::10]:
        source = standard_sources[path]
        report: Any = tokens(source, top=3)
        expected = [
            token
            for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type not in LAYOUT
        ]
        names = [
            token.string
            for token in expected
            if token.type == tokenize.NAME and not keyword.iskeyword(token.string)
        ]
        assert report["complete"], path
        assert report["total"] == len(expected)
        assert report["kinds"]["names"] == len(names)
        assert report["vocabulary"] == len(set(names))
        comments = [token for token in expected if token.type == tokenize.COMMENT]
        assert report["kinds"]["comments"] == len(comments)
        for entry in report["frequent"]:
            assert entry["count"] == names.count(entry["name"])


def test_halstead_by_hand() -> None:
    report: Any = tokens("a = b + b\n")
    # Operators `=` and `+`, operands a, b, b: vocabulary 4, length 5, volume 5 * 2 bits.
    assert report["halstead"] == {"volume": 10.0, "difficulty": 1.5, "effort": 15.0}


def test_an_f_string_is_a_string() -> None:
    report: Any = tokens("f'a{b}c'\n")
    assert report["kinds"]["strings"] >= 1
    assert report["kinds"]["other"] == 0


@pytest.mark.parametrize("source", ["x = (", "'''"])
def test_a_fault_is_told(source: str) -> None:
    assert tokens(source)["complete"] is False


def test_nothing_is_nothing() -> None:
    report: Any = tokens("")
    assert (report["total"], report["complete"]) == (0, True)
