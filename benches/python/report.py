"""The table and the plot of a benchmark run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from check import write_table

if TYPE_CHECKING:
    from pathlib import Path

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"

HEADLINES = (
    "ready-torch",
    "ready",
    "overhead",
    "memory",
    "guest-memory",
    "import",
    "call-pyzmq",
    "melody-runs",
    "container-injected-3.11",
    "plan-10000",
)
"""The rows of the README, in its order; `docs/benchmarks.md` has all of them."""


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


def _replace(page: Path, text: str) -> None:
    """Puts a text between the marks of a page that has them."""
    old = page.read_text(encoding="utf-8")
    if BEGIN in old and END in old:
        head, _, rest = old.partition(BEGIN)
        tail = rest.partition(END)[2]
        page.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")


def write(rows: list[Row], machine: str, root: Path | None) -> None:
    """Prints the table; with a root writes headlines into the README, all into their page and as data, and the plot."""
    text = table(rows, machine)
    print(text)
    if root is None:
        return
    by_key = {row.key: row for row in rows}
    headlines = [by_key[key] for key in HEADLINES if key in by_key]
    _replace(root / "README.md", table(headlines, machine))
    picture = "![ratios to the peers, lower is better](images/bench.svg)"
    _replace(root / "docs" / "benchmarks.md", f"{text}\n\n{picture}")
    write_table(root / "benches" / "table.json", rows, machine)
    images = root / "docs" / "images"
    images.mkdir(parents=True, exist_ok=True)
    (images / "bench.svg").write_text(plot(rows), encoding="utf-8")
