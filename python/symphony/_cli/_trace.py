"""The timeline of a boot and its runs as a file: Perfetto's `.json`, or one page of `.html`."""

from __future__ import annotations

import html
import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from symphony._cli._batch import Tally

_STYLE = """
body{font:14px system-ui,sans-serif;margin:2em;color:#222}
.row{display:flex;height:20px;align-items:center}
.name{width:22em;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.lane{flex:1;position:relative;height:12px;background:#f3f3f3}
.bar{position:absolute;height:12px;min-width:2px;background:#4a7ebb}
.critical .bar{background:#c4692f}.failed .bar{background:#b3261e}
.time{width:7em;text-align:right}h2{margin:1.2em 0 .3em;font-size:1em}
"""


def write_trace(path: str, report: dict[str, Any], tally: Tally) -> None:
    """Writes the file; its ending says which."""
    text = _page(report) if path.endswith(".html") else json.dumps(_events(report, tally))
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def _events(report: dict[str, Any], tally: Tally) -> dict[str, Any]:
    """Trace events: one track for each phase, and one for the runs that overlap."""
    process = os.getpid()
    events: list[dict[str, Any]] = []
    tracks: dict[str, int] = {}

    def add(track: str, name: str, start: float, seconds: float, details: dict[str, Any]) -> None:
        number = tracks.setdefault(track, len(tracks) + 1)
        events.append(
            {
                "name": name,
                "cat": track,
                "ph": "X",
                "ts": start * 1e6,
                "dur": seconds * 1e6,
                "pid": process,
                "tid": number,
                "args": details,
            }
        )

    for entry in _started(report):
        details = {"status": entry["status"], "requires": entry["requires"]}
        add(entry["phase"], entry["name"], entry["started_at"], entry["seconds"], details)
    offset = report["ready_seconds"] or 0.0
    free_at: list[float] = []
    for name, began, ended, ok in sorted(tally.spans, key=lambda span: span[1]):
        # Runs overlap and spans of one track must not: each takes the first track that is free.
        lane = next((i for i, free in enumerate(free_at) if free <= began), len(free_at))
        free_at[lane : lane + 1] = [ended]
        add(f"runs {lane + 1}", name, offset + began, ended - began, {"ok": ok})
    for track, number in tracks.items():
        events.append(
            {
                "name": "thread_name",
                "ph": "M",
                "pid": process,
                "tid": number,
                "args": {"name": track},
            }
        )
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _started(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The components that began, in the order of their starts."""
    begun = [entry for entry in report["components"] if entry["started_at"] is not None]
    return sorted(begun, key=lambda entry: entry["started_at"])


def _page(report: dict[str, Any]) -> str:
    """One page without scripts: a bar for each component, by phase."""
    entries = _started(report)
    whole = max((entry["started_at"] + entry["seconds"] for entry in entries), default=0.0) or 1.0
    critical = set(report["critical_path"])
    rows: list[str] = []
    phase = None
    for entry in entries:
        if entry["phase"] != phase:
            phase = entry["phase"]
            rows.append(f"<h2>{html.escape(str(phase))}</h2>")
        kind = "critical" if entry["name"] in critical else ""
        kind = "failed" if entry["status"] == "failed" else kind
        left = 100.0 * entry["started_at"] / whole
        width = 100.0 * entry["seconds"] / whole
        rows.append(
            f'<div class="row {kind}"><span class="name">{html.escape(entry["name"])}</span>'
            f'<span class="lane"><span class="bar" style="left:{left:.3f}%;width:{width:.3f}%">'
            f'</span></span><span class="time">{entry["seconds"] * 1e3:.1f} ms</span></div>'
        )
    name = html.escape(str(report["system"]))
    ready = f"ready in {report['ready_seconds'] * 1e3:.0f} ms" if report["ready_seconds"] else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>'
        f"<style>{_STYLE}</style><h1>{name}</h1><p>{ready}; the critical path is orange</p>"
        + "".join(rows)
        + "</html>\n"
    )
