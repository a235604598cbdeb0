"""`symphony trace diff`: two boots that were kept, side by side: what grew, what is new, and what the boot waited for.

Nothing is started. Which figures differ is decided where `run --baseline` has it decided; what is added here is where
in its own process a component's time went, and how the critical path changed. The invariant kept here: with `--json`
stdout is one document, also of files that are refused.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from symphony._cli import _errors
from symphony._cli._baseline import LEAST_SECONDS, Baseline, figures_text, signed_text, subject
from symphony._cli._exit import FAILED, OK, USAGE
from symphony._core import seconds_text

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from symphony.records import Change

    Record = dict[str, Any]

USUAL = 0.15
"""The share of a figure that a difference has to be more than, where none is given."""
_ROOTS_OWN = ("phase", "gate", "wait", "rollback", "stop")
"""Spans that are no step of a child process."""
_MOST = 40
"""Letters of a name before a column that stands in line."""


def trace(options: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        The exit code.
    """
    try:
        earlier, now = _Boot(options.earlier), _Boot(options.now)
    except _errors.UsageError as bad:
        _errors.refuse("trace", bad, as_json=options.json)
        return USAGE
    threshold = USUAL if options.threshold is None else options.threshold
    difference = _Difference(earlier, now, threshold)
    is_over = options.threshold is not None and bool(difference.compared.slower)
    if options.json:
        document = {"ok": not is_over, **difference.document(), "error": None}
        print(json.dumps(document, indent=2))
    else:
        for line in difference.lines():
            print(line)
    return FAILED if is_over else OK


class _Boot:
    """One side: the boots of a file, and of its report what is told beside the figures."""

    def __init__(self, path: str) -> None:
        """Reads it.

        Raises:
            UsageError: The file holds no report of a boot that was ready.
        """
        self.kept = Baseline(path, "report")
        report = self.kept.report
        self.seconds: dict[str, float] = {
            one["name"]: one["seconds"]
            for one in report["components"]
            if one["started_at"] is not None
        }
        # Reports of earlier versions have neither.
        try:
            self.path = [str(name) for name in report.get("critical_path") or ()]
            self.steps = _steps(report.get("spans") or ())
        except (AttributeError, KeyError, TypeError, ValueError):
            raise _errors.UsageError(
                f"{path}: its `critical_path` or its `spans` have not the form of a report's"
            ) from None

    def document(self) -> Record:
        """What is said of the side itself."""
        report = self.kept.report
        return {
            "file": self.kept.path,
            "boots": len(self.kept.boots),
            "system": report.get("system"),
            "ready_seconds": report["ready_seconds"],
            "critical_path": [
                {"name": name, "seconds": self.seconds.get(name)} for name in self.path
            ],
        }


def _steps(spans: Any) -> dict[str, dict[str, float]]:
    """The seconds of each step of each component's own process."""
    found: dict[str, dict[str, float]] = {}
    for span in spans:
        if span["name"] not in _ROOTS_OWN:
            steps = found.setdefault(span["component"], {})
            steps[span["name"]] = steps.get(span["name"], 0.0) + float(span["seconds"])
    return found


class _Difference:
    """What differs between two sides."""

    def __init__(self, earlier: _Boot, now: _Boot, threshold: float) -> None:
        self.earlier, self.now = earlier, now
        self.compared = earlier.kept.compare(now.kept.boots, threshold)

    def _steps_of(self, change: Change) -> list[Record]:
        """The steps of a component's process that differ in the same direction, the largest first."""
        sides = [side.steps.get(change["name"], {}) for side in (self.earlier, self.now)]
        if change["kind"] != "component" or not all(sides):
            return []
        was, is_now = sides
        found: list[Record] = [
            {
                "name": name,
                "earlier_seconds": was.get(name),
                "seconds": is_now.get(name),
                "difference_seconds": is_now.get(name, 0.0) - was.get(name, 0.0),
            }
            for name in {**was, **is_now}
        ]
        sign = 1.0 if change["difference_seconds"] > 0 else -1.0
        found = [one for one in found if one["difference_seconds"] * sign > LEAST_SECONDS]
        return sorted(found, key=lambda one: -abs(one["difference_seconds"]))

    def document(self) -> Record:
        """The document of `--json`, without its verdict."""
        comparison = self.compared.comparison
        told = {
            side: [{**change, "steps": self._steps_of(change)} for change in comparison[side]]
            for side in ("slower", "faster")
        }
        return {
            "earlier": self.earlier.document(),
            "now": self.now.document(),
            **comparison,
            **told,
            "pace": self.compared.pace,
        }

    def lines(self) -> list[str]:
        """The same for a person."""
        comparison = self.compared.comparison
        lines = [self.compared.summary(self.now.kept.path)]
        for side in ("slower", "faster"):
            for change in comparison[side]:
                lines.append(f"{side}: {subject(change)}: {figures_text(change)}")
                lines += [f"  {_step_text(step)}" for step in self._steps_of(change)]
        for name in comparison["new"]:
            on_path = ", on the critical path" if name in self.now.path else ""
            lines.append(f"new: component `{name}`: {self._taken(self.now, name)}{on_path}")
        for name in comparison["gone"]:
            lines.append(f"gone: component `{name}`: it took {self._taken(self.earlier, name)}")
        return [*lines, *self._path_lines(), self._noise_line()]

    @staticmethod
    def _taken(side: _Boot, name: str) -> str:
        # Of several boots, the last may not have started it.
        return seconds_text(side.seconds[name]) if name in side.seconds else "an unknown time"

    def _path_lines(self) -> list[str]:
        """The critical path of now, with what it did not hold before, and what it held."""
        was, is_now = self.earlier, self.now
        if not was.path and not is_now.path:
            return []
        told = [
            f"{len(side.path)} steps, ready in {seconds_text(side.kept.report['ready_seconds'])}"
            for side in (is_now, was)
        ]
        lines = [f"critical path: {told[0]}; it was {told[1]}"]
        gone = [name for name in was.path if name not in is_now.path]
        wide = min(_MOST, max(len(name) for name in (*is_now.path, *gone)))
        for name in is_now.path:
            before = f"  it took {self._taken(was, name)}" if name in was.seconds else "  new"
            mark = " " if name in was.path else "+"
            lines.append(f"  {mark} {name:<{wide}}  {self._taken(is_now, name):>8}{before}")
        for name in gone:
            after = (
                f"  it takes {self._taken(is_now, name)}" if name in is_now.seconds else "  gone"
            )
            lines.append(f"  - {name:<{wide}}  {self._taken(was, name):>8}{after}")
        return lines

    def _noise_line(self) -> str:
        """What is passed over."""
        noise = self.compared.comparison["noise"]
        told = [
            f"less than {seconds_text(noise['seconds'])} or {100 * noise['share']:g} % of what it was"
        ]
        told.append(
            "less than what one boot of an unknown noise may differ by (its own length, or 5 ms)"
            if self.compared.boots["earlier"] == 1
            else "what boots of one side differ by among themselves"
        )
        if self.compared.pace != 1.0:
            told.append(f"that everything takes {self.compared.pace:.2f} × as long")
        return f"not told: {'; '.join(told)}"


def _step_text(step: Record) -> str:
    sides = [
        "none" if seconds is None else seconds_text(seconds)
        for seconds in (step["seconds"], step["earlier_seconds"])
    ]
    difference = signed_text(step["difference_seconds"])
    return f"{step['name']}: {sides[0]} instead of {sides[1]} ({difference})"
