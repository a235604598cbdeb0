"""`symphony run --baseline`: what became slower than in an earlier boot.

The earlier report is read before anything is started, so that a bad file costs no boot. What counts as a difference is
the core's: more than 1 ms and more than 15 % of what it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symphony import _core
from symphony._cli._errors import UsageError
from symphony._core import seconds_text

if TYPE_CHECKING:
    from typing import Any

    from symphony.records import Change, Comparison

_HINT = "`symphony run --json > {path}` writes one"


class Baseline:
    """An earlier report, by the file that holds it."""

    def __init__(self, path: str) -> None:
        """Reads and checks it.

        Raises:
            UsageError: The file cannot be read, or holds no report of a boot that was ready.
        """
        self.path = path
        try:
            with open(path, encoding="utf-8") as file:
                self._text = file.read()
        except OSError as error:
            hint = _HINT.format(path=path)
            raise UsageError(
                f"cannot read the baseline `{path}`: {error.strerror}", hints=[hint]
            ) from None
        except UnicodeDecodeError:
            raise UsageError(f"the baseline `{path}` is not a text in UTF-8") from None
        fault = _core.baseline_fault(self._text)
        if fault is not None:
            message, line, column = fault
            place = path if line is None else f"{path}:{line}:{column}"
            raise UsageError(
                f"{place}: {message}", hints=[f"a baseline is what {_HINT.format(path='FILE')}"]
            )

    def compare(self, report: _core.BootReport) -> BaselineResult:
        """Holds a boot against it."""
        return BaselineResult(self.path, report.compare(self._text))


class BaselineResult:
    """What a comparison came to."""

    def __init__(self, path: str, comparison: Comparison) -> None:
        """Of the file of that path."""
        self.path = path
        self.comparison = comparison

    @property
    def slower(self) -> list[Change]:
        """What became slower."""
        return self.comparison["slower"]

    def document(self) -> dict[str, Any]:
        """The `baseline` of `run --json`."""
        return {"file": self.path, **self.comparison}

    def lines(self, word: str) -> list[str]:
        """What is told on stderr: what is slower under that word, what came and went as notes."""
        lines = [
            f"{word}: {_subject(change)} is slower than in `{self.path}`: {_figures(change)}"
            for change in self.slower
        ]
        lines += [f"note: component `{name}` is new" for name in self.comparison["new"]]
        return lines + [f"note: component `{name}` is gone" for name in self.comparison["gone"]]

    def summary(self) -> str:
        """One line."""
        counts = ", ".join(
            f"{len(self.comparison[key])} {key}" for key in ("slower", "faster", "new", "gone")
        )
        return f"compared with `{self.path}`: {counts}"


def _subject(change: Change) -> str:
    return {
        "system": f"`{change['name']}`",
        "phase": f"phase `{change['name']}`",
        "component": f"component `{change['name']}`",
    }[change["kind"]]


def _figures(change: Change) -> str:
    more = f"+{seconds_text(change['difference_seconds'])}"
    if change["ratio"] is not None:
        more += f", {change['ratio']:.2f} ×"
    return (
        f"{seconds_text(change['seconds'])} instead of "
        f"{seconds_text(change['earlier_seconds'])} ({more})"
    )
