"""Variables that a program reads when it is executed: an extension that is granted one is executed, not forked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap

import pytest
from workshop import Workshop, write

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def workshop(tmp_path):
    """Its extensions are granted nothing but what their manifests say."""
    return Workshop(tmp_path, signs=False)


SOURCE = """
import ctypes, os, sys, time
@extension.operation
def library() -> int:
    return ctypes.CDLL("libnamed_by_a_variable.so").answer()
@extension.operation
def preloaded() -> int:
    return ctypes.CDLL(None).answer()
@extension.operation
def encoding() -> list:
    return [sys.flags.utf8_mode, sys.flags.optimize]
@extension.operation
def imports() -> int:
    import only_by_path
    return only_by_path.VALUE
@extension.operation
def variable(name: str):
    return [os.environ.get(name), time.tzname[0]]
@extension.operation
def command() -> list:
    return open("/proc/self/cmdline").read().split("\\0")
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = shutil.which("gcc") or "cc"
    folder = tmp_path_factory.mktemp("library")
    source = write(folder / "answer.c", "int answer(void) { return 42; }")
    target = str(folder / "libnamed_by_a_variable.so")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", target, str(source)], check=True)
    return folder


def called(workshop, granted, operation, variables):
    grants = f"[extension.permissions]\nenv = {granted}\n"
    workshop.extension("granted", SOURCE, grants)
    call = f"""
    from symphony import boot
    with boot(config={str(workshop.config)!r}) as system:
        print(system.kit.extension("granted").options(timeout=20).{operation})
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(call)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **variables},
    )
    return done.stdout.strip() or done.stderr


def test_the_loaders_variables_act(workshop, library):
    path = {"LD_LIBRARY_PATH": str(library)}
    assert called(workshop, '["LD_LIBRARY_PATH"]', 'call("library")', path) == "42"
    file = {"LD_PRELOAD": str(library / "libnamed_by_a_variable.so")}
    assert called(workshop, '["LD_PRELOAD"]', 'call("preloaded")', file) == "42"
    assert "cannot open shared object" in called(workshop, "[]", 'call("library")', path)


def test_the_interpreters_variables_act(workshop, tmp_path):
    write(tmp_path / "only_by_path.py", "VALUE = 3\n")
    flags = {"PYTHONUTF8": "1", "PYTHONOPTIMIZE": "2", "PYTHONPATH": str(tmp_path)}
    assert (
        called(workshop, '["PYTHONUTF8", "PYTHONOPTIMIZE"]', 'call("encoding")', flags) == "[1, 2]"
    )
    assert called(workshop, '["PYTHONPATH"]', 'call("imports")', flags) == "3"


@pytest.mark.parametrize("granted", ['["SOME_TOKEN", "LD_LIBRARY_PATH"]', '["SOME_TOKEN"]'])
def test_what_is_not_set_or_acts_at_any_time_costs_no_execution(workshop, granted):
    variables = {"SOME_TOKEN": "secret"}
    assert "secret" in called(workshop, granted, 'call("variable", name="SOME_TOKEN")', variables)
    assert "_guest.fork_server" in called(workshop, granted, 'call("command")', variables)
