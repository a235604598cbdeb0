"""`symphony check` and `boot()` say the same of each faulty project: code, words, place, path, hint."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import faulty_projects
import odd_projects
import pytest
from hypothesis import HealthCheck, event, given, settings
from symphony import BootError, PlanError
from symphony._cli._check import find_faults


def told(fault):
    """Everything that is told of a fault."""
    return {**fault.to_dict(), "related": fault.related}


def in_order(faults):
    return sorted((told(fault) for fault in faults), key=str)


def booted(project, folder: Path):
    """The faults with which the boot of a project is refused; none where it comes up."""
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        importlib.import_module(project.main).run().shutdown()
    except PlanError as error:
        return error.diagnostics
    except BootError as error:
        raise AssertionError(f"{error}\n{project!r}") from error
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.startswith("faulty_")]:
            if name != "faulty_projects":
                del sys.modules[name]
    return []


def compare(project) -> None:
    """Checks first, so that nothing of the project is loaded yet."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        project.write(folder)
        checked = find_faults([str(folder)])
        notes = [fault for fault in checked if fault.severity != "error"]
        assert notes == [], project
        faults = booted(project, folder)
        for fault in faults:
            event(fault.code)
        assert in_order(checked) == in_order(faults), project


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
