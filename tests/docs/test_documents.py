"""The documents are true: their code runs, prints what they say, and their links end somewhere.

A block's info string says what is done with it. `file=PATH` writes it into the page's own folder;
`run` runs it there (`fails` when it has to end with an error); `text output` is what the block
before it printed; `same=PATH` is a file of the repository, word for word; `sketch` is not run. A
folder belongs to one page, and holds a copy of `examples` where a block speaks of them; in
`docs/errors.md` each section has one
of its own (`test_errors.py`).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from execution import execute, furnish
from pages import ROOT, anchors, blocks, headings, links, name_of, pages, prose

CODE = ("python", "toml", "json", "sh", "rust", "c")
ERRORS = ROOT / "docs" / "errors.md"
# It is looked into at one heading, not read from end to end.
LONGEST = {ERRORS: 1300}


def ran(page: Path) -> bool:
    return page != ERRORS and any("run" in block.marks for block in blocks(page))


@pytest.mark.parametrize("page", [page for page in pages() if ran(page)], ids=name_of)
def test_the_code_of_a_page_runs_and_prints_what_the_page_says(page: Path, tmp_path: Path) -> None:
    if any("run" in block.marks and "examples" in block.text for block in blocks(page)):
        furnish(tmp_path)
    execute(blocks(page), tmp_path)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_a_block_that_shows_a_file_shows_that_file(page: Path) -> None:
    for block in blocks(page):
        path = block.option("same")
        if path is not None:
            assert block.text == (ROOT / path).read_text(encoding="utf-8"), (
                f"line {block.line}: {path}"
            )


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_no_code_stands_there_that_nobody_runs(page: Path) -> None:
    for block in blocks(page):
        if block.language in CODE:
            kept = "run" in block.marks or "sketch" in block.marks
            kept = kept or block.option("file") is not None or block.option("same") is not None
            assert kept, f"line {block.line}: say `run`, `file=`, `same=` or `sketch`"


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_end_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"`{link}` leads nowhere"
        assert ROOT in (target, *target.parents), f"`{link}` leads out of the repository"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"`{link}`: there is no such heading"


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_a_page_is_short_and_its_headings_are_headings(page: Path) -> None:
    assert len(page.read_text(encoding="utf-8").splitlines()) < LONGEST.get(page, 600)
    for heading in headings(page):
        assert not heading.endswith("."), heading
    assert not re.search(r"/(?:root|home|work|Users)/", prose(page)), "a path of somebody's machine"


def test_every_page_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in links(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists():
                waiting.append(target)
    assert [name_of(page) for page in pages() if page not in reached] == []
