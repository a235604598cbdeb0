"""The component graph as one SVG picture: a band for each phase, a row for each wave in it.

Called by `symphony graph --format svg` with the graph's own JSON. The invariant kept here: the same
graph gives the same picture, and names cannot break out of it.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_BOX, _HEIGHT, _GAP, _ROW, _MARGIN = 150, 28, 20, 70, 24
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#222}.phase{font-weight:bold}"
    ".band{fill:#f3f3f3}.box{fill:#fff;stroke:#4a7ebb}.optional{stroke-dasharray:4 3}"
    ".edge{fill:none;stroke:#888}.late{stroke-dasharray:4 3}"
)


def draw(graph: dict[str, Any]) -> str:
    """The picture of a graph.

    Args:
        graph: What `symphony graph --format json` prints.
    """
    rows = _rows(graph)
    widest = max((len(row) for _, row in rows), default=1)
    width = 2 * _MARGIN + widest * (_BOX + _GAP) + _GAP
    height = 2 * _MARGIN + len(rows) * _ROW
    places: dict[str, tuple[int, int]] = {}
    body: list[str] = []
    shown = None
    for number, (phase, row) in enumerate(rows):
        top = _MARGIN + number * _ROW
        body.append(
            f'<rect class="band" x="{_MARGIN}" y="{top}" width="{width - 2 * _MARGIN}" '
            f'height="{_ROW}"/>'
        )
        if phase != shown:
            shown = phase
            label = html.escape(phase)
            body.append(f'<text class="phase" x="{_MARGIN + 6}" y="{top + 14}">{label}</text>')
        for place, entry in enumerate(row):
            places[entry["name"]] = (_MARGIN + _GAP + place * (_BOX + _GAP), top + 26)
    lines = [_edge(places, entry["name"], need) for _, row in rows for entry in row
             for need in entry["needs"]]  # fmt: skip
    boxes = [_box(entry, *places[entry["name"]]) for _, row in rows for entry in row]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><style>{_STYLE}</style>\n'
        + "\n".join([*body, *filter(None, lines), *boxes])
        + "\n</svg>\n"
    )


def _rows(graph: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The components by phase and wave, in the order of the plan."""
    rows: list[tuple[str, list[dict[str, Any]]]] = []
    for phase in graph["phases"]:
        waves: dict[int, list[dict[str, Any]]] = {}
        for entry in graph["components"]:
            if entry["phase"] == phase:
                waves.setdefault(entry["wave"], []).append(entry)
        rows.extend((phase, waves[wave]) for wave in sorted(waves))
    return rows


def _edge(places: dict[str, tuple[int, int]], name: str, need: dict[str, Any]) -> str:
    """The line from a component up to one that it needs; nothing for one that is absent."""
    target = places.get(need["name"] or "")
    if target is None:
        return ""
    left, top = places[name]
    kind = "edge late" if need["kind"] == "late" else "edge"
    start, end = left + _BOX // 2, target[0] + _BOX // 2
    bottom = target[1] + _HEIGHT
    bend = max(20, abs(top - bottom) // 2)
    return (
        f'<path class="{kind}" d="M{start} {top}C{start} {top - bend} {end} {bottom + bend} '
        f'{end} {bottom}"/>'
    )


def _box(entry: dict[str, Any], left: int, top: int) -> str:
    name = html.escape(entry["name"])
    kind = "box" if entry["required"] else "box optional"
    return (
        f'<g><title>{name}</title><rect class="{kind}" x="{left}" y="{top}" width="{_BOX}" '
        f'height="{_HEIGHT}" rx="4"/><text x="{left + _BOX // 2}" y="{top + 18}" '
        f'text-anchor="middle">{name}</text></g>'
    )
