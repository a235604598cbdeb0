"""One extension at fault that the system can go on without is degraded alone: in report, `health()` and `check`."""

from __future__ import annotations

import json

import pytest
from kit_processes import running
from symphony import boot
from symphony.exceptions import ExtensionError, ManifestError
from workshop import ECHO, symphony, write

pytestmark = pytest.mark.timeout(120)

MANIFEST = '[extension]\nname = "bad"\n'
# What is wrong with it, and what it is told by.
BAD = {
    "a key that nobody knows": (
        MANIFEST + 'entry = "bad:extension"\nrequired = false\nactivatoin = "lazy"\n',
        "activatoin",
    ),
    "a wrong type": (MANIFEST + 'entry = "bad:extension"\nrequires = 3\n', "requires"),
    "a program that is not there": (MANIFEST + 'command = ["./missing"]\n', "./missing"),
    "a module that is not there": (MANIFEST + 'entry = "nowhere:extension"\n', "nowhere"),
    "a library that is not there": (MANIFEST + 'library = "missing.so"\n', "missing.so"),
    "an optional eager one": (
        MANIFEST + 'command = ["./missing"]\nactivation = "eager"\nrequired = false\n',
        "./missing",
    ),
    "a permission that is none": (
        MANIFEST + 'entry = "bad:extension"\n[extension.permissions]\nnetwrk = true\n',
        "netwrk",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_it_is_degraded_alone(workshop, kind):
    manifest, told = BAD[kind]
    workshop.extension("good", ECHO)
    write(workshop.folder / "extensions" / "bad" / "Symphony.toml", manifest)
    write(workshop.folder / "extensions" / "bad" / "bad.py", "")
    with running(workshop) as system:
        assert system.kit.extension("good").call("echo", value=1) == 1
        listed = {
            one["name"]: one["status"] for one in json.loads(system.report.to_json())["components"]
        }
        assert listed["bad"] in ("degraded", "failed")
        health = str(system.health())
        assert told in health
        assert "good" not in health
        with pytest.raises(ExtensionError, match=f"`bad` did not start.*{told}"):
            system.kit.extension("bad").call("echo", value=1)
        assert system.kit.extension("good").call("echo", value=2) == 2
    found = symphony("check", str(workshop.folder))
    assert found.returncode == 1
    assert told in found.stdout + found.stderr


@pytest.mark.parametrize(
    "more", ['activation = "eager"\n', 'activation = "eager"\nrequired = true\n']
)
def test_one_that_the_boot_needs_is_a_fault_of_the_boot(workshop, nothing_left, more):
    workshop.extension("good", ECHO)
    write(
        workshop.folder / "extensions" / "bad" / "Symphony.toml",
        MANIFEST + 'command = ["./missing"]\n' + more,
    )
    with pytest.raises(ManifestError, match=r"the program `\./missing` does not exist"):
        boot(config=workshop.config)
