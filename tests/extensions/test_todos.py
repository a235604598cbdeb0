"""The markers, against the comments that tokenize finds."""

from __future__ import annotations

import io
import re
import tokenize

from todos import todos


def test_markers_owners_and_priorities() -> None:
    source = (
        "x = 1  # TODO: write it\n"
        "# FIXME(ann) soon\n"
        "s = '# TODO: not a comment'\n"
        "# XXX\n"
        "# a TODOLIST, mastodon, ToDo\n"
        "'''\n# BUG: in a string\n'''\n"
        "# HACK - around #12\n"
    )
    assert todos(source) == [
        {"marker": "TODO", "line": 1, "text": "write it", "owner": None, "priority": "low"},
        {"marker": "FIXME", "line": 2, "text": "soon", "owner": "ann", "priority": "high"},
        {"marker": "XXX", "line": 4, "text": "", "owner": None, "priority": "normal"},
        {"marker": "HACK", "line": 9, "text": "around #12", "owner": None, "priority": "normal"},
    ]


def test_it_goes_on_after_a_fault() -> None:
    source = "# TODO: one\nx = (\n# TODO: two\n"
    assert [entry["line"] for entry in todos(source)] == [1, 3]


def test_every_marker_of_the_standard_library_stands_in_a_comment(
    standard_sources: dict[str, str],
) -> None:
    count = 0
    for path, source in standard_sources.items():
        comments = {
            token.start[0]: token.string
            for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type == tokenize.COMMENT
        }
        found = todos(source)
        count += len(found)
        for entry in found:
            assert str(entry["marker"]) in comments[int(str(entry["line"]))], path
        plain = {
            line for line, text in comments.items() if re.search(r"\b(TODO|FIXME|XXX)\b: ", text)
        }
        assert plain <= {entry["line"] for entry in found}, path
    assert count > 40
