"""The documents are true: their code runs, prints what they say, and their links end somewhere.

A block's info string says what is done with it. `file=PATH` writes it into the page's own folder;
`run` runs it there (`fails` when it has to end with an error); `text output` is what the block
before it printed; `same=PATH` is a file of the repository, word for word; `sketch` is not run. A
folder belongs to one page, and holds a copy of `examples`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, Block, anchors, blocks, headings, links, name_of, pages, prose

CODE = ("python", "toml", "json", "sh", "rust", "c")


def ran(page: Path) -> bool:
    return any("run" in block.marks for block in blocks(page))


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder with the examples in it, but nobody's state."""
    ignore = shutil.ignore_patterns(".symphony", "__pycache__", "target")
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=ignore)
    return tmp_path


def run(block: Block, folder: Path) -> str:
    """Runs a block, and returns what it printed: on stderr when it has to fail, else on stdout."""
    if block.language == "python":
        script = folder / f"block_{block.line}.py"
        script.write_text(block.text, encoding="utf-8")
        command = [sys.executable, str(script)]
    else:
        command = ["/bin/sh", "-eu", "-c", block.text]
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    fails = "fails" in block.marks
    assert (done.returncode != 0) is fails, (
        f"line {block.line}: {done.returncode}\n{done.stderr}{done.stdout}"
    )
    return done.stderr if fails else done.stdout


def assert_alike(wanted: str, printed: str, place: str) -> None:
    """Compares line by line; `…` stands for any text, on a line of its own for any lines."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "…" else re.escape(line).replace("…", ".*?") + r"[ ]*\n"
        for line in wanted.rstrip("\n").split("\n")
    )
    printed = printed.rstrip("\n") + "\n"
    assert re.fullmatch(pattern, printed), (
        f"{place}: it printed\n{printed}\nand the page says\n{wanted}"
    )


@pytest.mark.parametrize("page", [page for page in pages() if ran(page)], ids=name_of)
def test_the_code_of_a_page_runs_and_prints_what_the_page_says(page: Path, workplace: Path) -> None:
    printed: str | None = None
    for block in blocks(page):
        target = block.option("file")
        if target is not None:
            path = workplace / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif "run" in block.marks:
            printed = run(block, workplace)
        elif "output" in block.marks:
            assert printed is not None, f"line {block.line}: nothing was run before it"
            assert_alike(block.text, printed.replace(f"{workplace}/", ""), f"line {block.line}")


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
    assert len(page.read_text(encoding="utf-8").splitlines()) < 600
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
