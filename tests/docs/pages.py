"""The documents, their fenced blocks, headings and links, as the tests of this folder read them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^(```+)([^\n`]*)\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*$", re.MULTILINE)
_LINK = re.compile(r"(?<!\\)!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_IMAGE = re.compile(r'<img\s[^>]*src="([^"]+)"')


def pages() -> list[Path]:
    """Every document of the repository that a reader is sent to."""
    found = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        ROOT / "examples" / "ide" / "README.md",
    ]
    return sorted(found)


def name_of(page: Path) -> str:
    """A page as a test's id."""
    return str(page.relative_to(ROOT))


class Block:
    """A fenced block: its language, the words behind it, its text, and where it begins."""

    def __init__(self, info: str, text: str, line: int) -> None:
        words = info.split()
        self.language = words[0] if words else ""
        self.marks = words[1:]
        self.text = text
        self.line = line

    def option(self, name: str) -> str | None:
        """The value of `name=…` in the info string."""
        for mark in self.marks:
            key, equals, value = mark.partition("=")
            if equals and key == name:
                return value
        return None


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return blocks_of(page.read_text(encoding="utf-8"))


def blocks_of(text: str) -> list[Block]:
    """The fenced blocks of a text, in order; their lines are counted from its beginning."""
    return [
        Block(match[2], match[3], text.count("\n", 0, match.start()) + 1)
        for match in _FENCE.finditer(text)
    ]


def sections(page: Path) -> dict[str, list[Block]]:
    """The blocks under each second heading of a page, those before the first under an empty one."""
    text = page.read_text(encoding="utf-8")
    found: dict[str, list[Block]] = {"": []}
    starts = [(match.start(), match[1]) for match in re.finditer(r"^## (.*)$", text, re.MULTILINE)]
    found.update((name, []) for _, name in starts)
    lines = [(text.count("\n", 0, start) + 1, name) for start, name in starts]
    for block in blocks_of(text):
        name = next((name for line, name in reversed(lines) if line < block.line), "")
        found[name].append(block)
    return found


def prose(page: Path) -> str:
    """A page without its blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def headings(page: Path) -> list[str]:
    """The headings of a page."""
    return _HEADING.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """What links into a page may name, as GitHub makes it from its headings."""
    found: set[str] = set()
    for heading in headings(page):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = 0
        unique = anchor
        while unique in found:
            number += 1
            unique = f"{anchor}-{number}"
        found.add(unique)
    return found


def links(page: Path) -> list[str]:
    """The targets of a page's links and pictures."""
    text = re.sub(r"`[^`\n]*`", "", prose(page))
    return _LINK.findall(text) + _IMAGE.findall(text)
