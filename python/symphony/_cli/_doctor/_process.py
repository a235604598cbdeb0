"""Fresh processes of this interpreter, for whatever needs the core.

The invariant kept here: none is left when the doctor ends, however it ends, and none is waited for without a deadline.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_GRACE = 2.0
"""So many seconds a process has to end by itself when it is told to."""


class Ended(NamedTuple):
    """A process that has ended.

    Attributes:
        result: What it reported; nothing where it did not come so far.
        how: In words, how it ended; empty where it ended well.
        lines: The last lines that it wrote.
    """

    result: Any
    how: str
    lines: list[str]

    def told(self) -> str:
        """Why there is no result, for people."""
        last = self.lines[-1] if self.lines else ""
        return f"{self.how or 'it reported nothing'}: {last}" if last else self.how or "no result"


class Processes:
    """The processes that run, so that they can be ended."""

    def __init__(self) -> None:
        """None runs yet."""
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def run(
        self,
        module: str,
        given: Mapping[str, Any],
        deadline: float,
        environment: Mapping[str, str] | None = None,
    ) -> Ended:
        """Runs `module.main(given)` in a fresh process and waits for its end.

        Args:
            module: The module.
            given: What its `main` is called with; it returns what the result is.
            deadline: So many seconds it may take.
            environment: Its variables, where they are others than ours.
        """
        with tempfile.TemporaryDirectory(prefix="symphony-doctor-") as folder:
            output, report = os.path.join(folder, "output"), os.path.join(folder, "result")
            process = self.start(module, given, report, output, environment)
            try:
                how = _wait(process, deadline)
            finally:
                self.end(process)
            return Ended(read_result(report), how, last_lines(output))

    def start(
        self,
        module: str,
        given: Mapping[str, Any],
        report: str,
        output: str,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Starts `module.main(given)` in a fresh process, which writes what that returns to a file.

        Raises:
            InterruptedError: The doctor is being ended.
        """
        path = [entry for entry in sys.path if entry]
        code = (
            f"import sys; sys.path[:] = {path!r}; "
            f"from symphony._cli._doctor._report import report; report({module!r}, *sys.argv[1:])"
        )
        command = [sys.executable, *_flags(), "-c", code, json.dumps(dict(given)), report]
        with self._lock, open(output, "ab") as out:
            if self._closed:
                raise InterruptedError("the doctor is being ended")
            # In a session of its own, Ctrl-C reaches us alone, and we end it.
            process = subprocess.Popen(  # noqa: S603 - this interpreter, and code of ours.
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=None if environment is None else dict(environment),
                start_new_session=True,
            )
            self._running.add(process)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Ends a process that may have ended; what it started ends with it."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
        # Not by the group once it is gone: its number may be another's then.
        with self._lock:
            self._running.discard(process)

    def end_all(self) -> None:
        """Ends all that run, and starts none from now on."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            self.end(process)


def _wait(process: subprocess.Popen[bytes], deadline: float) -> str:
    """Waits; says how it ended, where that was not well."""
    try:
        code = process.wait(deadline)
    except subprocess.TimeoutExpired:
        return f"it did not end within {deadline:g} s"
    return how_it_ended(code)


def how_it_ended(code: int) -> str:
    """The end of a process in words; empty for a good one."""
    if code >= 0:
        return f"it ended with exit code {code}" if code else ""
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"it was ended by {name}"


def read_result(report: str) -> Any:
    """What a process reported; nothing where it did not."""
    try:
        with open(report, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def last_lines(output: str) -> list[str]:
    """The last lines that a process wrote."""
    try:
        with open(output, encoding="utf-8", errors="replace") as file:
            return [line.strip() for line in file.read().splitlines() if line.strip()][-20:]
    except OSError:
        return []


def _flags() -> list[str]:
    """By which the other interpreter is started as this one was."""
    flags = ["-B"] if sys.flags.dont_write_bytecode else []
    if sys.flags.isolated:
        return [*flags, "-I"]
    given = (("-E", sys.flags.ignore_environment), ("-s", sys.flags.no_user_site))
    flags += [flag for flag, is_set in given if is_set]
    return [*flags, "-S"] if sys.flags.no_site else flags
