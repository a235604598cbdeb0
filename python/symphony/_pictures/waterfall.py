"""The waterfall of a boot: a row for each phase and component over all processes, with the steps of child processes.

Used by `page`. The invariant kept here: each bar lies where the report says, on one scale, and what a bar shows is
told in words too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symphony._pictures.markup import escaped, seconds_text

if TYPE_CHECKING:
    from typing import Any

    Record = dict[str, Any]

ENGINE = ("phase", "gate", "wait", "rollback")
"""Spans of the engine itself."""
STEPS = {
    "exec": "exec",
    "fork": "fork",
    "set-up": "set-up",
    "import": "import",
    "warm image": "warm-image",
    "handshake": "handshake",
    "ready": "ready-step",
    "start": "start",
}
"""What child processes do while they start, and how it is shown."""
_TICKS = 8


class Scale:
    """The seconds that a row is wide."""

    def __init__(self, seconds: float) -> None:
        """A row shows so many seconds."""
        self.seconds = seconds if seconds > 0 else 1.0
        rough = self.seconds / _TICKS
        power = 10.0 ** _exponent(rough)
        self.step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)

    def bar(self, kind: str, began: float, seconds: float, title: str) -> str:
        """A bar of that length."""
        left = 100.0 * max(began, 0.0) / self.seconds
        width = min(100.0 * seconds / self.seconds, 100.0 - min(left, 100.0))
        return (
            f'<span class="bar {kind}" style="left:{left:.3f}%;width:{max(width, 0.0):.3f}%" '
            f'title="{escaped(title)}"></span>'
        )

    def axis(self) -> str:
        """The line of times above rows."""
        count = int(self.seconds / self.step)
        marks = [
            f'<i style="left:{100.0 * at * self.step / self.seconds:.3f}%">'
            f"{escaped(seconds_text(at * self.step)) if at else '0'}</i>"
            for at in range(count + 1)
            if at * self.step < 0.97 * self.seconds
        ]
        return (
            f'<div class="axis" aria-hidden="true"><span></span><span class="ticks">{"".join(marks)}'
            "</span><span></span></div>"
        )

    @property
    def grid(self) -> str:
        """The style of what holds rows."""
        return f"--step:{100.0 * self.step / self.seconds:.4f}%"


def _exponent(number: float) -> int:
    exponent = 0
    while number >= 10.0:
        number, exponent = number / 10.0, exponent + 1
    while number < 1.0 and exponent > -9:
        number, exponent = number * 10.0, exponent - 1
    return exponent


def line(kinds: str, name: str, bars: str, time: str, label: str, more: str = "") -> str:
    """A row: name, lane, time; with more it can be opened.

    Args:
        kinds: Its classes.
        name: What it is of.
        bars: The markup of its bars.
        time: What stands at its end.
        label: The same in words.
        more: Markup that is shown when it is opened.
    """
    inner = (
        f'<span class="name" title="{escaped(name)}">{escaped(name)}</span>'
        f'<span class="lane" role="img" aria-label="{escaped(label)}">{bars}</span>'
        f'<span class="time">{escaped(time)}</span>'
    )
    if not more:
        return f'<div class="plain {kinds}">{inner}</div>'
    return (
        f'<details class="row {kinds}"><summary>{inner}</summary><div class="more">{more}</div>'
        "</details>"
    )


def waterfall(report: Record) -> str:
    """All rows, phase by phase."""
    whole = [entry["started_at"] + entry["seconds"] for entry in started(report)]
    whole += [
        span["started_at"] + span["seconds"]
        for span in report["spans"]
        if span["name"] not in ("rollback", "stop")
    ]
    scale = Scale(max([*whole, report["ready_seconds"] or 0.0]))
    critical = set(report["critical_path"])
    steps = children(report)
    parts = [f'<div style="{scale.grid}">', scale.axis()]
    for phase in report["phases"]:
        parts.append(_phase_row(report, phase, scale))
        inside = [entry for entry in started(report) if entry["phase"] == phase["name"]]
        parts += [
            _component_row(entry, steps.get(entry["name"], []), entry["name"] in critical, scale)
            for entry in inside
        ]
    return "".join([*parts, "</div>"])


def started(report: Record) -> list[Record]:
    """The components that began, in the order of their starts."""
    begun = [entry for entry in report["components"] if entry["started_at"] is not None]
    return sorted(begun, key=lambda entry: entry["started_at"])


def children(report: Record) -> dict[str, list[Record]]:
    """The spans of child processes, by the component that each belongs to."""
    found: dict[str, list[Record]] = {}
    for span in report["spans"]:
        if span["name"] not in ENGINE and span["name"] != "stop":
            found.setdefault(span["component"], []).append(span)
    return found


def _phase_row(report: Record, phase: Record, scale: Scale) -> str:
    spans = [span for span in report["spans"] if span["phase"] == phase["name"]]
    bars = "".join(
        scale.bar(
            span["name"],
            span["started_at"],
            span["seconds"],
            f"{span['name']} {phase['name']}: {seconds_text(span['seconds'])}",
        )
        for kind in ("phase", "wait", "gate")
        for span in spans
        if span["name"] == kind
    )
    label = f"phase {phase['name']}: {phase['status']}, {seconds_text(phase['seconds'])}"
    over = ""
    if phase["budget_seconds"] is not None:
        label += f" of {seconds_text(phase['budget_seconds'])}"
        over = " failed" if phase["seconds"] > phase["budget_seconds"] else ""
    failed = " failed" if phase["status"] == "failed" else over
    return line(f"head{failed}", phase["name"], bars, _phase_time(phase), label)


def _phase_time(phase: Record) -> str:
    return "skipped" if phase["status"] == "skipped" else seconds_text(phase["seconds"])


def _component_row(entry: Record, steps: list[Record], is_critical: bool, scale: Scale) -> str:
    label = (
        f"{entry['name']}: {entry['status']}, begins at {seconds_text(entry['started_at'])}, "
        f"takes {seconds_text(entry['seconds'])}{', on the critical path' if is_critical else ''}"
    )
    bars = scale.bar("whole", entry["started_at"], entry["seconds"], label)
    for span in steps:
        title = f"{span['name']}: {seconds_text(span['seconds'])}"
        kind = f"step {STEPS.get(span['name'], 'start')}"
        bars += scale.bar(kind, span["started_at"], span["seconds"], title)
    kinds = [word for word, holds in (("critical", is_critical), ("stepped", bool(steps))) if holds]
    kinds += [entry["status"]] if entry["status"] in ("failed", "degraded") else []
    name = f"{entry['name']} ({entry['status']})" if entry["status"] == "failed" else entry["name"]
    time = seconds_text(entry["seconds"])
    return line(" ".join(kinds), name, bars, time, label, _more(entry, steps))


def _more(entry: Record, steps: list[Record]) -> str:
    """What is told of a component when its row is opened."""
    rows = [("status", entry["status"]), ("begins at", seconds_text(entry["started_at"]))]
    if entry["requires"]:
        rows.append(("requires", ", ".join(entry["requires"])))
    if entry.get("attempts", 1) > 1:
        rows.append(("attempts", entry["attempts"]))
    if entry.get("reason"):
        rows.append(("reason", entry["reason"]))
    table = "".join(
        f"<tr><th>{escaped(what)}</th><td>{escaped(told)}</td></tr>" for what, told in rows
    )
    for span in steps:
        pid = "" if span["pid"] is None else f" ({span['pid']})"
        table += (
            f"<tr><td>{escaped(span['name'])}{escaped(pid)}</td>"
            f"<td>{escaped(seconds_text(span['seconds']))}, from {escaped(seconds_text(span['started_at']))}</td></tr>"
        )
    return f"<table>{table}</table>"


def rollback(report: Record) -> str:
    """The rows of what was stopped; nothing where nothing was."""
    stops = [span for span in report["spans"] if span["name"] in ("rollback", "stop")]
    if not stops:
        return ""
    began = min(span["started_at"] for span in stops)
    scale = Scale(max(span["started_at"] + span["seconds"] for span in stops) - began)
    rows: list[str] = []
    for span in stops:
        name = str(span["component"] or "rollback")
        time = seconds_text(span["seconds"])
        bar = scale.bar("stop", span["started_at"] - began, span["seconds"], f"{name}: {time}")
        kinds = "" if span["component"] else "head"
        rows.append(line(kinds, name, bar, time, f"{name}: stopped in {time}"))
    return f'<h2>rollback</h2><div style="{scale.grid}">{scale.axis()}{"".join(rows)}</div>'


def legend() -> str:
    """What the colours are."""
    kinds = [
        ("background:var(--bar)", "start of a component"),
        ("background:var(--critical)", "on the critical path"),
        ("background:var(--engine)", "phase"),
        ("background:var(--gate)", "gate"),
        ("background:var(--fork)", "fork, exec"),
        ("background:var(--setup)", "set-up"),
        ("background:var(--import)", "import, warm image"),
        ("background:var(--hand)", "handshake"),
        ("background:var(--ready)", "ready"),
    ]
    items = [f'<li><i style="{style}"></i>{text}</li>' for style, text in kinds]
    return f'<ul class="legend">{"".join(items)}</ul>'
