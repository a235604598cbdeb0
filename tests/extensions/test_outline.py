"""The outline, against the syntax tree and against what runs."""

from __future__ import annotations

import ast
import inspect
import json.decoder
from typing import Any

from outline import outline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def flattened(symbols: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for symbol in symbols:
        found.append(symbol)
        found += flattened(symbol["children"])
    return found


def test_it_has_every_definition_of_the_standard_library(standard_sources: dict[str, str]) -> None:
    for path, source in standard_sources.items():
        expected = sorted(
            (node.lineno, node.name, node.end_lineno)
            for node in ast.walk(ast.parse(source))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        )
        actual = sorted(
            (symbol["line"], symbol["name"], symbol["end"])
            for symbol in flattened(outline(source))
            if symbol["kind"] != "constant"
        )
        assert actual == expected, path


def test_it_nests_methods_as_the_running_module_does(standard_library: Path) -> None:
    top = outline((standard_library / "json" / "decoder.py").read_text("utf-8"))
    decoder = next(symbol for symbol in top if symbol["name"] == "JSONDecoder")
    assert decoder["kind"] == "class"
    assert [child["kind"] for child in decoder["children"]] == ["method"] * len(decoder["children"])
    lines = {child["name"]: child["line"] for child in decoder["children"]}
    for name, method in vars(json.decoder.JSONDecoder).items():
        if inspect.isfunction(method):
            assert lines[name] == inspect.getsourcelines(method)[1]
    constants = {symbol["name"] for symbol in top if symbol["kind"] == "constant"}
    assert {"FLAGS", "STRINGCHUNK", "WHITESPACE", "WHITESPACE_STR"} <= constants


def test_definitions_under_conditions_are_found() -> None:
    source = "try:\n    def a(): pass\nexcept X:\n    def a(): pass\nelse:\n    class B: pass\n"
    assert [(symbol["name"], symbol["line"]) for symbol in outline(source)] == [
        ("a", 2),
        ("a", 4),
        ("B", 6),
    ]


def test_a_file_that_does_not_parse_is_outlined_by_indentation() -> None:
    source = "class Old:\n    def m(self):\n        print 'x'\nasync def f(:\n"
    top = outline(source)
    assert [(symbol["kind"], symbol["name"]) for symbol in top] == [
        ("class", "Old"),
        ("function", "f"),
    ]
    assert top[0]["children"][0]["kind"] == "method"


def test_a_prefix_of_a_real_file_keeps_its_outline(standard_library: Path) -> None:
    source = (standard_library / "queue.py").read_text("utf-8")
    whole = [symbol["name"] for symbol in outline(source) if symbol["kind"] == "class"]
    broken = [symbol["name"] for symbol in outline(source + "\nx = (") if symbol["kind"] == "class"]
    assert broken == whole
