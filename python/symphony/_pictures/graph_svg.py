"""The component graph as one SVG picture: a band for each phase and each Melody, an arrow to what is needed.

Called by `symphony graph --format svg` and by the page of a boot, with the graph's document. The invariant kept here:
the same graph gives the same picture, names cannot break out of it, and it needs nothing from outside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symphony._pictures.graph_layers import Box, Edge, Layout
from symphony._pictures.markup import escaped, shortened, width_of

if TYPE_CHECKING:
    from typing import Any

_LETTER, _SMALL = 7.0, 5.8
_LEFT, _MOST = 122.0, 1080.0
_STYLE = (
    ".symphony-graph{background:#fff;--ink:#1d2430;--soft:#5b6675;--band:#f1f4f8;--box:#fff;--line:#3f6ea8;--edge:#7a8798;"
    "--bad:#b3261e;--warm:#b25a12}"
    "@media (prefers-color-scheme:dark){.symphony-graph{background:#14181f;--ink:#e4e9f0;--soft:#9aa7b8;--band:#1d232d;"
    "--box:#262e3a;--line:#7fa9dd;--edge:#8794a6;--bad:#ff8a80;--warm:#f0a35e}}"
    ".symphony-graph text{font:12px system-ui,sans-serif;fill:var(--ink)}"
    ".symphony-graph .small{font-size:10px;fill:var(--soft)}"
    ".symphony-graph .phase{font-weight:600;fill:var(--soft)}.symphony-graph .band{fill:var(--band)}"
    ".symphony-graph .box{fill:var(--box);stroke:var(--line);stroke-width:1.2}"
    ".symphony-graph .lazy{stroke-dasharray:5 3}.symphony-graph .optional{stroke-dasharray:2 2}"
    ".symphony-graph .conductor,.symphony-graph .critical{stroke:var(--warm);stroke-width:2}"
    ".symphony-graph .bad{stroke:var(--bad);stroke-width:2}"
    ".symphony-graph .edge{fill:none;stroke:var(--edge);stroke-width:1.1}"
    ".symphony-graph .dashed{stroke-dasharray:5 3}.symphony-graph .ring{stroke:var(--bad);stroke-width:1.8}"
    ".symphony-graph .tip{fill:var(--edge)}.symphony-graph .badtip{fill:var(--bad)}"
)
_TIPS = "".join(
    f'<marker id="{name}" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8" orient="auto" '
    f'markerUnits="userSpaceOnUse"><polygon class="{kind}" points="0,0.8 8,4 0,7.2"/></marker>'
    for name, kind in (("symphony-tip", "tip"), ("symphony-badtip", "badtip"))
)


class _Node:
    """A box with what is written in and on it."""

    __slots__ = ("band", "kinds", "lines", "title")

    def __init__(self, band: int, title: str, lines: list[str], kinds: list[str]) -> None:
        self.band = band
        self.title = title
        self.lines = lines
        self.kinds = kinds

    @property
    def width(self) -> float:
        """As wide as its longest line."""
        widths = [width_of(line, _SMALL if at else _LETTER) for at, line in enumerate(self.lines)]
        return max(48.0, max(widths) + 18.0)

    @property
    def height(self) -> float:
        """Of one line or two."""
        return 14.0 + 14.0 * len(self.lines)


class _Panel:
    """A part of the picture that has its own layout: the components, or one Melody."""

    __slots__ = ("bands", "edges", "heading", "height", "known", "layout", "nodes", "width")

    def __init__(self, bands: list[str], heading: str | None = None) -> None:
        self.bands = bands
        self.heading = heading
        self.nodes: dict[str, _Node] = {}
        self.edges: list[tuple[str, str, str]] = []

    def settle(self) -> None:
        """Finds the places; to be called once, when all is in it."""
        self.known = [one for one in self.edges if one[0] in self.nodes and one[1] in self.nodes]
        boxes = [Box(key, node.band, node.width, node.height) for key, node in self.nodes.items()]
        closing = _closing([pair[:2] for pair in self.known if pair[2] != "late"])
        plain = [
            Edge(one, other, kind == "late" or (one, other) in closing)
            for one, other, kind in self.known
        ]
        self.layout = Layout(boxes, plain, _MOST, _LEFT)
        self.width = self.layout.width + 6
        self.height = self.layout.height + self.above

    @property
    def above(self) -> float:
        """The room for its heading."""
        return 22.0 if self.heading is not None else 0.0

    def drawn(self, top: float, width: float) -> list[str]:
        """Its markup from that height on, in a picture of that width."""
        layout, above = self.layout, self.above
        parts = [f'<g transform="translate(0 {top + above:.1f})">']
        for band, (upper, lower) in sorted(layout.bands.items()):
            parts.append(
                f'<rect class="band" x="6" y="{upper - 10 - above:.1f}" width="{width - 12:.1f}" '
                f'height="{lower - upper + 20 + above:.1f}" rx="6"/>'
            )
            if self.heading is None:
                label = escaped(shortened(self.bands[band], 16))
                middle = (upper + lower) / 2 + 4
                parts.append(f'<text class="phase" x="14" y="{middle:.1f}">{label}</text>')
            else:
                label = escaped(shortened(self.heading, 80))
                parts.append(f'<text class="phase" x="14" y="{upper - 12:.1f}">{label}</text>')
        for (_, _, kind), way in zip(self.known, layout.ways):
            tip = "badtip" if kind == "ring" else "tip"
            parts.append(
                f'<path class="{_edge_class(kind)}" d="{_curve(way)}" '
                f'marker-end="url(#symphony-{tip})"/>'
            )
        for key, node in self.nodes.items():
            parts.append(_box(node, layout.centers[key], layout.tops[key]))
        return [*parts, "</g>"]


def draw(
    document: dict[str, Any], title: str = "the component graph", *, embedded: bool = False
) -> str:
    """The picture of a graph.

    Args:
        document: What `symphony graph --format json` prints.
        title: What it is read out as.
        embedded: It stands in a page of HTML, where it needs no name space.
    """
    panels = [_of_components(document), *map(_of_melody, document["melodies"])]
    for panel in panels:
        panel.settle()
    width = max(400.0, *(panel.width for panel in panels))
    height = 0.0
    body: list[str] = []
    for panel in panels:
        body += panel.drawn(height, width)
        height += panel.height
    space = "" if embedded else ' xmlns="http://www.w3.org/2000/svg"'
    head = (
        f'<svg{space} class="symphony-graph" role="img" '
        f'aria-label="{escaped(title)}" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">'
    )
    return "\n".join([head, f"<style>{_STYLE}</style><defs>{_TIPS}</defs>", *body, "</svg>"]) + "\n"


def _of_components(document: dict[str, Any]) -> _Panel:
    panel = _Panel(document["phases"])
    for entry in document["components"]:
        kinds = ["box"]
        if entry.get("activation") == "lazy":
            kinds.append("lazy")
        elif not entry.get("required", True):
            kinds.append("optional")
        kinds += [word for word in ("critical", "bad") if entry.get(word)]
        kinds += ["conductor"] if entry.get("kind") == "conductor" else []
        kinds += ["bad"] if entry.get("in_cycle") else []
        lines = [shortened(entry["name"], 30)]
        lines += [entry["note"]] if entry.get("note") else []
        band = panel.bands.index(entry["phase"])
        panel.nodes[entry["name"]] = _Node(band, entry["name"], lines, kinds)
    ring = {entry["name"] for entry in document["components"] if entry.get("in_cycle")}
    for entry in document["components"]:
        for need in entry["needs"]:
            kind = need["kind"]
            kind = "ring" if {entry["name"], need["name"]} <= ring and kind != "late" else kind
            panel.edges.append((entry["name"], need["name"], kind))
    return panel


def _of_melody(melody: dict[str, Any]) -> _Panel:
    panel = _Panel([melody["name"]], f"Melody {melody['name']}")
    for node in melody["nodes"]:
        title = f"{melody['name']}: {node['id']} calls {node['call']}"
        lines = [shortened(node["id"], 30), shortened(node["call"], 34)]
        panel.nodes[node["id"]] = _Node(0, title, lines, ["box"])
        panel.edges += [(node["id"], need, "one") for need in node["needs"]]
        if node["fallback"] is not None:
            panel.edges.append((node["id"], node["fallback"], "late"))
    return panel


def _closing(edges: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """The edges that close a circle, seen from where they come first."""
    after: dict[str, list[str]] = {}
    for needing, needed in edges:
        after.setdefault(needing, []).append(needed)
    found: set[tuple[str, str]] = set()
    done: set[str] = set()
    for start, first in after.items():
        way = [(start, iter(first))] if start not in done else []
        open_keys = {start}
        while way:
            source, targets = way[-1]
            target = next(targets, None)
            if target is None:
                way.pop()
                open_keys.discard(source)
                done.add(source)
            elif target in open_keys:
                found.add((source, target))
            elif target not in done:
                open_keys.add(target)
                way.append((target, iter(after.get(target, []))))
    return found


def _edge_class(kind: str) -> str:
    if kind == "ring":
        return "edge ring"
    return "edge dashed" if kind in ("late", "requires") else "edge"


def _curve(points: list[tuple[float, float]]) -> str:
    """A smooth line: straight past boxes, bent in the space between rows."""
    (x, y), rest = points[0], points[1:]
    path = [f"M{x:.1f} {y:.1f}"]
    for number, (next_x, next_y) in enumerate(rest):
        if len(points) == 2 and y == next_y:
            # Both in one row: below it.
            dip = y + 22
            path.append(f"C{x:.1f} {dip:.1f} {next_x:.1f} {dip:.1f} {next_x:.1f} {next_y:.1f}")
        elif number % 2 == 1 or abs(next_x - x) < 0.5:
            path.append(f"L{next_x:.1f} {next_y:.1f}")
        else:
            middle = (y + next_y) / 2
            path.append(
                f"C{x:.1f} {middle:.1f} {next_x:.1f} {middle:.1f} {next_x:.1f} {next_y:.1f}"
            )
        x, y = next_x, next_y
    return "".join(path)


def _box(node: _Node, center: float, top: float) -> str:
    kinds = " ".join(dict.fromkeys(node.kinds))
    words = [
        f'<text{" class=" + chr(34) + "small" + chr(34) if at else ""} x="{center:.1f}" '
        f'y="{top + 18 + 14 * at:.1f}" text-anchor="middle">{escaped(line)}</text>'
        for at, line in enumerate(node.lines)
    ]
    return (
        f'<g><title>{escaped(node.title)}</title><rect class="{kinds}" x="{center - node.width / 2:.1f}" y="{top:.1f}" '
        f'width="{node.width:.1f}" height="{node.height:.1f}" rx="4"/>{"".join(words)}</g>'
    )
