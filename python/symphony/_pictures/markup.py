"""Words in markup: whatever a name holds, it stays text, and the document stays well-formed.

Used by everything in `_pictures`. The invariant kept here: what XML forbids (control characters, lone surrogates) is
replaced, and `<`, `>`, `&` and both quotes are entities.
"""

from __future__ import annotations

import html
import unicodedata

_LEAST = 0x20
_KEPT = "\t\n"


def escaped(word: object) -> str:
    """A word as text or attribute of XML and HTML."""
    return html.escape("".join(map(_lawful, str(word))))


def _lawful(each: str) -> str:
    code = ord(each)
    forbidden = (
        (code < _LEAST and each not in _KEPT)
        or 0x7F <= code <= 0x9F
        or 0xD800 <= code <= 0xDFFF
        or code & 0xFFFE == 0xFFFE
        # What turns the direction of writing makes a name read as another.
        or unicodedata.bidirectional(each)
        in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    )
    return "\ufffd" if forbidden else each


def width_of(word: str, letter: float) -> float:
    """About how wide a word is drawn, where a letter has that width."""
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in word)
    return (len(word) + 0.8 * wide) * letter


def shortened(word: str, most: int) -> str:
    """A word of at most so many characters on one line; its beginning and its end say which it is."""
    word = " ".join(word.split())
    if len(word) <= most:
        return word
    tail = most // 3
    return f"{word[: most - tail - 1]}…{word[-tail:]}"


def seconds_text(seconds: float) -> str:
    """A span as people read it: `850 µs`, `12 ms`, `1.5 s`."""
    from symphony._core import seconds_text as text

    return text(seconds)
