"""Runs the blocks of a page in a folder, and compares what they print with what the page says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from pages import ROOT, Block

_BEFORE_HINTS = re.compile(r"\n\n(?=hint: )")


def furnish(folder: Path) -> None:
    """Puts the examples into a folder, but nobody's state."""
    ignore = shutil.ignore_patterns(".symphony", "__pycache__", "target")
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=ignore)


def write(block: Block, folder: Path) -> Path | None:
    """Writes a block that is a file, and returns its path."""
    target = block.option("file")
    if target is None:
        return None
    path = folder / target
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")
    return path


def run(block: Block, folder: Path) -> str:
    """Runs a block, and returns what it printed: on stderr when it has to fail, else on stdout."""
    if block.language == "python":
        script = write(block, folder)
        if script is None:
            script = folder / f"block_{block.line}.py"
            script.write_text(block.text, encoding="utf-8")
        command = [sys.executable, str(script)]
    else:
        command = ["/bin/sh", "-eu", "-c", block.text]
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    fails = "fails" in block.marks
    assert (done.returncode != 0) is fails, (
        f"line {block.line}: {done.returncode}\n{done.stderr}{done.stdout}"
    )
    return done.stderr if fails else done.stdout


def assert_alike(wanted: str, printed: str, place: str) -> None:
    """Compares line by line; `…` stands for any text, on a line of its own for any lines.

    Before Python 3.11 an empty line stands before the hints of a traceback.
    """
    wanted, printed = (_BEFORE_HINTS.sub("\n", text).rstrip("\n") for text in (wanted, printed))
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "…" else re.escape(line).replace("…", ".*?") + r"[ ]*\n"
        for line in wanted.split("\n")
    )
    assert re.fullmatch(pattern, printed + "\n"), (
        f"{place}: it printed\n{printed}\nand the page says\n{wanted}"
    )


def execute(blocks: list[Block], folder: Path) -> int:
    """Writes and runs the blocks one after the other; returns how many outputs were compared."""
    compared = 0
    printed: str | None = None
    for block in blocks:
        if "run" in block.marks:
            printed = run(block, folder).replace(f"{folder}/", "")
        elif write(block, folder) is None and "output" in block.marks:
            assert printed is not None, f"line {block.line}: nothing was run before it"
            assert_alike(block.text, printed, f"line {block.line}")
            compared += 1
    return compared
