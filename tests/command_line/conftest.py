"""The command line, run as people run it, with a look at what it leaves behind."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from doctors import examined

REPORT_KEYS = {
    "schema",
    "ok",
    "state",
    "system",
    "ready_seconds",
    "since_launch_seconds",
    "overhead_seconds",
    "infrastructure_seconds",
    "memory_mb",
    "phases",
    "components",
    "critical_path",
    "savings",
    "budget_violations",
    "safe_mode",
    "error",
    "spans",
}
ERROR_KEYS = {"code", "message", "phase", "component", "causes", "hints"}
RUNS_KEYS = {"count", "ok", "failed", "seconds", "per_second"}
FAULT_KEYS = {"code", "severity", "message", "file", "line", "column", "path", "hint"}
_SUBREAPER = 36


class Ended:
    """One call of the command line that has ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def document(self):
        """The one document on stdout."""
        return json.loads(self.out)

    def __repr__(self):
        return f"exit {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


class CommandLine:
    """Runs `symphony` in a workshop's folder, with a temporary folder of its own."""

    def __init__(self, workshop, temporary):
        self.workshop, self.temporary = workshop, temporary
        self.environment = {**os.environ, "TMPDIR": str(temporary), "COLUMNS": "100"}

    def start(self, *arguments, cwd=None, **more):
        return subprocess.Popen(
            [sys.executable, "-m", "symphony", *map(str, arguments)],
            cwd=cwd or self.workshop.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )

    def __call__(self, *arguments, cwd=None, timeout=60, **more):
        process = self.start(*arguments, cwd=cwd, **more)
        try:
            out, err = process.communicate(timeout=timeout)
        finally:
            process.kill()
        assert "\r" not in out + err, "a bar was drawn without a terminal"
        assert "\x1b" not in out + err, "colours were written without a terminal"
        return Ended(process.returncode, out, err)


def _children():
    found = set()
    for task in os.listdir("/proc/self/task"):
        # A thread that has ended meanwhile has none.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/self/task/{task}/children") as children:
                found |= {int(pid) for pid in children.read().split()}
    return found


def _alive(before):
    """Children that were not there before; those that have ended are taken off the list."""
    return {pid for pid in _children() - before if not _has_ended(pid)}


def _has_ended(pid):
    try:
        return os.waitpid(pid, os.WNOHANG) != (0, 0)
    except ChildProcessError:
        return True


@pytest.fixture
def cli(workshop, tmp_path_factory):
    """The command line; after the test no process and no temporary file of its runs is left."""
    temporary = tmp_path_factory.mktemp("temporary")
    library = ctypes.CDLL(None, use_errno=True)
    assert library.prctl(_SUBREAPER, 1, 0, 0, 0) == 0
    before = _children()
    yield CommandLine(workshop, temporary)
    end = time.monotonic() + 5
    while (alive := _alive(before)) and time.monotonic() < end:
        time.sleep(0.01)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    library.prctl(_SUBREAPER, 0, 0, 0, 0)
    assert not alive, "a process is left"
    assert not os.listdir(temporary), "a temporary file is left"


def assert_form(text):
    """`error: …`, places, `Caused by: …`, a blank line, `hint: …`; no traceback of ours."""
    assert text.startswith("error: "), text
    # What another process said stands indented.
    text = text.partition("\n  Traceback")[0]
    text, _, last_lines = text.partition("hint: its last lines were:\n")
    assert all(line.startswith("  ") for line in last_lines.splitlines() if line), last_lines
    assert "Traceback" not in text, text
    assert "site-packages" not in text, text
    assert not re.search(r"python/symphony/|symphony/_", text), text
    first = text.splitlines()[0]
    assert not first.endswith("."), text
    for line in text.splitlines():
        assert re.match(r"(error|warning|note|hint): |  |$|  Caused by: ", line), text


def assert_error_document(document):
    """A failed `run --json`: the report's keys, the runs' keys, the error's keys."""
    assert set(document) == REPORT_KEYS | {"runs", "results"}
    assert document["ok"] is False
    assert document["schema"] == 1
    error = document["error"]
    assert set(error) == ERROR_KEYS
    assert isinstance(error["code"], str)
    assert isinstance(error["message"], str)
    assert error["message"]
    assert all(isinstance(text, str) for text in error["causes"] + error["hints"])
    assert set(document["runs"]) == RUNS_KEYS


@pytest.fixture
def form():
    return assert_form


@pytest.fixture
def error_document():
    return assert_error_document


@pytest.fixture
def keys():
    return {"report": REPORT_KEYS, "error": ERROR_KEYS, "runs": RUNS_KEYS, "fault": FAULT_KEYS}


@pytest.fixture
def doctor(cli):
    """`symphony doctor`: its document, by names of checks."""
    return lambda *arguments, **more: examined(cli, *arguments, **more)
