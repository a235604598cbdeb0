"""Blocks of lines that a file repeats: what could be one function."""

from __future__ import annotations

from symphony.extension import Extension

extension = Extension("duplicates", "0.1.0")


@extension.operation
def duplicates(source: str, minimum: int = 6) -> list[dict[str, object]]:
    """Find the repeated blocks of a file.

    Lines are compared without their indentation; blank lines, comments and single brackets do not
    count, and neither block reaches into the other.

    Args:
        source: The file's text, which need not parse.
        minimum: How many lines a block has at least.

    Returns:
        Longest first: `first` and `second` (the lines where the two copies begin), `first_end`,
        `second_end`, and `lines` (how many lines they share).
    """
    if minimum < 2:
        raise ValueError(f"`minimum` is {minimum}, but a block has at least 2 lines")
    numbered = [
        (number, line.strip())
        for number, line in enumerate(source.split("\n"), 1)
        if is_substantial(line.strip())
    ]
    numbers = [number for number, _ in numbered]
    lines = [line for _, line in numbered]
    found: list[tuple[int, int, int]] = []
    reached: dict[int, int] = {}  # For each distance of two copies, the end of the last match.
    begins: dict[tuple[str, ...], int] = {}
    for second in range(len(lines) - minimum + 1):
        window = tuple(lines[second : second + minimum])
        first = begins.setdefault(window, second)
        distance = second - first
        if distance < minimum or reached.get(distance, -1) >= second:
            continue
        length = minimum
        while (
            length < distance
            and second + length < len(lines)
            and lines[first + length] == lines[second + length]
        ):
            length += 1
        reached[distance] = second + length - 1
        if any(len(line) > 3 and not is_data(line) for line in window):
            found.append((length, first, second))
    return [
        {
            "first": numbers[first],
            "first_end": numbers[first + length - 1],
            "second": numbers[second],
            "second_end": numbers[second + length - 1],
            "lines": length,
        }
        for length, first, second in without_overlaps(found)
    ]


def is_substantial(line: str) -> bool:
    """Tell whether a stripped line says something: no blank line, comment or closing bracket."""
    return len(line) > 1 and not line.startswith("#")


def is_data(line: str) -> bool:
    """Tell whether a line is an entry of a table, whose repetition is no fault."""
    return line[0] in "0123456789\"'(-[{" and line.endswith((",", ")", "]", "}"))


def without_overlaps(found: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Keep the longest matches, each second copy's lines once."""
    kept: list[tuple[int, int, int]] = []
    covered: set[int] = set()
    for length, first, second in sorted(found, key=lambda match: (-match[0], match[1], match[2])):
        span = range(second, second + length)
        if covered.isdisjoint(span):
            covered.update(span)
            kept.append((length, first, second))
    return kept
