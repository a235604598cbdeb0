"""Unused imports: case by case, and against ruff's own rule on real files."""

from __future__ import annotations

import json
import subprocess

import pytest
from dead_imports import dead_imports
from lint import find_ruff


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import os", ["os"]),
        ("import os\nos.sep", []),
        ("import os.path\nos.sep", []),
        ("import a.b as c\nb", ["c"]),
        ("from a import b as c, d\nd", ["c"]),
        ("from a import b as b\nimport c as c", []),
        ("from __future__ import annotations", []),
        ("from a import *", []),
        ("try:\n    import numpy\nexcept ImportError:\n    pass", []),
        ("import a, b\n__all__ = ['a']\n__all__ += ['b']", []),
        ("import a\n__all__.extend(['a'])", []),
        ("import a  # noqa: F401", []),
        ("if x:\n    import a\nelse:\n    import b\nb", ["a"]),
        ("from a import T\ndef f(x: 'list[T]') -> None: ...", []),
        ("from a import T\ndef f() -> 'T': ...", []),
        ("import a\na = 1", ["a"]),
        ("import a\ndel a", []),
        ("import a\ndef f():\n    global a", []),
    ],
)
def test_rules(source: str, names: list[str]) -> None:
    assert [entry["name"] for entry in dead_imports(source)] == names


def test_a_package_re_exports() -> None:
    assert dead_imports("from .a import b", "package/__init__.py") == []


def test_hidden_uses_make_it_uncertain() -> None:
    assert dead_imports("import a\nglobals()['a']")[0]["certain"] is False
    assert dead_imports("import a")[0]["certain"] is True


def test_ruff_agrees_on_the_standard_library(standard_sources: dict[str, str]) -> None:
    options = ["--isolated", "--no-cache", "--exit-zero", "--select=F401", "--output-format=json"]
    done = subprocess.run(
        [find_ruff(), "check", *options, *standard_sources], capture_output=True, check=True
    )
    ruff = {(found["filename"], found["location"]["row"]) for found in json.loads(done.stdout)}
    ours = {
        (path, entry["line"])
        for path, source in standard_sources.items()
        for entry in dead_imports(source, path)
    }
    # An import over several lines is reported at its first line here, at the name's by ruff.
    files_of_ruff = {file for file, _ in ruff}
    assert len(ours) > 10
    assert len({file for file, _ in ours} - files_of_ruff) <= 5
    assert len(ours & ruff) >= len(ours) // 2
