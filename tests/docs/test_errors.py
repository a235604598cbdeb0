"""`docs/errors.md` has a section for each code, and for nothing else."""

from __future__ import annotations

import re

import symphony.exceptions
from pages import ROOT

PAGE = ROOT / "docs" / "errors.md"


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
        before, _, rest = text.partition("```text\n")
        example, _, after = rest.partition("```\n")
        assert len(before.strip()) > 40, code
        assert re.match(r"(error|note): ", example), code
        assert after.strip(), code


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
