"""Whether the ratios are still what the committed table says: `make bench-check`.

A ratio is ours to the peer's in the same run, so it means the same on every machine; lower is better. A machine that is
busy for a moment makes one worse: what looks worse is measured again, and the best of the tries counts.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from report import Row

    Measure = Callable[[], Sequence[Row]]

WORSE = 0.15
"""So much worse than the table, as a share of what it says, and the check fails."""

TRIES = 3
"""How often a measurement that looks worse is repeated before that is said."""


class Finding:
    """A ratio that is worse than the table's, or a row that there is no measurement for."""

    def __init__(self, key: str, what: str, committed: float, measured: float | None) -> None:
        self.key = key
        self.what = what
        self.committed = committed
        self.measured = measured

    def line(self) -> str:
        """One row of the findings' table."""
        if self.measured is None:
            return f"| {self.what} | {self.committed:.2f} × | not measured | |"
        worse = (self.measured / self.committed - 1) * 100
        return f"| {self.what} | {self.committed:.2f} × | {self.measured:.2f} × | {worse:+.0f} % |"


def write_table(path: Path, rows: Sequence[Row], machine: str) -> None:
    """Writes the table as data, beside the README's."""
    document = {
        "machine": machine,
        "rows": [
            {
                "key": row.key,
                "what": row.what,
                "ours": row.ours,
                "peer": row.peer,
                "ratio": None if row.ratio is None else round(row.ratio, 4),
                "target": row.target,
            }
            for row in rows
        ],
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_ratios(path: Path) -> dict[str, tuple[str, float]]:
    """The committed ratios by key, each with what it is of."""
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return {row["key"]: (row["what"], row["ratio"]) for row in rows if row["ratio"] is not None}


def version(key: str) -> str | None:
    """The interpreter that a row is of, where it is of one."""
    found = re.search(r"-(\d+\.\d+)$", key)
    return found and found.group(1)


def is_worse(committed: float, measured: float) -> bool:
    """Whether it is more than noise. At exactly the limit it is not."""
    return measured > committed * (1 + WORSE)


def check(
    committed: Mapping[str, tuple[str, float]],
    groups: Mapping[str, Measure],
    say: Callable[[str], object] = print,
) -> list[Finding]:
    """Measures every group, and again those in which something looks worse.

    Args:
        committed: What the table says, by key.
        groups: Each group of rows that are measured together, by its name.
        say: Told what is being done.

    Returns:
        What is worse in every try, in the table's order.
    """
    best: dict[str, float] = {}
    for name, measure in groups.items():
        for turn in range(1 + TRIES):
            say(
                f"{name}: measured"
                if turn == 0
                else f"{name}: looks worse, measured again ({turn} of {TRIES})"
            )
            measured = {row.key: row.ratio for row in measure() if row.ratio is not None}
            for key, ratio in measured.items():
                best[key] = min(ratio, best.get(key, ratio))
            if not any(
                key in committed and is_worse(committed[key][1], best[key]) for key in measured
            ):
                break
    findings: list[Finding] = []
    here = {None, *map(version, best)}
    for key, (what, ratio) in committed.items():
        if key not in best and version(key) not in here:
            say(f"`{key}` is left out: that interpreter is not built for here")
            continue
        if key not in best or is_worse(ratio, best[key]):
            findings.append(Finding(key, what, ratio, best.get(key)))
    for key in best.keys() - committed.keys():
        say(f"`{key}` is not in the table yet: `make bench` writes it")
    return findings


def findings_table(findings: Sequence[Finding]) -> str:
    """What is worse, as a table."""
    lines = ["| what | table | measured | worse |", "|---|---|---|---|"]
    return "\n".join([*lines, *(finding.line() for finding in findings)])
