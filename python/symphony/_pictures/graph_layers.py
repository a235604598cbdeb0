"""Where the boxes of a layered graph stand, and the ways of its edges between them.

Used by `graph_svg`. Boxes stand in rows, what is needed above what needs it; a long row is broken into several. An
edge over several rows has a place of its own between the boxes of each, shared by all edges to the same box. The
invariant kept here: no edge
runs behind a box, no two boxes overlap, and the same graph has the same picture.
"""

from __future__ import annotations

from typing import NamedTuple

GAP = 18.0
"""Between two boxes of a row."""
_LANE = 12.0
_ASIDE = 10.0
_PULL = 0.9
_SWEEPS = 8


class Box(NamedTuple):
    """A box to be placed: who it is, its band from above, and its size."""

    key: str
    band: int
    width: float
    height: float


class Edge(NamedTuple):
    """An edge from who needs to what is needed; a back edge orders nothing."""

    source: str
    target: str
    is_back: bool


class _Slot:
    """A box, or the way of edges, in a row."""

    __slots__ = ("box", "neighbors", "width", "x")

    def __init__(self, width: float, box: str | None = None) -> None:
        self.box = box
        self.width = width
        self.x = 0.0
        self.neighbors: list[_Slot] = []


class Layout:
    """The places of all boxes, the ways of all edges.

    Attributes:
        centers: The middle of each box.
        tops: The upper edge of each box.
        bands: Upper and lower edge of each band that holds something.
        ways: For each edge the points between which it runs, from its source to its target.
        width: Of the picture.
        height: Of the picture.
    """

    def __init__(self, boxes: list[Box], edges: list[Edge], most: float, left: float) -> None:
        """Places everything.

        Args:
            boxes: The boxes.
            edges: The edges between them.
            most: How wide a row of boxes may be.
            left: Where the first box may begin.
        """
        self._boxes = {box.key: box for box in boxes}
        self._edges = [
            one for one in edges if one.source in self._boxes and one.target in self._boxes
        ]
        self._rows = self._filled(boxes, most)
        self._row_of = {
            slot.box: number
            for number, row in enumerate(self._rows)
            for slot in row
            if slot.box is not None
        }
        self._slots = {slot.box: slot for row in self._rows for slot in row if slot.box is not None}
        shared: dict[tuple[str, str, int], _Slot] = {}
        self._chains = [self._chain(edge, shared) for edge in self._edges]
        for chain in self._chains:
            for one, other in zip(chain, chain[1:]):
                one.neighbors.append(other)
                other.neighbors.append(one)
        self._half = most / 2
        self._order()
        self._place()
        self._measure(left)

    def _filled(self, boxes: list[Box], most: float) -> list[list[_Slot]]:
        """Rows of boxes: by band, by how much of the band comes before, by width."""
        depths = self._depths()
        layers: dict[tuple[int, int], list[Box]] = {}
        for box in boxes:
            layers.setdefault((box.band, depths[box.key]), []).append(box)
        rows: list[list[_Slot]] = []
        for place in sorted(layers):
            layer = layers[place]
            whole = sum(box.width + GAP for box in layer)
            share = whole / -(-whole // most)
            row: list[_Slot] = []
            used = 0.0
            for box in layer:
                if row and used + box.width > share + GAP:
                    rows.append(row)
                    row, used = [], 0.0
                row.append(_Slot(box.width, box.key))
                used += box.width + GAP
            rows.append(row)
        return rows

    def _depths(self) -> dict[str, int]:
        """How long the longest way inside the band is that comes before each box."""
        before: dict[str, list[str]] = {key: [] for key in self._boxes}
        for edge in self._edges:
            if not edge.is_back and self._boxes[edge.source].band == self._boxes[edge.target].band:
                before[edge.source].append(edge.target)
        depths: dict[str, int] = {}
        for start in self._boxes:
            waiting, open_keys = [start], set()
            while waiting:
                key = waiting[-1]
                missing = [one for one in before[key] if one not in depths and one not in open_keys]
                if missing and key not in depths:
                    open_keys.add(key)
                    waiting += missing
                    continue
                waiting.pop()
                depths[key] = max((depths.get(one, -1) + 1 for one in before[key]), default=0)
        return depths

    def _chain(self, edge: Edge, shared: dict[tuple[str, str, int], _Slot]) -> list[_Slot]:
        """The slots through which an edge runs; those of one target are shared."""
        first, last = self._row_of[edge.source], self._row_of[edge.target]
        step = 1 if last > first else -1
        chain = [self._slots[edge.source]]
        for row in range(first + step, last, step):
            whose = edge.target if step < 0 else f"{edge.source}\n{edge.target}"
            key = ("up" if step < 0 else "down", whose, row)
            slot = shared.get(key)
            if slot is None:
                slot = shared[key] = _Slot(_LANE)
                self._rows[row].append(slot)
            chain.append(slot)
        chain.append(self._slots[edge.target])
        return chain

    def _order(self) -> None:
        """Orders each row by where its neighbours stand, so that edges cross little."""
        for row in self._rows:
            self._pack(row)
        for sweep in range(_SWEEPS):
            for row in self._rows if sweep % 2 == 0 else reversed(self._rows):
                wanted = {id(slot): _middle(slot, slot.x) for slot in row}
                row.sort(key=lambda slot: wanted[id(slot)])
                self._pack(row)

    @staticmethod
    def _pack(row: list[_Slot]) -> None:
        """Side by side, around the middle."""
        whole = sum(slot.width + GAP for slot in row) - GAP
        at = -whole / 2
        for slot in row:
            slot.x = at + slot.width / 2
            at += slot.width + GAP

    def _place(self) -> None:
        """Moves the slots of each row towards their neighbours, as far as there is room."""
        for sweep in range(2 * _SWEEPS):
            for row in self._rows if sweep % 2 == 0 else reversed(self._rows):
                # Nothing else pulls a part of the graph back that drifts away together.
                wanted = [_PULL * _middle(slot, slot.x) for slot in row]
                for slot, x in zip(row, _spread(row, wanted, self._half)):
                    slot.x = x

    def _measure(self, left: float) -> None:
        """Gives everything its place in the picture."""
        least = min((slot.x - slot.width / 2 for row in self._rows for slot in row), default=0.0)
        for row in self._rows:
            for slot in row:
                slot.x += left - least
        most = max((slot.x + slot.width / 2 for row in self._rows for slot in row), default=left)
        self.width = most + GAP
        between = [0] * (len(self._rows) + 1)
        for chain in self._chains:
            rows = [self._row_number(slot) for slot in chain]
            for one, other in zip(rows, rows[1:]):
                between[max(one, other) if one != other else one + 1] += 1
        at = GAP
        tops: list[float] = []
        bottoms: list[float] = []
        for number, row in enumerate(self._rows):
            if number:
                at += 30.0 + min(34.0, 2.0 * between[number])
            height = max(self._boxes[slot.box].height for slot in row if slot.box is not None)
            tops.append(at)
            at += height
            bottoms.append(at)
        self.height = at + GAP + (24.0 if between[-1] else 0.0)
        self.centers = {key: slot.x for key, slot in self._slots.items()}
        self.tops = {key: tops[self._row_of[key]] for key in self._boxes}
        self.bands: dict[int, tuple[float, float]] = {}
        for key, box in self._boxes.items():
            row_number = self._row_of[key]
            top, bottom = self.bands.get(box.band, (tops[row_number], bottoms[row_number]))
            self.bands[box.band] = (min(top, tops[row_number]), max(bottom, bottoms[row_number]))
        self.ways = [self._way(chain, tops, bottoms) for chain in self._chains]

    def _row_number(self, slot: _Slot) -> int:
        if slot.box is not None:
            return self._row_of[slot.box]
        return next(number for number, row in enumerate(self._rows) if slot in row)

    def _way(
        self, chain: list[_Slot], tops: list[float], bottoms: list[float]
    ) -> list[tuple[float, float]]:
        """From the border of the source through the rows between to the border of the target."""
        rows = [self._row_number(slot) for slot in chain]
        first, last = chain[0], chain[-1]
        if rows[0] == rows[-1]:
            bottom = bottoms[rows[0]]
            return [(first.x, bottom), (last.x, bottom)]
        up = rows[-1] < rows[0]
        # Beside the edge that goes the other way, if there is one.
        aside = 0.0 if up else _ASIDE
        points = [(first.x + aside, tops[rows[0]] if up else self._bottom(first, tops))]
        for slot, row in zip(chain[1:-1], rows[1:-1]):
            edge = (bottoms[row], tops[row]) if up else (tops[row], bottoms[row])
            points += [(slot.x, edge[0]), (slot.x, edge[1])]
        points.append((last.x + aside, self._bottom(last, tops) if up else tops[rows[-1]]))
        return points

    def _bottom(self, slot: _Slot, tops: list[float]) -> float:
        key = slot.box or ""
        return tops[self._row_of[key]] + self._boxes[key].height


def _middle(slot: _Slot, otherwise: float) -> float:
    if not slot.neighbors:
        return otherwise
    return sum(one.x for one in slot.neighbors) / len(slot.neighbors)


def _spread(row: list[_Slot], wanted: list[float], half: float) -> list[float]:
    """The places next to what is wanted, in this order, without overlaps and within that far from the middle.

    That is isotonic regression with bounds: what stands too close is moved together, to the mean of what it wants.
    """
    offset, offsets = 0.0, [0.0]
    for one, other in zip(row, row[1:]):
        offset += (one.width + other.width) / 2 + GAP
        offsets.append(offset)
    least = -half + row[0].width / 2
    most = half - row[-1].width / 2 - offset
    if least > most:
        least = most = (least + most) / 2
    blocks: list[tuple[float, int]] = []
    for want, off in zip(wanted, offsets):
        blocks.append((want - off, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (first, count), (second, more) = blocks[-2:]
            blocks[-2:] = [((first * count + second * more) / (count + more), count + more)]
    flat = [min(max(value, least), most) for value, count in blocks for _ in range(count)]
    return [value + off for value, off in zip(flat, offsets)]
