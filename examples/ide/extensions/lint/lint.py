"""Ruff, the linter that people already use, as an extension: one process for each file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from symphony.extension import Extension

extension = Extension("lint", "0.1.0")


@extension.operation
def lint(
    source: str, path: str = "stdin.py", select: str = "E4,E7,E9,F,B", limit: int = 100
) -> dict[str, object]:
    """Check a file with ruff.

    Args:
        source: The file's text, which ruff gets on its stdin.
        path: The file's name in the findings; it is not opened.
        select: The rules, as ruff's `--select` takes them.
        limit: How many findings to list at most.

    Returns:
        `count`, `fixable`, `by_code` (how many of each) and `findings`: `code`, `message`, `line`,
        `column`, `fixable`.
    """
    command = [
        find_ruff(),
        "check",
        "--isolated",
        "--no-cache",
        "--quiet",
        "--exit-zero",
        "--output-format=json",
        f"--select={select}",
        f"--stdin-filename={Path(path).name or 'stdin.py'}",
        "-",
    ]
    done = subprocess.run(
        command, input=source.encode("utf-8", "replace"), capture_output=True, check=False
    )
    if done.returncode != 0:
        reason = done.stderr.decode("utf-8", "replace").strip()
        raise RuntimeError(f"ruff failed with exit code {done.returncode}: {reason}")
    findings = [describe(found) for found in json.loads(done.stdout or b"[]")]
    by_code: dict[str, int] = {}
    for found in findings:
        code = str(found["code"])
        by_code[code] = by_code.get(code, 0) + 1
    return {
        "count": len(findings),
        "fixable": sum(1 for found in findings if found["fixable"]),
        "by_code": dict(sorted(by_code.items(), key=lambda item: (-item[1], item[0]))),
        "findings": findings[: max(limit, 0)],
    }


def describe(found: dict[str, object]) -> dict[str, object]:
    """Reduce one of ruff's findings to what a review shows."""
    location = found.get("location")
    place: dict[str, int] = location if isinstance(location, dict) else {}
    return {
        "code": found.get("code") or "syntax-error",
        "message": found.get("message"),
        "line": place.get("row", 0),
        "column": place.get("column", 0),
        "fixable": found.get("fix") is not None,
    }


def find_ruff() -> str:
    """Find the program: beside the interpreter, else on the search path.

    Raises:
        FileNotFoundError: It is at neither place.
    """
    folder = os.fspath(Path(sys.executable).parent) if sys.executable else ""
    found = shutil.which("ruff", path=folder) or shutil.which("ruff")
    if found is None:
        raise FileNotFoundError(
            f"no program `ruff` in `{folder}` or on PATH; `pip install ruff` brings it"
        )
    return found
