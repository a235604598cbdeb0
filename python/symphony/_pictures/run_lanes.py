"""Runs of Melodies by lane, node by node.

Used by `page`. A run's bar lies where it was measured. Of a node the report knows how long its last call took, and not
when it began: its bar begins where all that it uses has ended, the earliest that it can have been. The page says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symphony._pictures.markup import escaped, seconds_text
from symphony._pictures.waterfall import Scale, line

if TYPE_CHECKING:
    from typing import Any

    Record = dict[str, Any]

_SHOWN = 40
_OPEN = 20


def run_lanes(runs: Record) -> str:
    """The rows of the first runs and of those that failed.

    Args:
        runs: `summary` of the tally, `spans` (name, start, end, outcome), `results` as `run --json` tells them, and the
            `melody` of the graph, where it is known.
    """
    spans: list[tuple[str, float, float, bool]] = runs["spans"]
    if not spans:
        return ""
    results: list[Record] = runs["results"]
    told = dict(enumerate(results))
    shown = [at for at, span in enumerate(spans) if at < _SHOWN or not span[3]][: 2 * _SHOWN]
    shown.sort(key=lambda at: spans[at][1])
    scale = Scale(max(ended for _, _, ended, _ in spans))
    needs = {node["id"]: node["needs"] for node in (runs["melody"] or {}).get("nodes", [])}
    rows = [_run_row(spans[at], told.get(at), needs, scale) for at in shown]
    summary = runs["summary"]
    text = (
        f"{summary['count']} runs: {summary['ok']} ok, {summary['failed']} failed, "
        f"in {seconds_text(summary['seconds'])} ({summary['per_second']:.1f} per second)."
    )
    if len(spans) > len(shown):
        text += f" {len(shown)} of them are drawn."
    note = (
        "A run lies where it was measured, after the first submission. A node is as long as its last call took, and "
        "begins where what it uses has ended: the earliest that it can have been."
    )
    return (
        f'<h2>Runs</h2><p>{escaped(text)}</p><div style="{scale.grid}">{scale.axis()}{"".join(rows)}</div>'
        f'<p class="soft">{note}</p>{_failures(runs)}'
    )


def _run_row(
    span: tuple[str, float, float, bool],
    result: Record | None,
    needs: dict[str, list[str]],
    scale: Scale,
) -> str:
    name, began, ended, ok = span
    time = seconds_text(ended - began)
    label = f"{name}: {'ok' if ok else 'failed'}, begins at {seconds_text(began)}, takes {time}"
    bar = scale.bar("whole", began, ended - began, label)
    kinds = "" if ok else "failed"
    row = line(f"{kinds} run", name if ok else f"{name} (failed)", bar, time, label)
    if result is None:
        return row
    ends: dict[str, float] = {}
    lines: list[str] = []
    for node in _in_order(result["nodes"], needs):
        begins = max(
            (ends[need] for need in needs.get(node["id"], []) if need in ends), default=began
        )
        if node.get("started_at") is not None:
            begins = began + node["started_at"]
        begins = max(began, min(begins, ended - node["seconds"]))
        ends[node["id"]] = begins + node["seconds"]
        time = seconds_text(node["seconds"]) if node["attempts"] else node["state"]
        label = f"{node['id']} calls {node['call']}: {node['state']}, {time}"
        if node["attempts"] > 1:
            label += f", {node['attempts']} attempts"
        bar = scale.bar("whole", begins, node["seconds"], label) if node["attempts"] else ""
        state = "failed" if node["state"] in ("failed", "skipped") and node["error"] else ""
        lines.append(line(f"node {state}", f"{node['id']}  {node['call']}", bar, time, label))
    return row + "".join(lines)


def _in_order(nodes: list[Record], needs: dict[str, list[str]]) -> list[Record]:
    """The nodes, each after what it uses; their number is small, and a Melody has no circle."""
    placed: dict[str, Record] = {}
    waiting = list(nodes)
    while waiting:
        names = {node["id"] for node in waiting}
        free = [node for node in waiting if not names & set(needs.get(node["id"], []))]
        for node in free or waiting:
            placed[node["id"]] = node
        waiting = [node for node in waiting if node["id"] not in placed]
    return list(placed.values())


def _failures(runs: Record) -> str:
    """The errors of runs, with what the other process said."""
    failed = [result for result in runs["results"] if result["error"] is not None][:_OPEN]
    parts = [error_text(result["error"], f"{result['name']} failed") for result in failed]
    return f"<h3>Runs that failed</h3>{''.join(parts)}" if parts else ""


def error_text(error: Record, what: str) -> str:
    """An error with its causes and hints."""
    place = [word for word in (error.get("phase"), error.get("component")) if word]
    parts = [
        f'<div class="fault" role="alert"><p><b class="bad">{escaped(what)}</b> <code>{escaped(error["code"])}</code>',
        f" in {escaped(', '.join(place))}" if place else "",
        f"</p><pre>{escaped(error['message'])}</pre>",
    ]
    parts += [f"<p>Caused by: {escaped(cause)}</p>" for cause in error["causes"]]
    parts += [f'<p class="hint">hint: {escaped(hint)}</p>' for hint in error["hints"]]
    for key, title in (("traceback", "traceback"), ("stderr", "last lines")):
        if error.get(key):
            told = error[key] if isinstance(error[key], str) else "\n".join(map(str, error[key]))
            parts.append(f"<details><summary>{title}</summary><pre>{escaped(told)}</pre></details>")
    return "".join([*parts, "</div>"])
