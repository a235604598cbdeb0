"""What became slower than in earlier boots: for `symphony run --baseline` and `symphony trace diff`.

The earlier report is read before anything is started, so that a bad file costs no boot. Medians of several boots are
compared. The invariant kept here: a difference counts only where it is more than the noise of both sides together, more
than the threshold, and more than what everything else changed by, as on a machine that is busier now.
"""

from __future__ import annotations

import json
import math
from statistics import median
from typing import TYPE_CHECKING, Any

from symphony import _core
from symphony._cli._errors import UsageError
from symphony._cli._kept_report import report_text
from symphony._core import seconds_text

if TYPE_CHECKING:
    from symphony.records import Change, Comparison

_HINT = "`symphony run --boots 7 --json > {path}` writes one"
_IS = (
    "a {what} is what `symphony run --boots 7 --json > FILE` writes, or `symphony run --trace FILE`"
)

LEAST_SECONDS = 0.001
"""A smaller difference is noise, however small the figure was."""
_ONE_BOOT_SECONDS = 0.005
"""The same where the baseline is a single boot, of whose noise nothing is known; its figures may double, too."""
_ENOUGH = 4
"""Of fewer figures nothing is said of the machine."""

_Figures = dict[tuple[Any, str], list[float]]


class Baseline:
    """An earlier report, by the file that holds it.

    Attributes:
        path: The file.
        report: The report; of several boots that of the last one.
        boots: The figures of each boot.
    """

    def __init__(self, path: str, what: str = "baseline") -> None:
        """Reads and checks it.

        Args:
            path: The file: what `run --json` or `run --trace` wrote.
            what: What it is called where it is refused.

        Raises:
            UsageError: The file cannot be read, or holds no report of a boot that was ready.
        """
        self.path = path
        hint = _HINT.format(path=path)
        try:
            with open(path, encoding="utf-8") as file:
                whole = file.read()
        except OSError as error:
            raise UsageError(
                f"cannot read the {what} `{path}`: {error.strerror}", hints=[hint]
            ) from None
        except UnicodeDecodeError:
            raise UsageError(f"the {what} `{path}` is not a text in UTF-8") from None
        hint = _IS.format(what=what)
        try:
            text = report_text(whole)
        except ValueError as error:
            raise UsageError(f"{path}: {error}", hints=[hint]) from None
        fault = _core.baseline_fault(text)
        if fault is not None:
            message, line, column = fault
            # What was taken out of a file has no lines of its own.
            place = path if line is None or text is not whole else f"{path}:{line}:{column}"
            raise UsageError(f"{place}: {message}", hints=[hint])

        self.report: dict[str, Any] = json.loads(text)
        self.boots: list[dict[str, Any]] = self.report.get("boots") or [self.report]
        try:
            figures = _gathered(self.boots)
        except (AttributeError, KeyError, TypeError):
            raise UsageError(f"{path}: its `boots` are no boots", hints=[hint]) from None
        for (kind, name), every in figures.items():
            for seconds in every:
                if not _is_duration(seconds):
                    raise UsageError(
                        f"{path}: in its `boots` the seconds of {kind} `{name}` are {json.dumps(seconds)}, which is no "
                        "finite number of 0 or more",
                        hints=[hint],
                    )

    def compare(self, boots: list[dict[str, Any]], threshold: float) -> BaselineResult:
        """Holds boots against it.

        Args:
            boots: The figures of each, as `_boots.figures_of` gives them.
            threshold: The share of a figure that a difference has to be more than.
        """
        earlier, now = _gathered(self.boots), _gathered(boots)
        pace = _pace(earlier, now)
        comparison = _compared(earlier, now, pace, threshold)
        return BaselineResult(self.path, comparison, len(self.boots), len(boots), pace)


def _is_duration(seconds: object) -> bool:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return False
    try:
        return math.isfinite(seconds) and seconds >= 0
    except OverflowError:
        return False


def _gathered(boots: list[dict[str, Any]]) -> _Figures:
    """Every figure of several boots; of a component that never started, or a phase that was skipped, there is none."""
    found: _Figures = {}
    for boot in boots:
        figures = [("system", name, boot.get(f"{name}_seconds")) for name in ("ready", "overhead")]
        figures += [
            ("phase", one["name"], one["seconds"])
            for one in boot["phases"]
            if one["status"] != "skipped"
        ]
        figures += [
            ("component", one["name"], one["seconds"])
            for one in boot["components"]
            if one["started_at"] is not None
        ]
        for kind, name, seconds in figures:
            if seconds is not None:
                found.setdefault((kind, name), []).append(seconds)
    return found


