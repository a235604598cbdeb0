"""Ruff as an extension, with the real program."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from lint import find_ruff, lint

if TYPE_CHECKING:
    from pathlib import Path


def test_findings_are_ruffs() -> None:
    report: Any = lint("import os\nx = l = 1\nif x == None: pass\n", "a.py")
    assert report["by_code"] == {"E701": 1, "E711": 1, "E741": 1, "F401": 1}
    assert report["count"] == 4
    assert report["fixable"] >= 1
    by_code = {found["code"]: found for found in report["findings"]}
    assert (by_code["F401"]["line"], by_code["F401"]["column"]) == (1, 8)
    assert "os" in by_code["F401"]["message"]


def test_a_file_that_does_not_parse_has_a_finding() -> None:
    report: Any = lint("def f(:\n")
    assert report["count"] >= 1


def test_the_list_is_limited_and_the_count_is_not() -> None:
    report: Any = lint("import os\n" * 3 + "import re\n" * 3, limit=2)
    assert len(report["findings"]) == 2
    assert report["count"] > 2


def test_a_wrong_rule_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="exit code 2"):
        lint("x = 1", select="NOSUCH999")


def test_without_ruff_the_error_says_where_it_looked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="pip install ruff"):
        lint("x = 1")


def test_it_finds_a_program_that_runs() -> None:
    done = subprocess.run([find_ruff(), "--version"], capture_output=True, check=True)
    assert done.stdout.startswith(b"ruff ")
