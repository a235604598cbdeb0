"""The imports, against the syntax tree."""

from __future__ import annotations

import ast
from typing import Any

from imports import imports


def test_it_has_every_import_of_the_standard_library(standard_sources: dict[str, str]) -> None:
    for path, source in standard_sources.items():
        expected = sorted(
            (node.lineno, "." * getattr(node, "level", 0) + (module or ""))
            for node in ast.walk(ast.parse(source))
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for module in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module]
            )
        )
        assert [(entry["line"], entry["module"]) for entry in imports(source)] == expected, path


def test_the_standard_library_imports_itself(standard_sources: dict[str, str]) -> None:
    always: list[dict[str, Any]] = [
        entry
        for source in standard_sources.values()
        for entry in imports(source)
        if entry["when"] == "always"
    ]
    assert len(always) > 500
    # `from sysconfig import …` and all others: nothing outside of the library.
    assert {entry["module"] for entry in always if entry["origin"] != "standard"} == set()


def test_when_an_import_runs() -> None:
    source = """
import os
from . import sibling
from ..up import thing as other
if TYPE_CHECKING:
    import typing_only
else:
    import conditional
try:
    import numpy.linalg
except ImportError:
    numpy = None
def f():
    if x:
        import json
class A:
    import inside
"""
    assert [
        (entry["module"], entry["names"], entry["origin"], entry["when"])
        for entry in imports(source)
    ] == [
        ("os", [], "standard", "always"),
        (".", ["sibling"], "relative", "always"),
        ("..up", ["thing"], "relative", "always"),
        ("typing_only", [], "third-party", "typing"),
        ("conditional", [], "third-party", "conditional"),
        ("numpy.linalg", [], "third-party", "conditional"),
        ("json", [], "standard", "function"),
        ("inside", [], "third-party", "always"),
    ]
