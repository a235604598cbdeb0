"""The timeline of a boot and its runs as a file: Perfetto's `.json`, or one page of `.html`.

Times are microseconds after the call of `boot()`. A child process stands under its own number, and its spans lie on the
same clock: the kernel's monotonic one is one for all processes.
"""

from __future__ import annotations

import html
import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from symphony.batch import Tally

_STYLE = """
body{font:14px system-ui,sans-serif;margin:2em;color:#222}
.row{display:flex;height:20px;align-items:center}
.name{width:22em;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.lane{flex:1;position:relative;height:12px;background:#f3f3f3}
.bar{position:absolute;height:12px;min-width:2px;background:#4a7ebb}
.critical .bar{background:#c4692f}.failed .bar{background:#b3261e}
.child{color:#667;font-size:12px}.child .name{text-indent:1.5em}.child .bar{background:#9db8d9}
.stop .bar{background:#8c8c8c}
.time{width:7em;text-align:right}h2{margin:1.2em 0 .3em;font-size:1em}
"""
_ENGINE = ("phase", "gate", "wait", "rollback")
"""Spans of the engine itself; they lie inside each other or follow each other."""


def write_trace(path: str, report: dict[str, Any], tally: Tally) -> None:
    """Writes the file; its ending says which."""
    text = _page(report) if path.endswith(".html") else json.dumps(_Trace().of(report, tally))
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


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
        return {"traceEvents": self._events, "displayTimeUnit": "ms"}

    def _engine(self, report: dict[str, Any]) -> None:
        for span in report["spans"]:
            if span["name"] in _ENGINE:
                # A component may have a phase's name.
                name = f"phase {span['phase']}" if span["name"] == "phase" else span["name"]
                self._add("phases", name, span, {"phase": span["phase"]})
            elif span["name"] == "stop":
                self._add_beside("stops", str(span["component"]), span, {})

    def _components(self, report: dict[str, Any]) -> None:
        for entry in _started(report):
            details = {"status": entry["status"], "requires": entry["requires"]}
            if entry.get("reason"):
                details["reason"] = entry["reason"]
            self._add_beside(entry["phase"], entry["name"], entry, details)

    def _child_processes(self, report: dict[str, Any]) -> None:
        for name, spans in _children(report).items():
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


def _started(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The components that began, in the order of their starts."""
    begun = [entry for entry in report["components"] if entry["started_at"] is not None]
    return sorted(begun, key=lambda entry: entry["started_at"])


def _children(report: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The spans of child processes, by the component that each belongs to."""
    found: dict[str, list[dict[str, Any]]] = {}
    for span in report["spans"]:
        if span["name"] not in _ENGINE and span["name"] != "stop":
            found.setdefault(span["component"], []).append(span)
    return found


def _page(report: dict[str, Any]) -> str:
    """One page without scripts: a bar for each component, by phase, and one for each step of a child's start."""
    rows = list(_rows(report))
    whole = max((at + seconds for _, _, at, seconds in rows), default=0.0) or 1.0
    parts: list[str] = []
    for kind, text, at, seconds in rows:
        if kind == "head":
            parts.append(f"<h2>{html.escape(text)}</h2>")
            continue
        left, width = 100.0 * max(at, 0.0) / whole, 100.0 * seconds / whole
        parts.append(
            f'<div class="row {kind}"><span class="name">{html.escape(text)}</span>'
            f'<span class="lane"><span class="bar" style="left:{left:.3f}%;width:{width:.3f}%">'
            f'</span></span><span class="time">{seconds * 1e3:.1f} ms</span></div>'
        )
    name = html.escape(str(report["system"]))
    ready = f"ready in {report['ready_seconds'] * 1e3:.0f} ms; " if report["ready_seconds"] else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>'
        f"<style>{_STYLE}</style><h1>{name}</h1><p>{ready}the critical path is orange</p>"
        + "".join(parts)
        + "</html>\n"
    )


def _rows(report: dict[str, Any]) -> Iterator[tuple[str, str, float, float]]:
    """Kind, text, start and length of each line of the page."""
    critical = set(report["critical_path"])
    children = _children(report)
    phase = None
    for entry in _started(report):
        if entry["phase"] != phase:
            phase = entry["phase"]
            yield "head", str(phase), 0.0, 0.0
        kind = "critical" if entry["name"] in critical else ""
        kind = "failed" if entry["status"] == "failed" else kind
        yield kind, entry["name"], entry["started_at"], entry["seconds"]
        for span in children.get(entry["name"], []):
            text = span["name"] if span["pid"] is None else f"{span['name']} ({span['pid']})"
            yield "child", text, span["started_at"], span["seconds"]
    stops = [span for span in report["spans"] if span["name"] in ("rollback", "stop")]
    if stops:
        yield "head", "rollback", 0.0, 0.0
    for span in stops:
        yield "stop", str(span["component"] or "rollback"), span["started_at"], span["seconds"]
