"""The package itself passes both checkers, as strict as they are, with the project's own settings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from workshop import ROOT

BIN = Path(sys.executable).parent


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_the_package_passes(checker, tmp_path):
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    if checker == "mypy":
        assert "[tool.mypy]\nstrict = true\n" in settings
        command = [str(BIN / "mypy"), "--cache-dir", str(tmp_path)]
    else:
        assert 'typeCheckingMode = "strict"' in settings
        command = [str(BIN / "pyright"), "--pythonpath", sys.executable]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
