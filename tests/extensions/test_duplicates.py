"""Repeated blocks: what is found stands twice in the text."""

from __future__ import annotations

from typing import Any

import pytest
from duplicates import duplicates

BLOCK = "first = read(path)\nif not first:\n    raise ValueError(path)\nsecond = first.strip()\n"


def significant(source: str, first: int, last: int) -> list[str]:
    lines = [line.strip() for line in source.split("\n")[first - 1 : last]]
    return [line for line in lines if len(line) > 1 and not line.startswith("#")]


def test_two_copies_at_other_depths() -> None:
    inner = "".join(f"    {line}\n" for line in BLOCK.splitlines())
    source = f"{BLOCK}\n# between\n\ndef f():\n{inner}    return second\n"
    assert duplicates(source, minimum=4) == [
        {"first": 1, "first_end": 4, "second": 9, "second_end": 12, "lines": 4}
    ]
    assert duplicates(source, minimum=5) == []


def test_the_longest_match_is_told_once() -> None:
    long = "".join(f"value_{number} = compute({number})\n" for number in range(20))
    (found,) = duplicates(long + "x = 1\n" + long)
    assert (found["first"], found["second"], found["lines"]) == (1, 22, 20)


def test_tables_are_no_duplicates() -> None:
    assert duplicates('"a",\n(1, 2),\n' * 40) == []


def test_one_line_is_no_block() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        duplicates(BLOCK, minimum=1)


def test_in_the_standard_library_both_copies_are_alike(standard_sources: dict[str, str]) -> None:
    count = 0
    for path, source in standard_sources.items():
        spans: list[tuple[int, int]] = []
        entry: Any
        for entry in duplicates(source):
            count += 1
            first = significant(source, entry["first"], entry["first_end"])
            second = significant(source, entry["second"], entry["second_end"])
            assert first == second, path
            assert len(first) == entry["lines"] >= 6
            assert entry["first_end"] < entry["second"], path
            spans.append((entry["second"], entry["second_end"]))
        spans.sort()
        assert all(one[1] < two[0] for one, two in zip(spans, spans[1:])), path
    assert count > 50
