"""The page of a boot: one file that needs no network and runs no script, made of the report and of nothing else.

Called by `symphony run --trace x.html` and, without its frame, by notebooks. The invariant kept here: every figure is
the report's own; what is drawn stands in a table too; and no name can break out of its place.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from symphony._pictures.graph_svg import draw
from symphony._pictures.markup import escaped, seconds_text
from symphony._pictures.page_style import STYLE
from symphony._pictures.run_lanes import error_text, run_lanes
from symphony._pictures.waterfall import legend, rollback, started, waterfall

if TYPE_CHECKING:
    from typing import Any

    Record = dict[str, Any]

_FIGURES = (
    ("ready_seconds", "ready", "from the call of boot()"),
    ("since_launch_seconds", "since launch", "from the start of the process"),
    ("overhead_seconds", "overhead", "nothing but Symphony at work"),
    ("infrastructure_seconds", "infrastructure", "to the Orchestra Kit's gate"),
    ("memory_mb", "memory", "rise of the peak, MiB"),
)
IMPORT = "import "
"""How the name of an import beside the engine begins."""


def boot_page(
    report: Record, runs: Record | None = None, faults: list[Record] | None = None
) -> str:
    """The page.

    Args:
        report: The boot's report, as `BootReport.to_json()` has it.
        runs: What became of runs, as `run_lanes` takes it.
        faults: The diagnostics of a plan at fault, each with its whole `text`.
    """
    title = str(report["system"] or "symphony")
    data = {"report": report, "runs": runs, "diagnostics": faults or []}
    # What ends a script element must not stand in it, also in a text.
    text = json.dumps(data).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escaped(title)}: boot</title><style>{STYLE}</style></head><body><main>'
        f"{body(report, runs, faults)}</main>"
        f'<script type="application/json" id="symphony-data">{text}</script></body></html>\n'
    )


def body(report: Record, runs: Record | None = None, faults: list[Record] | None = None) -> str:
    """What the page shows, without its frame; the arguments are those of `boot_page`."""
    parts = [f"<h1>{escaped(report['system'] or 'symphony')}</h1>", _lead(report), _cards(report)]
    parts += [_fault_text(fault) for fault in faults or []]
    if report["error"] is not None and not faults:
        parts.append(
            error_text(report["error"], "The boot failed:" if not report["ok"] else "Failed:")
        )
    if report["components"]:
        parts += [_violations(report), _path(report), beside_imports(report)]
        parts += ["<h2>Waterfall</h2>", legend(), waterfall(report), rollback(report)]
    if runs is not None:
        parts.append(run_lanes(runs))
    if report["components"]:
        parts += [_graph(report, runs), _tables(report)]
    return "".join(parts)


def _lead(report: Record) -> str:
    if report["ok"]:
        ready = seconds_text(report["ready_seconds"] or 0.0)
        # A report of an earlier version does not say.
        state = report.get("state", "healthy")
        if state != "healthy":
            return f'<p class="lead bad">Ready in {escaped(ready)}, {escaped(state)}.</p>'
        return f'<p class="lead">Ready in {escaped(ready)}.</p>'
    if report["ready_seconds"] is not None:
        text = f"Ready in {seconds_text(report['ready_seconds'])}; something failed afterwards."
        return f'<p class="lead bad">{escaped(text)}</p>'
    return '<p class="lead bad">It was never ready.</p>'


def figure_text(key: str, value: float) -> str:
    """A figure of the report as people read it."""
    return f"{value:.1f} MiB" if key == "memory_mb" else seconds_text(value)


def _cards(report: Record) -> str:
    over = {entry["name"] for entry in report["budget_violations"]}
    cards = [
        f"<li{' class=over' if name.split()[0] in over else ''}><b>"
        f'<data value="{report[key]!r}">{escaped(figure_text(key, report[key]))}</data></b>{name} '
        f"<span>{told}</span></li>"
        for key, name, told in _FIGURES
        if report[key] is not None
    ]
    return f'<ul class="cards">{"".join(cards)}</ul>' if cards else ""


def _fault_text(fault: Record) -> str:
    kind = "bad" if fault["severity"] == "error" else "soft"
    # Its text begins with the severity and ends with the hint.
    text = fault["text"].partition(": ")[2].partition("\nhint: ")[0]
    hint = f'<p class="hint">hint: {escaped(fault["hint"])}</p>' if fault["hint"] else ""
    return (
        f'<div class="fault" role="alert"><p><b class="{kind}">{escaped(fault["severity"])}</b> '
        f"<code>{escaped(fault['code'])}</code></p><pre>{escaped(text)}</pre>{hint}</div>"
    )


def _violations(report: Record) -> str:
    from symphony._core import budget_text

    rows = "".join(
        f'<tr><td>{escaped(entry["name"])}</td><td class="n">{escaped(budget_text(entry["name"], entry["limit"]))}</td>'
        f'<td class="n bad">{escaped(budget_text(entry["name"], entry["actual"]))}</td>'
        f'<td class="n">{escaped(budget_text(entry["name"], entry["actual"] - entry["limit"]))}</td></tr>'
        for entry in report["budget_violations"]
    )
    if not rows:
        return ""
    head = "<tr><th>budget</th><th class=n>limit</th><th class=n>actual</th><th class=n>too much</th></tr>"
    return f"<h2>Budgets that were exceeded</h2><table>{head}{rows}</table>"


def _path(report: Record) -> str:
    if not report["critical_path"]:
        return ""
    sooner = {entry["name"]: entry["seconds"] for entry in report["savings"]}
    took = {entry["name"]: entry["seconds"] for entry in report["components"]}
    items = []
    for name in report["critical_path"]:
        told = [seconds_text(took[name])] if name in took else []
        if sooner.get(name):
            told.append(f"{seconds_text(sooner[name])} sooner without")
        items.append(f"<li>{escaped(name)} <small>{escaped(', '.join(told))}</small></li>")
    return (
        f'<h2>Critical path</h2><ol class="path">{"".join(items)}</ol>'
        "<p class=soft>What the boot waited for, one after the other. What a step would save is less than its "
        "length where another way is nearly as long.</p>"
    )


def beside_imports(report: Record) -> str:
    """What ran while a module of components, or the Conductor's, was imported on the calling thread."""
    parts = []
    for entry in started(report):
        if not entry["name"].startswith(IMPORT):
            continue
        began, ended = entry["started_at"], entry["started_at"] + entry["seconds"]
        others = [
            one
            for one in started(report)
            if one is not entry
            and one["started_at"] < ended
            and one["started_at"] + one["seconds"] > began
        ]
        covered = _covered(
            [(one["started_at"], one["started_at"] + one["seconds"]) for one in others],
            began,
            ended,
        )
        rows = "".join(
            f'<tr><td>{escaped(one["name"])}</td><td class="n">'
            f"{escaped(seconds_text(min(one['started_at'] + one['seconds'], ended) - max(one['started_at'], began)))}"
            f'</td><td class="n">{escaped(seconds_text(one["seconds"]))}</td></tr>'
            for one in others
        )
        text = (
            f"took {seconds_text(entry['seconds'])} on the calling thread. During {seconds_text(covered)} of it "
            f"something else started beside it; {seconds_text(max(entry['seconds'] - covered, 0.0))} it was alone."
        )
        head = "<tr><th>component</th><th class=n>beside it</th><th class=n>whole start</th></tr>"
        parts.append(
            f"<p><code>{escaped(entry['name'])}</code> {escaped(text)}</p>"
            f"<details><summary>{len(others)} starts beside it</summary><table>{head}{rows}</table></details>"
        )
    return f"<h2>Beside the import</h2>{''.join(parts)}" if parts else ""


