"""Live progress on a terminal's stderr: a line while the system boots, a bar while it works.

`BootLine` is an observer for `boot()`, `RunsBar` the progress of a `symphony.batch.run_batch`. The
invariants kept here: rich is imported only when a bar is drawn, which is after the boot; and nothing is
drawn where stderr is no terminal.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, TextIO

    from symphony._core import BootEvent
    from symphony.batch import Tally


def may_draw(stream: TextIO | None = None) -> bool:
    """Whether a line can be drawn again there: a terminal that says `TERM=dumb` would show the codes.

    Args:
        stream: Where to; stderr where none is named.
    """
    dumb = os.environ.get("TERM", "").lower() in {"dumb", "unknown"}
    # Where stderr is closed there is none.
    there: TextIO | None = stream or sys.stderr
    return not dumb and there is not None and there.isatty()


class BootLine:
    """An observer for `boot()` that shows what starts, on one line that is wiped at the end."""

    def __init__(self) -> None:
        """Draws nothing yet."""
        self._shown = may_draw()
        self._ended = False

    def __call__(self, event: BootEvent) -> None:
        """Shows an event."""
        if self._shown and not self._ended:
            sys.stderr.write(f"\r\x1b[K{event}"[:120])
            sys.stderr.flush()

    def __enter__(self) -> BootLine:  # noqa: PYI034 - `Self` came with 3.11.
        """Itself."""
        return self

    def __exit__(self, *_raised: object) -> None:
        """Wipes the line."""
        self._ended = True
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


class RunsBar:
    """A bar for a batch of runs; call it with the tally."""

    def __init__(self, total: int, label: str) -> None:
        """Knows how many there will be."""
        self._total = total
        self._label = label
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> RunsBar:  # noqa: PYI034
        """Begins to draw, on a terminal."""
        if may_draw() and self._total > 1:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
            )

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeElapsedColumn(),
                TextColumn("[red]{task.fields[failed]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._label, total=self._total, rate="", failed="")
        return self

    def __call__(self, tally: Tally) -> None:
        """Draws the counts."""
        if self._bar is not None:
            self._bar.update(
                self._task,
                completed=tally.count,
                rate=f"{tally.per_second:.0f} runs/s",
                failed=f"{tally.failed} failed" if tally.failed else "",
            )

    def __exit__(self, *_raised: object) -> None:
        """Wipes the bar."""
        if self._bar is not None:
            self._bar.stop()
