"""`symphony check` and `boot()` say the same of each faulty project: code, words, place, path, hint."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import faulty_projects
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
