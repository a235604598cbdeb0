"""`symphony check lib.so`: a Pit library, looked at in a process of its own.

Called by `_check.py`. The invariant kept here: whatever the library does, the caller gets its faults, with the step in
which the process ended that looked at it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

from symphony import include
from symphony._core import Diagnostic

PATIENCE = 30.0
"""Seconds that loading, starting and stopping may take together."""

PROBE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_library_probe.py")


def is_library(path: str) -> bool:
    """Whether it is a file that `check` takes for a Pit library."""
    name = os.path.basename(path)
    return os.path.isfile(path) and (name.endswith(".so") or ".so." in name)


def library_faults(path: str) -> list[Diagnostic]:
    """What is wrong with a library; where nothing is, a note that says what it is."""
    header = os.path.join(include(), "symphony_pit.h")
    told, ended = _probed(path, header)
    steps = [words["step"] for words in told if "step" in words]
    last = told[-1] if told else {}
    if "fault" in last:
        code, message, hint = last["fault"]
        return [_fault(path, code, message, hint)]
    if "name" in last:
        operations = ", ".join(f"`{name}`" for name in last["operations"]) or "no operation"
        message = (
            f"`{last['name']}` {last['version']} for interface {last['interface']}: {operations}; "
            f"SHA-256 `{last['sha256']}`"
        )
        return [Diagnostic("pit-library", message, severity="note", file=path)]
    where = steps[-1] if steps else "before it was loaded"
    return [_fault(path, "pit-library", f"{ended} {where}", None)]


def _fault(path: str, code: str, message: str, hint: str | None) -> Diagnostic:
    what = "does not fit" if code == "abi-mismatch" else "cannot be used"
    return Diagnostic(code, f"the library {what}: {message}", file=path, hint=hint)


def _probed(path: str, header: str) -> tuple[list[dict[str, Any]], str]:
    """What the probe told, and how it ended."""
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as told:
        try:
            probe = subprocess.Popen(  # noqa: S603 - this interpreter, and code of ours.
                [sys.executable, PROBE, os.path.abspath(path), header, str(theirs)],
                pass_fds=[theirs],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        finally:
            os.close(theirs)
        try:
            status = probe.wait(PATIENCE)
            ended = _ended(status)
        except subprocess.TimeoutExpired:
            ended = f"it did not come back within {PATIENCE:.0f} s"
        finally:
            probe.kill()
            probe.wait()
        # What the library has started may hold the other end: no more is waited for than is there.
        os.set_blocking(told.fileno(), False)
        lines = (told.read() or b"").splitlines()
    return [json.loads(line) for line in lines], ended


def _ended(status: int) -> str:
    if status < 0:
        known = {int(one): one.name for one in signal.Signals}
        return f"it ended the process with {known.get(-status, f'signal {-status}')}"
    return f"it ended the process with exit code {status}"
