"""`symphony check` and `boot()` say the same of each faulty project: code, words, place, path, hint."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import faulty_projects
import odd_projects
import pytest
from agreement import booted, compare, in_order
from hypothesis import HealthCheck, given, settings
from symphony._cli._check import find_faults


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(faulty_projects.projects())
def test_check_and_boot_agree_on_random_projects(project):
    compare(project)


def written(files: dict[str, str], folder: Path, number: int):
    """Writes an odd project under names that nothing else in this process has."""
    package, main = f"faulty_pkg_{number}", f"faulty_odd_{number}"

    def renamed(text: str) -> str:
        return re.sub(r"\bpkg\b", package, re.sub(r"\bmain\b", main, text))

    for path, text in files.items():
        file = folder / renamed(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(renamed(text), encoding="utf-8")
    (folder / "Symphony.toml").write_text(MANIFEST)
    (folder / "greeter").mkdir()
    (folder / "greeter" / "Symphony.toml").write_text(EXTENSION)
    return SimpleNamespace(main=main)


MANIFEST = """
[system]
name = "odd"
extensions = ["greeter"]
members = ["pool-manager", "dag-tracker"]
"""
EXTENSION = """
[extension]
name = "greeter"
version = "1.0.0"
command = ["true"]
activation = "eager"
operations = ["greet"]
"""


@pytest.mark.parametrize("what", odd_projects.ODD)
def test_check_and_boot_agree_on_what_is_written_in_an_odd_way(what, tmp_path, monkeypatch):
    files, noted = odd_projects.ODD[what]
    monkeypatch.chdir(tmp_path)
    project = written(files, tmp_path, list(odd_projects.ODD).index(what))
    checked = find_faults([str(tmp_path)])
    errors = in_order(fault for fault in checked if fault.severity == "error")
    notes = [fault.message for fault in checked if fault.severity != "error"]
    assert bool(notes) is noted, notes
    faults = in_order(booted(project, tmp_path))
    if noted:
        assert [fault for fault in errors if fault not in faults] == []
    else:
        assert errors == faults
