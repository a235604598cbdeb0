"""The import of modules that `components` names: user code before the plan, told as such and no overhead."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from workshop import ECHO

SLOW = "import time\ntime.sleep(0.7)\nfrom symphony import component\n@component\nclass Heavy:\n    pass\n"
BOOT = """
import json, sys
from symphony import boot
given = json.loads(sys.argv[1])
sys.path.insert(0, given["folder"])
for name in given["before"]:
    __import__(name)
with boot(config=given["config"], components=given["components"]) as system:
    print(system.report.to_json())
"""


@pytest.fixture
def report(workshop):
    """Boots in a process of its own; gives the report."""

    def boots(*components, config=None, before=()):
        given = {
            "folder": str(workshop.folder),
            "config": None if config is None else str(config),
            "components": components,
            "before": before,
        }
        ended = subprocess.run(
            [sys.executable, "-c", BOOT, json.dumps(given)],
            stdout=subprocess.PIPE,
            timeout=60,
            check=True,
        )
        return json.loads(ended.stdout)

    (workshop.folder / "heavy.py").write_text(SLOW)
    return boots


def _rows(report):
    return {one["name"]: one for one in report["components"] if one["name"].startswith("import ")}


def _is_told(report, name):
    (row,) = _rows(report).values()
    assert (row["name"], row["phase"], row["status"]) == (f"import {name}", "conductor", "ready")
    assert row["seconds"] >= 0.7
    assert report["critical_path"][0] == f"import {name}"
    assert report["overhead_seconds"] < report["ready_seconds"] - row["seconds"] + 1e-6
    (saving,) = (one["seconds"] for one in report["savings"] if one["name"] == f"import {name}")
    assert saving > 0.3


def test_it_is_a_step_of_the_boot_and_no_overhead(report):
    _is_told(report("heavy"), "heavy")


@pytest.mark.parametrize("named", ["manifest", "argument"])
def test_nothing_else_is_made_longer_by_it(report, workshop, named):
    workshop.extension("echo", ECHO, 'activation = "eager"\n')
    declared = 'components = ["heavy"]\n' if named == "manifest" else ""
    given = [] if declared else ["heavy"]
    told = report(*given, config=workshop.system(declared))
    _is_told(told, "heavy")
    # The supervisor came up beside the import: it is no step that anybody waited for, and was up when it said so.
    assert "supervisor process" not in told["critical_path"]
    (supervisor,) = (one for one in told["components"] if one["name"] == "supervisor process")
    (heavy,) = _rows(told).values()
    assert supervisor["started_at"] + supervisor["seconds"] < heavy["started_at"] + heavy["seconds"]


def test_a_package_is_one_import_and_what_is_imported_already_is_none(report, workshop):
    package = workshop.folder / "parts"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text(SLOW)
    _is_told(report("parts"), "parts")
    assert _rows(report("heavy", before=["heavy"])) == {}
