"""The timeline of a boot and its runs as a file: Perfetto's `.json`, or the page of `_pictures.page`.

Times are microseconds after the call of `boot()`. A child process stands under its own number, and its spans lie on the
same clock: the kernel's monotonic one is one for all processes.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from symphony._pictures.waterfall import ENGINE, children, started

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from symphony._core import Diagnostic
    from symphony.batch import Tally


def write_trace(
    path: str, report: dict[str, Any], tally: Tally, about: Background | None = None
) -> None:
    """Writes the file, whole or not at all; its ending says which it is.

    Args:
        path: Where; what a link leads to is replaced, and not the link.
        report: The boot's report.
        tally: What became of the runs.
        about: What a page tells beside them.

    Raises:
        OSError: It cannot be written.
    """
    if path.endswith(".html"):
        from symphony._pictures.page import boot_page

        about = about or Background()
        text = boot_page(report, about.runs(tally), about.faults)
    else:
        text = json.dumps(_Trace().of(report, tally))
    _write_whole(os.path.realpath(path), text)


def _write_whole(path: str, text: str) -> None:
    beside = f"{path}.{os.getpid()}.part"
    try:
        out = open(beside, "x", encoding="utf-8")  # noqa: SIM115 - closed below, in either case.
    except OSError:
        # A folder in which nothing can be made may hold a file that can be written.
        with open(path, "w", encoding="utf-8") as there:
            there.write(text)
        return
    try:
        with out:
            out.write(text)
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


class Background:
    """What a page tells of runs and faults that their counts do not.

    Attributes:
        faults: The diagnostics of a boot that was refused, each with its whole text.
    """

    def __init__(
        self,
        results: list[dict[str, Any]] | None = None,
        melody: str | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Takes them together.

        Args:
            results: The first runs, as `run --json` tells them.
            melody: The file of their Melody.
            error: What ended the command.
        """
        found: Iterable[Diagnostic] = getattr(error, "diagnostics", None) or ()
        self.faults = [{**fault.to_dict(), "text": fault.text(os.getcwd())} for fault in found]
        self._results = results or []
        self._melody = melody

    def runs(self, tally: Tally) -> dict[str, Any] | None:
        """What the page draws of runs; nothing where nothing ran."""
        if not tally.spans:
            return None
        melody = None
        if self._melody is not None:
            from symphony._cli._graph.documents import melody_of

            melody = melody_of(self._melody)
        summary, spans = tally.to_dict(), tally.spans
        return {"summary": summary, "spans": spans, "results": self._results, "melody": melody}


class _Trace:
    """Trace events in the making: each process has named tracks, and spans of one track never overlap by a part."""

    def __init__(self) -> None:
        self._root = os.getpid()
        self._events: list[dict[str, Any]] = []
        self._tracks: dict[tuple[int, str], int] = {}
        self._free: dict[tuple[int, str], list[float]] = {}

    def of(self, report: dict[str, Any], tally: Tally) -> dict[str, Any]:
        """The whole document."""
        self._process(self._root, f"symphony {report['system']}")
        self._engine(report)
        self._components(report)
        self._child_processes(report)
        offset = report["ready_seconds"] or 0.0
        for name, began, ended, ok in sorted(tally.spans, key=lambda span: span[1]):
            span = {"started_at": offset + began, "seconds": ended - began}
            self._add_beside("runs", name, span, {"ok": ok})
        # Readers of traces pass over what they do not know; `symphony trace diff` reads it.
        return {
            "traceEvents": self._events,
            "displayTimeUnit": "ms",
            "symphony": {"report": report},
        }

    def _engine(self, report: dict[str, Any]) -> None:
        for span in report["spans"]:
            if span["name"] in ENGINE:
                # A component may have a phase's name.
                name = f"phase {span['phase']}" if span["name"] == "phase" else span["name"]
                self._add("phases", name, span, {"phase": span["phase"]})
            elif span["name"] == "stop":
                self._add_beside("stops", str(span["component"]), span, {})

    def _components(self, report: dict[str, Any]) -> None:
        for entry in started(report):
            details = {"status": entry["status"], "requires": entry["requires"]}
            if entry.get("reason"):
                details["reason"] = entry["reason"]
            self._add_beside(entry["phase"], entry["name"], entry, details)

    def _child_processes(self, report: dict[str, Any]) -> None:
        for name, spans in children(report).items():
            pid = spans[0]["pid"]
            if pid is not None:
                self._process(pid, name)
            for span in spans:
                details = {"component": name}
                track = "start" if pid is not None else f"process of {name}"
                self._add(track, span["name"], span, details, pid)

    def _process(self, pid: int, name: str) -> None:
        self._events.append(
            {"name": "process_name", "ph": "M", "pid": pid, "tid": 0, "args": {"name": name}}
        )

    def _add_beside(
        self, track: str, name: str, span: dict[str, Any], details: dict[str, Any]
    ) -> None:
        """Adds a span that may overlap others: it takes the first of the track's lanes that is free."""
        began = span["started_at"]
        free = self._free.setdefault((self._root, track), [])
        lane = next((i for i, until in enumerate(free) if until <= began), len(free))
        free[lane : lane + 1] = [began + span["seconds"]]
        self._add(track if lane == 0 else f"{track} {lane + 1}", name, span, details)

    def _add(
        self,
        track: str,
        name: str,
        span: dict[str, Any],
        details: dict[str, Any],
        pid: int | None = None,
    ) -> None:
        pid = self._root if pid is None else pid
        number = self._tracks.get((pid, track))
        if number is None:
            number = self._tracks[pid, track] = len(self._tracks) + 1
            self._events.append(
                {
                    "name": "thread_name",
                    "ph": "M",
                    "pid": pid,
                    "tid": number,
                    "args": {"name": track},
                }
            )
        self._events.append(
            {
                "name": name,
                "cat": track,
                "ph": "X",
                "ts": max(span["started_at"], 0.0) * 1e6,
                "dur": span["seconds"] * 1e6,
                "pid": pid,
                "tid": number,
                "args": details,
            }
        )
