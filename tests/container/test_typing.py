"""The public signatures, as mypy strict sees them."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap

SOURCE = """
    from typing import Protocol
    from symphony import Experiment, SwapReport, boot
    from symphony.testing import Leaks, no_leaks

    class Store(Protocol):
        def get(self) -> int: ...

    class Files:
        def get(self) -> int:
            return 1

    with boot(components=[Files]) as system:
        report = system.swap(Store, Files, drain=1.0)
        reveal_type(report)
        reveal_type(report.rewritten)
        reveal_type(report.holders[0].edit)
        experiment = system.experiment(Store, {"a": Files, "b": Files}, split={"a": 0.9, "b": 0.1}, key=lambda: 1)
        reveal_type(experiment)
        reveal_type(experiment.report()["a"].p95)
        reveal_type(experiment.promote("a"))
        reveal_type(experiment.stop())
        system.swap(Store, Files, drain="1")
        system.experiment(Store, {"a": Files}, split=[0.9])
"""
REVEALED = [
    "symphony._swap_report.SwapReport",
    "tuple[tuple[str, str], ...]",
    "str",
    "symphony._experiment.Experiment",
    "float | None",
    "symphony._swap_report.SwapReport",
    "symphony._swap_report.SwapReport | None",
]


def test_the_signatures_of_swap_and_experiment(tmp_path):
    file = tmp_path / "user.py"
    file.write_text(textwrap.dedent(SOURCE))
    done = subprocess.run(
        # One version for all interpreters: what it writes of a union depends on it.
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--python-version=3.11",
            "--cache-dir",
            str(tmp_path),
            str(file),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    revealed = re.findall(r'Revealed type is "(.*)"', done.stdout)
    assert [
        re.sub(r"builtins\.|\?", "", text).replace("Union[float, None]", "float | None")
        for text in revealed
    ] == REVEALED, done.stdout
    errors = [line for line in done.stdout.splitlines() if "error:" in line and "user.py" in line]
    assert len(errors) == 2, done.stdout
    assert all("arg-type" in line for line in errors)
