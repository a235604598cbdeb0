"""What a file is made of: its tokens by kind, its vocabulary, and Halstead's measures."""

from __future__ import annotations

import io
import keyword
import math
import tokenize

from symphony.extension import Extension

extension = Extension("tokens", "0.1.0")

LAYOUT = frozenset(
    {
        tokenize.NEWLINE,
        tokenize.NL,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
        tokenize.ENCODING,
    }
)
# Python 3.12 gives an f-string as several tokens: its pieces are strings too.
STRINGS = frozenset(
    {tokenize.STRING}
    | {
        getattr(tokenize, name)
        for name in ("FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END")
        if hasattr(tokenize, name)
    }
)


@extension.operation
def tokens(source: str, top: int = 10) -> dict[str, object]:
    """Count the tokens of a file.

    Args:
        source: The file's text; past a fault nothing is counted.
        top: How many of the most frequent identifiers to list.

    Returns:
        `complete` (False after a fault), `total`, `kinds` (names, keywords, operators, numbers,
        strings, comments), `vocabulary` (different identifiers), `frequent` identifiers with
        their `count`, and `halstead` with `volume`, `difficulty` and `effort`.
    """
    kinds = dict.fromkeys(
        ("names", "keywords", "operators", "numbers", "strings", "comments", "other"), 0
    )
    names: dict[str, int] = {}
    operators: dict[str, int] = {}
    operands: dict[str, int] = {}
    complete = True
    try:
        for kind, text, _, _, _ in tokenize.generate_tokens(io.StringIO(source).readline):
            if kind in LAYOUT:
                continue
            word = kind_of(kind, text)
            kinds[word] += 1
            if word == "names":
                names[text] = names.get(text, 0) + 1
            if word in ("operators", "keywords"):
                operators[text] = operators.get(text, 0) + 1
            elif word in ("names", "numbers", "strings"):
                operands[text] = operands.get(text, 0) + 1
    except (tokenize.TokenError, SyntaxError, RecursionError):
        complete = False
    frequent = sorted(names.items(), key=lambda item: (-item[1], item[0]))[: max(top, 0)]
    return {
        "complete": complete,
        "total": sum(kinds.values()),
        "kinds": kinds,
        "vocabulary": len(names),
        "frequent": [{"name": name, "count": count} for name, count in frequent],
        "halstead": halstead(operators, operands),
    }


def kind_of(kind: int, text: str) -> str:
    """Name the kind of a token."""
    if kind == tokenize.NAME:
        return "keywords" if keyword.iskeyword(text) else "names"
    if kind == tokenize.OP:
        return "operators"
    if kind == tokenize.NUMBER:
        return "numbers"
    if kind in STRINGS:
        return "strings"
    return "comments" if kind == tokenize.COMMENT else "other"


def halstead(operators: dict[str, int], operands: dict[str, int]) -> dict[str, float]:
    """Compute Halstead's measures from the counts of operators and operands."""
    length = sum(operators.values()) + sum(operands.values())
    vocabulary = len(operators) + len(operands)
    volume = length * math.log2(vocabulary) if vocabulary else 0.0
    difficulty = len(operators) / 2 * sum(operands.values()) / len(operands) if operands else 0.0
    return {
        "volume": round(volume, 1),
        "difficulty": round(difficulty, 1),
        "effort": round(volume * difficulty, 1),
    }
