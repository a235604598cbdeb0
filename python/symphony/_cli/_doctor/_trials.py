"""The trials: boots on an empty temporary state, a killed extension, a forced rollback, a killed root, budgets.

Each is made in fresh processes (`_trial`), of the system itself or of a small one. The invariant kept here: the
configured state is never used, and what a trial left behind is told and removed.
"""

from __future__ import annotations

import math
import os
import select
import signal
import statistics
import tempfile
import time
from typing import TYPE_CHECKING

from symphony._cli._doctor import _syscalls
from symphony._cli._doctor._check import Finding, degraded, failed, ok
from symphony._cli._doctor._process import Ended, how_it_ended, last_lines, read_result

if TYPE_CHECKING:
    from typing import Any

    from symphony._cli._doctor._subject import Subject

BOOT_DEADLINE = 90.0
"""Seconds: a boot has 60, and a machine that is busy some more to start the process and end it."""
_MODULE = "symphony._cli._doctor._trial"
_GONE, _LATE = 0.25, 5.0
"""Within so many seconds nothing is left of a killed root; and so long is looked."""
_SLOW = 1.0
"""What is gone by then is late, and not left."""
_CONDUCTOR = "conductor"

_MANIFEST = '[system]\nname = "doctor"\nextensions = ["probe"]\n'
_EXTENSION = '[extension]\nname = "probe"\nentry = "probe:extension"\nactivation = "eager"\n'
_SOURCE = """from symphony.extension import Extension

extension = Extension("probe")


@extension.operation
def echo(value: str) -> str:
    return value
"""


