"""What `check` says of a folder, and what `boot()` says of the same sources in this process."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import event
from symphony import BootError, PlanError
from symphony._cli._check import find_faults

# Modules of projects, by how their names begin; this one is not among them.
_OURS = ("faulty_app_", "faulty_main_", "faulty_pkg_", "faulty_odd_")


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
        for name in [name for name in sys.modules if name.startswith(_OURS)]:
            del sys.modules[name]
    return []


def compare(project) -> None:
    """Checks first, so that nothing of the project is loaded yet; both have to say the same."""
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
