"""`docs/errors.md` has a section for each code and for nothing else, with an example that happens.

The blocks of a section are written and run in a folder of their own, after those that stand above
the first section. What is printed is compared with the page, and the code that it is about must be
the one that was raised, found or printed.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import symphony.exceptions
from execution import execute
from pages import ROOT, blocks
from pages import sections as blocks_by_section
from symphony._cli._check import find_faults
from workshop import write

PAGE = ROOT / "docs" / "errors.md"

# What nobody can cause from outside, and what no exception carries.
NOT_FROM_OUTSIDE = {"internal": "a fault of ours, or a machine without threads"}
IN_THE_REPORT_ALONE = {"budget-exceeded": "`budget_violations` of the report names it"}

# Python imports it by itself: it writes the codes of the exception that a script ends with, and of
# its causes.
HOOK = """
import sys


def note(kind, error, traceback):
    with open("codes.txt", "w", encoding="utf-8") as codes:
        while error is not None:
            print(getattr(error, "code", ""), file=codes)
            error = error.__cause__


def hook(kind, error, traceback):
    note(kind, error, traceback)
    sys.__excepthook__(kind, error, traceback)


sys.excepthook = hook
"""


def codes() -> list[str]:
    """The codes, in the order of their definition."""
    source = (ROOT / "crates" / "component" / "src" / "code.rs").read_text(encoding="utf-8")
    return re.findall(r'^    [A-Z_]+ = "([a-z-]+)";$', source, re.MULTILINE)


def sections() -> dict[str, str]:
    """The sections of the page by their headings."""
    parts = re.split(r"^## (.*)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def test_every_code_has_its_section_and_no_other_section_exists() -> None:
    assert len(codes()) > 30, "the codes were not found"
    assert list(sections()) == codes()


def test_every_section_has_what_and_when_an_example_and_what_to_do() -> None:
    for code, text in sections().items():
        before, _, _ = text.partition("```")
        _, _, after = text.rpartition("```\n")
        assert len(before.strip()) > 40, code
        assert after.strip(), code


def test_every_section_but_these_has_an_example_that_is_run() -> None:
    found = blocks_by_section(PAGE)
    without = [
        code
        for code in codes()
        if not any("run" in block.marks for block in found[code])
        or not any("output" in block.marks for block in found[code])
    ]
    assert without == list(NOT_FROM_OUTSIDE)


@pytest.mark.parametrize("code", [code for code in codes() if code not in NOT_FROM_OUTSIDE])
def test_the_example_of_a_section_happens_as_it_says(code: str, tmp_path: Path) -> None:
    found = blocks_by_section(PAGE)
    write(tmp_path / "sitecustomize.py", HOOK)
    assert execute([*found[""], *found[code]], tmp_path) > 0
    if code in IN_THE_REPORT_ALONE:
        return
    raised = tmp_path / "codes.txt"
    if raised.exists():
        assert code in raised.read_text(encoding="utf-8").split()
        return
    outputs = [block.text for block in found[code] if "output" in block.marks]
    if any(re.match(rf"{{'code': '{code}'|{code}(?:$|:)", line) for line in lines_of(outputs)):
        return
    assert code in {fault.code for fault in find_faults([str(tmp_path)])}


def lines_of(texts: list[str]) -> list[str]:
    return [line for text in texts for line in text.splitlines()]


def test_the_exceptions_that_the_page_names_exist_and_carry_the_code() -> None:
    # These two stand for several codes.
    broad = (symphony.exceptions.PlanError, symphony.exceptions.PitLibraryError)
    named = 0
    for code, text in sections().items():
        for name in re.findall(r"[Rr]aised as `(\w+)`", text):
            kind = getattr(symphony.exceptions, name)
            assert kind.code == code or kind in broad, f"{code}: {name}"
            named += 1
    assert named > 20


def test_a_text_that_differs_is_found(tmp_path: Path) -> None:
    found = blocks_by_section(PAGE)["stopped"]
    found[-1].text = found[-1].text.replace("stopped", "gone")
    with pytest.raises(AssertionError, match="and the page says"):
        execute(found, tmp_path)


def test_every_block_of_the_page_belongs_to_a_section() -> None:
    found = blocks_by_section(PAGE)
    assert sum(map(len, found.values())) == len(blocks(PAGE))
    assert all(block.option("file") for block in found[""])