class Trials:
    """The trials of one system, in a folder of their own.

    Attributes:
        boots: The figures of the boots.
    """

    def __init__(self, count: int) -> None:
        """So many boots will be tried."""
        self._count = count
        self._folder = tempfile.TemporaryDirectory(prefix="symphony-doctor-")
        self._made = 0
        self._good: list[dict[str, Any]] = []
        self.boots: dict[str, Any] = no_boots()

    def close(self) -> None:
        """Removes the folder."""
        try:
            self._folder.cleanup()
        except OSError:
            # Something in it is still being written: what is not removed now is in nobody's way.
            return

    # -- What is tried -------------------------------------------------------------------------------------------------

    def try_boots(self, subject: Subject) -> Finding:
        """As many boots as were asked for, each in a fresh process on an empty state."""
        if not subject.facts:
            return failed("not tried: the core does not load", "see the check `core`")
        faults: list[Ended] = []
        for number in range(1, self._count + 1):
            subject.progress(f"boot {number} of {self._count}")
            ended = self._run(subject, "boot")
            if ended.result is not None and "error" not in ended.result:
                self._good.append(ended.result)
            else:
                faults.append(ended)
            self.boots = _figures(number, self._good)
            # What failed twice, and never went well, costs as long again each time.
            if len(faults) == 2 and not self._good:
                break
        tried, good = self.boots["count"], self.boots["ok"]
        if faults:
            return failed(
                f"{good} of {tried} boots came up: {_fault(faults[0])}", _hint(subject, faults[0])
            )
        told = (
            f"{good} of {tried}: ready in {_milliseconds(self.boots['p50_seconds'])} (p50), "
            f"{_milliseconds(self.boots['p99_seconds'])} (p99); overhead "
            f"{_milliseconds(self.boots['overhead_p50_seconds'])}, memory {self.boots['memory_mb']:.1f} MiB"
        )
        reasons = [trial["reason"] for trial in self._good if trial["reason"] is not None]
        if reasons:
            return degraded(
                f"{told}; {len(reasons)} came up degraded: {reasons[0]}",
                "`symphony run` shows the report of a boot, with each component",
            )
        return ok(told)

    def try_budgets(self, subject: Subject) -> Finding:
        """Whether a boot went over a budget of the manifest."""
        if not self._good:
            return self._not_tried()
        over: dict[str, list[tuple[str, str]]] = {}
        for trial in self._good:
            for name, actual, limit in trial["over"]:
                over.setdefault(name, []).append((actual, limit))
        if not over:
            told = (
                "the doctor's own system has none"
                if subject.config is None
                else "none was exceeded"
            )
            return ok(f"{told}, in {len(self._good)} boots")
        texts = [
            f"`{name}` in {len(found)} of {len(self._good)} boots ({found[0][0]} instead of {found[0][1]})"
            for name, found in over.items()
        ]
        return degraded(
            f"exceeded: {', '.join(texts)}",
            "`symphony run --trace boot.html` draws where the time goes; or raise it in `[system.budgets]`",
        )

    def try_extension(self, subject: Subject) -> Finding:
        """An extension whose process is killed comes back."""
        if not self._good:
            return self._not_tried()
        own = subject.processes_at_most == 0
        ended = self._run(subject, "extension", small=own)
        result = ended.result
        if result is None or "error" in result:
            return failed(f"it could not be tried: {_fault(ended)}", _hint(subject, ended))
        if result["name"] is None:
            return failed(
                f"no extension came back: {'; '.join(result['faults'])}",
                "`symphony call` shows why one does not start, `[extension.restart]` how often one is started again",
            )
        whose = "of a small system " if own else ""
        return ok(
            f"`{result['name']}` {whose}was killed and was back after {_milliseconds(result['seconds'])}"
        )

    def try_rollback(self, subject: Subject) -> Finding:
        """A boot that is made to fail at its last step leaves nothing."""
        if not self._good:
            return self._not_tried()
        components = self._good[0]["report"]["components"]
        fault = next(
            (one["name"] for one in reversed(components) if one["phase"] == _CONDUCTOR),
            "orchestra-kit",
        )
        ended = self._run(subject, "rollback", fault=fault)
        result = ended.result
        if result is None or "error" in result:
            return failed(f"it could not be tried: {_fault(ended)}", _hint(subject, ended))
        if result["left"]:
            return failed(
                f"a boot that failed at `{fault}` left behind: {'; '.join(result['left'][:5])}",
                "where it is not Symphony's, a component's `stop` lets go of too little: `symphony.testing.no_leaks` "
                "finds it in a test",
            )
        return ok(f"a boot that was made to fail at `{fault}` left nothing")

    def try_root(self, subject: Subject) -> Finding:
        """Nothing is left of a root that is killed, and its state can be used by the next."""
        if not self._good:
            return self._not_tried()
        folder = self._empty()
        ready, output = os.path.join(folder, "ready"), os.path.join(folder, "output")
        given = self._given(subject, "root", folder, ready=ready)
        process = subject.processes.start(
            _MODULE, given, os.path.join(folder, "result"), output, self._environment(folder)
        )
        try:
            end = time.monotonic() + BOOT_DEADLINE
            while (told := read_result(ready)) is None and process.poll() is None:
                if time.monotonic() > end:
                    break
                time.sleep(0.01)
            if told is None:
                how = (
                    how_it_ended(process.poll() or 0)
                    or f"it was not ready within {BOOT_DEADLINE:g} s"
                )
                ended = Ended(None, how, last_lines(output))
                return failed(f"it could not be tried: {_fault(ended)}", _hint(subject, ended))
            seconds, left = _kill_root(process.pid, told["processes"])
        finally:
            subject.processes.end(process)
        count = len(told["processes"])
        if left:
            return failed(
                f"{left} of {count} processes were still there {_LATE:g} s after the root was killed",
                "they were ended; look which extension starts programs that leave its session",
            )
        again = self._run(subject, "boot", state=given["state"])
        if again.result is None or "error" in again.result:
            return failed(
                f"the boot after a killed root failed: {_fault(again)}", _hint(subject, again)
            )
        told_gone = f"its {count} processes were gone after {_milliseconds(seconds)}, and the next boot came up"
        if seconds > _SLOW:
            return degraded(
                f"{told_gone}; {_milliseconds(_GONE)} are what is promised",
                "the machine is busy, or an extension's memory takes long to be freed",
            )
        return ok(told_gone)

    def _not_tried(self) -> Finding:
        return degraded("not tried, as no boot came up", "see the check `boots`")

    # -- How it is tried -----------------------------------------------------------------------------------------------

    def _run(self, subject: Subject, kind: str, *, small: bool = False, **more: str) -> Ended:
        """One trial, in a process and a folder of its own."""
        folder = self._empty()
        given = self._given(subject, kind, folder, small=small, **more)
        return subject.processes.run(_MODULE, given, BOOT_DEADLINE, self._environment(folder))

    def _empty(self) -> str:
        """A folder for one trial."""
        self._made += 1
        folder = os.path.join(self._folder.name, f"{self._made}")
        os.makedirs(os.path.join(folder, "tmp"))
        return folder

    def _given(
        self, subject: Subject, kind: str, folder: str, *, small: bool = False, **more: str
    ) -> dict[str, Any]:
        """What a trial is told."""
        own = small or subject.config is None
        options = subject.options
        return {
            "kind": kind,
            "config": self._small_system() if own else subject.config,
            "state": os.path.join(folder, "state"),
            "workspace": None if own else options.workspace,
            "components": [] if small else options.components,
            **more,
        }

    def _small_system(self) -> str:
        """A system with one extension, that starts with it."""
        folder = os.path.join(self._folder.name, "small")
        manifest = os.path.join(folder, "Symphony.toml")
        if not os.path.exists(manifest):
            os.makedirs(os.path.join(folder, "probe"))
            texts = {
                "Symphony.toml": _MANIFEST,
                "probe/Symphony.toml": _EXTENSION,
                "probe/probe.py": _SOURCE,
            }
            for name, text in texts.items():
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(text)
        return manifest

    @staticmethod
    def _environment(folder: str) -> dict[str, str]:
        """Ours, with temporary files where they are found and removed."""
        return {**os.environ, "TMPDIR": os.path.join(folder, "tmp")}


