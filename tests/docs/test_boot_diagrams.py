"""The diagrams of `docs/boot.md` are what the boots of that page do."""

from __future__ import annotations

from boot_diagrams import PAGE, committed, stories
from pages import blocks


def test_the_diagrams_of_the_page_are_those_that_its_boots_draw():
    drawn = stories()
    assert set(drawn) == {block.option("story") for block in blocks(PAGE)} - {None}
    assert committed() == drawn, "`make docs` draws them anew"
