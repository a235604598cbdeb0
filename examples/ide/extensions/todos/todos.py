"""The notes that people leave in comments: TODO, FIXME, XXX, HACK, BUG."""

from __future__ import annotations

import io
import re
import tokenize

from symphony.extension import Extension

extension = Extension("todos", "0.1.0")

MARKER = re.compile(
    r"(?<![\w.])(TODO|FIXME|XXX|HACK|BUG)(?![\w(]*[=])\b(?:\(([^)]*)\))?[:\s!-]*(.*)"
)
PRIORITIES = {"BUG": "high", "FIXME": "high", "XXX": "normal", "HACK": "normal", "TODO": "low"}


@extension.operation
def todos(source: str) -> list[dict[str, object]]:
    """List the markers in a file's comments; those inside strings do not count.

    Args:
        source: The file's text, which need not parse.

    Returns:
        In the order of lines: `marker`, `line`, `text`, `owner` (from `TODO(name)`, or None) and
        `priority` (high, normal, low).
    """
    if not any(marker in source for marker in PRIORITIES):
        return []
    found: list[dict[str, object]] = []
    for line, comment in comments_of(source):
        match = MARKER.search(comment)
        if match is None:
            continue
        marker, owner, text = match.groups()
        found.append(
            {
                "marker": marker,
                "line": line,
                "text": text.strip(),
                "owner": owner or None,
                "priority": PRIORITIES[marker],
            }
        )
    return found


def comments_of(source: str) -> list[tuple[int, str]]:
    """List the comments with their lines; past a fault in the text, whole-line comments only."""
    found: list[tuple[int, str]] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            # One at a time: what was found before a fault is kept.
            if token.type == tokenize.COMMENT:
                found.append((token.start[0], token.string))  # noqa: PERF401
    except (tokenize.TokenError, SyntaxError, RecursionError):
        # Python 3.12 stops at the first fault; go on by lines after the last comment seen.
        last = found[-1][0] if found else 0
        for number, line in enumerate(source.split("\n"), 1):
            if number > last and line.lstrip().startswith("#"):
                found.append((number, line.strip()))
    return found