def no_boots() -> dict[str, Any]:
    """The figures of boots that were not tried."""
    figures = ("p50_seconds", "p99_seconds", "overhead_p50_seconds", "memory_mb")
    return {"count": 0, "ok": 0, **dict.fromkeys(figures)}


def _figures(count: int, good: list[dict[str, Any]]) -> dict[str, Any]:
    """The `boots` of the document."""
    if not good:
        return {**no_boots(), "count": count}
    reports = [trial["report"] for trial in good]
    ready = sorted(report["ready_seconds"] for report in reports)
    return {
        "count": count,
        "ok": len(good),
        "p50_seconds": statistics.median(ready),
        # The nearest rank: of fewer than a hundred it is the slowest.
        "p99_seconds": ready[math.ceil(0.99 * len(ready)) - 1],
        "overhead_p50_seconds": statistics.median(one["overhead_seconds"] for one in reports),
        "memory_mb": max(one["memory_mb"] for one in reports),
    }


def _kill_root(root: int, below: list[int]) -> tuple[float, int]:
    """Kills a root.

    Returns:
        After how many seconds what was below it was gone, and how many never went; these are ended.
    """
    descriptors = {pid: descriptor for pid in below if (descriptor := _opened(pid)) is not None}
    waiting = dict(descriptors)
    os.kill(root, signal.SIGKILL)
    begun = time.monotonic()
    gone = 0.0
    while waiting and (spent := time.monotonic() - begun) < _LATE:
        ended, _, _ = select.select(list(waiting.values()), [], [], _LATE - spent)
        waiting = {
            pid: descriptor for pid, descriptor in waiting.items() if descriptor not in ended
        }
        gone = time.monotonic() - begun
    for descriptor in waiting.values():
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    for descriptor in descriptors.values():
        os.close(descriptor)
    return gone, len(waiting)


def _opened(pid: int) -> int | None:
    try:
        return _syscalls.open_pidfd(pid)
    except OSError:
        return None


def _fault(ended: Ended) -> str:
    """Why a trial failed."""
    error = (ended.result or {}).get("error")
    if error is None:
        return ended.told()
    causes = "".join(f": {cause}" for cause in error.get("causes", []))
    return f"{error['message']}{causes}".replace("\n", " ")


def _hint(subject: Subject, ended: Ended) -> str:
    """What to do about it: what the error says, and which checks found something."""
    error = (ended.result or {}).get("error") or {}
    hint = next(iter(error.get("hints", [])), "`symphony run -vv` shows each step of the boot")
    if subject.bad:
        hint += f"; see also the checks `{'`, `'.join(subject.bad)}`"
    return str(hint).replace("\n", " ")


def _milliseconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1.0 else f"{seconds * 1000:.1f} ms"
