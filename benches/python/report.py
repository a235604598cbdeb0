"""The table and the plot of a benchmark run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from check import write_table

if TYPE_CHECKING:
    from pathlib import Path

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


class Row:
    """One line of the table."""

    def __init__(
        self,
        key: str,
        what: str,
        ours: str,
        peer: str = "",
        ratio: float | None = None,
        target: str = "",
        *,
        drawn: bool = True,
    ) -> None:
        self.key = key
        self.what = what
        self.ours = ours
        self.peer = peer
        self.ratio = ratio
        self.target = target
        self.drawn = drawn
        """Whether its ratio is to a rival; else it is to something that only tells how fast the machine is."""


def table(rows: list[Row], machine: str) -> str:
    """The table as Markdown."""
    lines = [
        f"Measured side by side in one run on {machine}.",
        "",
        "| what | ours | peer | ratio | target |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f} ×"
        lines.append(f"| {row.what} | {row.ours} | {row.peer} | {ratio} | {row.target} |")
    return "\n".join(lines)


def plot(rows: list[Row]) -> str:
    """The ratios as bars; 1.0 is the peer."""
    bars = [row for row in rows if row.ratio is not None and row.drawn]
    height = 34 * len(bars) + 30
    widest = max([1.2, *(row.ratio or 0 for row in bars)])
    scale = 360 / widest
    parts = [
        (
            '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="13" '
            f'width="860" height="{height}">'
        ),
        "<style>text{fill:#57606a} rect{fill:#0969da} line{stroke:#8c959f;stroke-dasharray:4 3}</style>",
        f'<line x1="{430 + scale:.0f}" y1="8" x2="{430 + scale:.0f}" y2="{height - 22}"/>',
        f'<text x="{430 + scale:.0f}" y="{height - 6}" text-anchor="middle">1.0 = peer</text>',
    ]
    for number, row in enumerate(bars):
        y = 12 + 34 * number
        width = (row.ratio or 0) * scale
        label = row.what.replace("&", "&amp;").replace("<", "&lt;").replace("`", "")
        parts.append(f'<text x="420" y="{y + 15}" text-anchor="end">{label}</text>')
        parts.append(f'<rect x="430" y="{y}" width="{width:.0f}" height="20" rx="2"/>')
        parts.append(f'<text x="{436 + width:.0f}" y="{y + 15}">{row.ratio:.2f}</text>')
    return "\n".join([*parts, "</svg>", ""])


def write(rows: list[Row], machine: str, root: Path | None) -> None:
    """Prints the table; with a root writes it into the README and as data, and the plot beside its pictures."""
    text = table(rows, machine)
    print(text)
    if root is None:
        return
    readme = root / "README.md"
    old = readme.read_text(encoding="utf-8")
    if BEGIN in old and END in old:
        head, _, rest = old.partition(BEGIN)
        tail = rest.partition(END)[2]
        picture = "![ratios to the peers, lower is better](docs/images/bench.svg)"
        readme.write_text(f"{head}{BEGIN}\n{text}\n\n{picture}\n{END}{tail}", encoding="utf-8")
    write_table(root / "benches" / "table.json", rows, machine)
    images = root / "docs" / "images"
    images.mkdir(parents=True, exist_ok=True)
    (images / "bench.svg").write_text(plot(rows), encoding="utf-8")
