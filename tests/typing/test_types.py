"""The public types, as two checkers see them; and the stub, against the core that it tells of."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from workshop import ROOT

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
STUB = ROOT / "python" / "symphony" / "_core.pyi"


def command(checker, cache):
    if checker == "mypy":
        return [str(BIN / "mypy"), "--strict", "--config-file=", "--cache-dir", str(cache)]
    return [str(BIN / "pyright"), "--pythonpath", sys.executable]


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_the_lawful_passes_and_each_wrong_line_is_reported(checker, tmp_path):
    done = subprocess.run(
        [*command(checker, tmp_path), "lawful.py", "unlawful.py"],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    told = re.findall(r"(\w+)\.pyi?:(\d+)(?::\d+)?(?: -|:) error", done.stdout)
    lines = (HERE / "unlawful.py").read_text().splitlines()
    wrong = {("unlawful", str(n)) for n, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert wrong
    assert set(told) == wrong, done.stdout + done.stderr


def test_the_stub_tells_what_the_core_has():
    assert STUB.is_file()
    allowed = HERE / "stubtest-allowlist.txt"
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "symphony._core", "--allowlist", str(allowed)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