def _compared(earlier: _Figures, now: _Figures, pace: float, threshold: float) -> Comparison:
    both = [key for key in now if key in earlier]
    changes = [
        change
        for key in both
        if (change := _change(key, earlier[key], now[key], pace, threshold)) is not None
    ]
    changes.sort(key=lambda change: -abs(change["difference_seconds"]))
    return {
        "slower": [change for change in changes if change["difference_seconds"] > 0],
        "faster": [change for change in changes if change["difference_seconds"] < 0],
        "new": [name for kind, name in now if kind == "component" and (kind, name) not in earlier],
        "gone": [name for kind, name in earlier if kind == "component" and (kind, name) not in now],
        "noise": {"seconds": LEAST_SECONDS, "share": threshold},
    }


def _pace(earlier: _Figures, now: _Figures) -> float:
    """By how much everything is slower, or faster: what a busy machine does, and no component."""
    both = [key for key in now if key in earlier]
    ratios = [median(now[key]) / median(earlier[key]) for key in both if median(earlier[key])]
    return median(ratios) if len(ratios) >= _ENOUGH else 1.0


def _change(
    key: tuple[Any, str], earlier: list[float], now: list[float], pace: float, threshold: float
) -> Change | None:
    """A change that is more than noise; none where it is not."""
    was, is_now = median(earlier), median(now)
    difference = is_now - was
    # What the machine does is no excuse for what became slower on one that is faster now.
    expected = was * (max(pace, 1.0) if difference > 0 else min(pace, 1.0))
    beyond = (is_now - expected) * (1 if difference > 0 else -1)
    noise = _spread(earlier) * expected / was if was else 0.0
    noise += _spread(now) if len(now) > 1 else 0.0
    if beyond <= max(LEAST_SECONDS, threshold * expected, noise):
        return None
    return {
        "kind": key[0],
        "name": key[1],
        "earlier_seconds": was,
        "seconds": is_now,
        "difference_seconds": difference,
        "ratio": is_now / was if was > 0 else None,
    }


def _spread(figures: list[float]) -> float:
    if len(figures) == 1:
        return max(figures[0], _ONE_BOOT_SECONDS)
    return max(figures) - min(figures)


class BaselineResult:
    """What a comparison came to.

    Attributes:
        path: The file of the earlier boots.
        comparison: What differs.
        boots: How many were compared, `earlier` and `now`.
        pace: By what factor everything is slower; nothing is reported for that.
    """

    def __init__(
        self, path: str, comparison: Comparison, earlier: int, now: int, pace: float
    ) -> None:
        """Of the file of that path, and of so many boots."""
        self.pace = pace
        self.path = path
        self.comparison = comparison
        self.boots = {"earlier": earlier, "now": now}

    @property
    def slower(self) -> list[Change]:
        """What became slower."""
        return self.comparison["slower"]

    def document(self) -> dict[str, Any]:
        """The `baseline` of `run --json`."""
        return {"file": self.path, "boots": self.boots, **self.comparison}

    def lines(self, word: str) -> list[str]:
        """What is told on stderr: what is slower under that word, what came and went as notes."""
        lines = [
            f"{word}: {subject(change)} is slower than in `{self.path}`: {figures_text(change)}"
            for change in self.slower
        ]
        lines += [f"note: component `{name}` is new" for name in self.comparison["new"]]
        return lines + [f"note: component `{name}` is gone" for name in self.comparison["gone"]]

    def summary(self, of: str | None = None) -> str:
        """One line; of a file, where what was compared comes from one."""
        counts = ", ".join(
            f"{len(self.comparison[key])} {key}" for key in ("slower", "faster", "new", "gone")
        )
        boots = f"{self.boots['now']} with {self.boots['earlier']} boots"
        what = "" if of is None else f"`{of}` "
        return f"{what}compared with `{self.path}` ({boots}): {counts}"


def subject(change: Change) -> str:
    """What changed."""
    return {
        "system": f"`{change['name']}`",
        "phase": f"phase `{change['name']}`",
        "component": f"component `{change['name']}`",
    }[change["kind"]]


def figures_text(change: Change) -> str:
    """What it is, what it was, and the difference."""
    more = signed_text(change["difference_seconds"])
    if change["ratio"] is not None:
        more += f", {change['ratio']:.2f} ×"
    return (
        f"{seconds_text(change['seconds'])} instead of "
        f"{seconds_text(change['earlier_seconds'])} ({more})"
    )


def signed_text(seconds: float) -> str:
    """A difference with its sign."""
    return f"{'-' if seconds < 0 else '+'}{seconds_text(abs(seconds))}"
