"""Every analysis over every top-level file of the standard library, and over what is no Python."""

from __future__ import annotations

import json
from typing import Any

import pytest
from annotations import extension as annotations
from complexity import extension as complexity
from dead_imports import extension as dead_imports
from docstrings import extension as docstrings
from duplicates import extension as duplicates
from imports import extension as imports
from naming import extension as naming
from outline import extension as outline
from pitfalls import extension as pitfalls
from secret_scan import extension as secrets
from todos import extension as todos
from tokens import extension as tokens

ANALYSES = {
    f"{extension.name}.{name}": operation
    for extension in (
        annotations,
        complexity,
        dead_imports,
        docstrings,
        duplicates,
        imports,
        naming,
        outline,
        pitfalls,
        secrets,
        todos,
        tokens,
    )
    for name, operation in extension.operations.items()
}


def check_value(value: Any) -> None:
    """Refuse what cannot cross to another process."""
    if isinstance(value, dict):
        for key, inner in value.items():
            assert type(key) is str
            check_value(inner)
    elif isinstance(value, list):
        for inner in value:
            check_value(inner)
    else:
        assert value is None or type(value) in (bool, int, float, str)


@pytest.mark.parametrize("name", sorted(ANALYSES))
def test_over_the_standard_library(name: str, standard_sources: dict[str, str]) -> None:
    for source in standard_sources.values():
        result = ANALYSES[name](source)
        check_value(result)


@pytest.mark.parametrize("name", sorted(ANALYSES))
def test_at_the_edge(name: str, edge_source: str) -> None:
    result = ANALYSES[name](edge_source)
    check_value(result)
    json.dumps(result)


@pytest.mark.parametrize("name", sorted(ANALYSES))
def test_lines_are_those_of_the_file(name: str) -> None:
    # A form feed and U+2028 end a line for `str.splitlines` and not for Python.
    source = "x = '\u2028'\n\x0c\nimport json\nl = 1  # TODO: name\ndef F(a=[]): return a\n"
    text = json.dumps(ANALYSES[name](source))
    expected = {
        "dead-imports.dead_imports": '"line": 3',
        "imports.imports": '"line": 3',
        "naming.naming": '"line": 4',
        "todos.todos": '"line": 4',
        "outline.outline": '"line": 5',
        "pitfalls.pitfalls": '"line": 5',
    }
    assert expected.get(name, "") in text
