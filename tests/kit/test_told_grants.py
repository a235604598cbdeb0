"""How far a manifest's grants are held is told wherever a system tells of itself."""

from __future__ import annotations

import json

import pytest
from kit_processes import running
from symphony.exceptions import ExtensionError
from symphony.top import serve
from workshop import ECHO, Workshop

KEYS = {"name", "status", "detail"}
GRANTS = ["read", "write", "network", "run", "env", "calls"]


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    workshop = Workshop(tmp_path_factory.mktemp("told"), signs=False)
    eager = 'activation = "eager"\n'
    workshop.extension("bare", ECHO, eager)
    workshop.extension("runs", ECHO, eager + '[extension.permissions]\nrun = ["true"]\n')
    workshop.extension("lazy", ECHO)
    with running(workshop) as system:
        yield system


def test_the_report_of_a_boot_tells_it(system):
    document = json.loads(system.report.to_json())
    told = {one["name"]: one.get("grants") for one in document["components"]}
    for name in ("bare", "runs"):
        assert [grant["name"] for grant in told[name]] == GRANTS
        assert all(set(grant) == KEYS for grant in told[name])
    assert {grant["status"] for grant in told["bare"]} == {"enforced"}
    [run] = [grant for grant in told["runs"] if grant["name"] == "run"]
    assert run["status"] == "degraded"
    assert run["detail"] == system.kit.enforcement("runs")["run"].partition(": ")[2]
    # What does not run under a sandbox has none, and what was not started is none of the boot's.
    assert all(told[name] is None for name in told if name not in {"bare", "runs"})
    assert "lazy" not in told


def test_a_running_system_tells_it(system, tmp_path):
    from symphony._cli._top import _prometheus, _table
    from symphony._cli._top._systems import ask

    with serve(system, state=tmp_path) as served:
        figures = ask(served.path, {"ask": "figures"})
    told = {one["name"]: one["grants"] for one in figures["extensions"]}
    assert {name: {grant["status"] for grant in grants} for name, grants in told.items()} == {
        "bare": {"enforced"},
        "runs": {"enforced", "degraded"},
        "lazy": {"enforced"},
    }
    column = _table.HEAD.index("grants")
    assert [row[column] for row in _table.rows(figures)] == [
        "enforced",
        "enforced",
        "degraded: run",
    ]
    sample = 'extension="runs",grant="run",status="degraded"} 1.0'
    assert sample in _prometheus.text([figures])


def test_a_write_grant_over_its_own_manifest_is_refused_or_told(workshop):
    workshop.signs = False
    workshop.extension("edits", ECHO, '[extension.permissions]\nwrite = ["${workspace}"]\n')
    workshop.extension("grasps", ECHO, '[extension.permissions]\nwrite = ["."]\n')
    workshop.extension("good", ECHO, '[extension.permissions]\nwrite = ["${workspace}/out"]\n')
    with running(workshop) as system:
        told = system.kit.enforcement("edits")["write"]
        assert told.startswith("degraded: `${workspace}` covers its own manifest"), told
        assert system.kit.enforcement("good")["write"].startswith("enforced")
        assert system.kit.extension("edits").call("echo", value=1) == 1
        with pytest.raises(ExtensionError, match="covers the extension's own manifest"):
            system.kit.extension("grasps").call("echo", value=1)
