"""`python = …` of an extension, in `symphony check`: is there such an interpreter, and can it run an extension?"""

from __future__ import annotations

import stat
import sys

import pytest
from symphony._static.interpreters import fault_of
from workshop import ECHO, symphony, write


def script(folder, text):
    file = write(folder / "python", text)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def test_this_interpreter_is_fine(workshop):
    assert fault_of(sys.executable) is None
    workshop.extension("own", ECHO, f'python = "{sys.executable}"\n')
    assert symphony("check", str(workshop.folder)).returncode == 0


def test_one_that_is_missing_is_a_fault_with_what_to_do(workshop):
    workshop.extension("own", ECHO, 'python = ".venv/bin/python"\n')
    found = symphony("check", str(workshop.folder))
    told = found.stdout + found.stderr
    assert found.returncode == 1
    assert ".venv/bin/python` does not exist" in told
    assert "-m venv" in told


ANSWERS = {
    "another-version": (
        "echo '3.7 ModuleNotFoundError: no symphony'",
        "is Python 3.7, this one",
        "pip install",
    ),
    "without-symphony": (
        f"echo '{sys.version_info[0]}.{sys.version_info[1]} ImportError: no core'",
        "cannot import Symphony: ImportError: no core",
        "pip install",
    ),
    "no-interpreter": (
        "echo broken >&2; exit 3",
        "is no interpreter that runs: broken",
        "correct `python`",
    ),
    "silent": ("exit 3", "is no interpreter that runs: exit code 3", "correct `python`"),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_one_that_cannot_run_an_extension_is_told(tmp_path, kind):
    answer, message, hint = ANSWERS[kind]
    told = fault_of(script(tmp_path, f"#!/bin/sh\n{answer}\n"))
    assert told is not None
    assert message in told[0]
    assert hint in told[1]


def test_a_file_that_cannot_be_executed(tmp_path):
    file = write(tmp_path / "python", "")
    assert "cannot be executed" in (fault_of(file) or ("", ""))[0]
