"""Boots as data: each file of `scenarios/` says what goes wrong and what has to come of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from symphony.testing import Scenario

FILES = sorted(
    path
    for path in (Path(__file__).parent / "scenarios").iterdir()
    if path.suffix in (".toml", ".json")
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_comes_out_as_it_says(path: Path) -> None:
    Scenario.load(path).run()


def test_there_are_some() -> None:
    assert len(FILES) >= 10