def _covered(spans: list[tuple[float, float]], began: float, ended: float) -> float:
    """The length of what some of these spans cover."""
    whole, at = 0.0, began
    for start, end in sorted(spans):
        more = min(end, ended) - max(start, at)
        if more > 0:
            whole, at = whole + more, min(end, ended)
    return whole


def graph_document(report: Record) -> Record:
    """The graph of a report, as `draw` takes it."""
    critical = set(report["critical_path"])
    components = [
        {
            "name": entry["name"],
            "phase": entry["phase"],
            "required": entry["status"] != "degraded",
            "critical": entry["name"] in critical,
            "bad": entry["status"] == "failed",
            "note": None if entry["started_at"] is None else seconds_text(entry["seconds"]),
            "needs": [{"name": name, "kind": "one"} for name in entry["requires"]],
        }
        for entry in report["components"]
    ]
    phases = [phase["name"] for phase in report["phases"]]
    return {"phases": phases, "components": components, "melodies": []}


def _graph(report: Record, runs: Record | None) -> str:
    document = graph_document(report)
    if runs is not None and runs["melody"] is not None:
        document["melodies"] = [runs["melody"]]
    picture = draw(document, "what each component needs", embedded=True)
    return (
        '<h2>Component graph</h2><p class="soft">An arrow leads to what is needed; orange is the critical path.</p>'
        f'<div class="scroll" tabindex="0" role="group" aria-label="component graph">{picture}</div>'
    )


def _tables(report: Record) -> str:
    """Every figure of the pictures as a table."""
    rows = "".join(
        f'<tr><td>{escaped(entry["name"])}</td><td class="wide">{escaped(entry["phase"])}</td>'
        f"<td>{escaped(entry['status'])}</td>{_cell(entry['started_at'])}{_cell(entry['seconds'])}"
        f'<td class="wide">{escaped(", ".join(entry["requires"]))}</td></tr>'
        for entry in report["components"]
    )
    head = (
        '<tr><th scope="col">component</th><th scope="col" class="wide">phase</th><th scope="col">status</th>'
        '<th scope="col" class="n">begins</th><th scope="col" class="n">takes</th>'
        '<th scope="col" class="wide">requires</th></tr>'
    )
    phases = "".join(
        f"<tr><td>{escaped(phase['name'])}</td><td>{escaped(phase['status'])}</td>{_cell(phase['seconds'])}"
        f"{_cell(phase['budget_seconds'])}</tr>"
        for phase in report["phases"]
    )
    phase_head = (
        '<tr><th scope="col">phase</th><th scope="col">status</th><th scope="col" class="n">takes</th>'
        '<th scope="col" class="n">budget</th></tr>'
    )
    return (
        f'<h2>All figures</h2><table id="phases"><caption class="soft">phases</caption>{phase_head}{phases}</table>'
        f'<div class="scroll" tabindex="0" role="group" aria-label="components"><table id="components">'
        f'<caption class="soft">components</caption>{head}{rows}</table></div>'
    )


def _cell(seconds: float | None) -> str:
    if seconds is None:
        return '<td class="n">-</td>'
    return f'<td class="n"><data value="{seconds!r}">{escaped(seconds_text(seconds))}</data></td>'
