"""Reviews the Python standard library that this interpreter ships, with the example IDE.

`make run` calls it: it boots the system of this folder's `Symphony.toml`, runs the Melody
`review-file` over every top-level module file, and prints what a person would want to know.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from symphony import Melody, SystemConfig, boot
from symphony.batch import Job, Tally, run_batch
from symphony.exceptions import SymphonyError
from symphony.progress import BootLine, RunsBar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from symphony import System

HERE = Path(__file__).resolve().parent
MELODY = HERE / "melodies" / "review-file.toml"
TORCH = "symphony.conductor:TorchPolicy"


class Review:
    """What the runs found, gathered as each of them ends."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.functions: list[tuple[int, str, str]] = []
        self.modules: list[tuple[float, int, str]] = []
        self.grades: Counter[str] = Counter()
        self.findings: Counter[str] = Counter()
        self.absent: Counter[str] = Counter()
        self.lines = 0

    def add(self, _job: Job, values: Mapping[str, Any] | None) -> None:
        """Takes what is needed of a run; one that failed has nothing."""
        if values is None:
            return
        rank = values["rank"]
        self.lines += rank["lines"]
        self.grades[rank["grade"]] += 1
        self.findings.update(rank["findings"])
        self.absent.update(rank["absent"])
        for entry in rank["most_complex"]:
            self.functions.append((entry["complexity"], entry["name"], entry["place"]))
        documented = values["docstrings"]
        if documented and documented["parsed"] and documented["total"]:
            missing = documented["total"] - documented["documented"]
            self.modules.append((documented["coverage"], missing, rank["path"]))

    def lines_for_people(self, limit: int) -> list[str]:
        """The summary."""
        out = ["", "Most complex functions"]
        for complexity, name, place in sorted(self.functions, reverse=True)[:limit]:
            out.append(f"  {complexity:4}  {name:<44.44} {place}")
        out += ["", "Worst documented modules"]
        # Among equals the one that lacks more is worse.
        for coverage, missing, path in sorted(self.modules, key=_worst_first)[:limit]:
            out.append(f"  {coverage:4.0%}  {missing:3} undocumented   {path}")
        grades = ", ".join(f"{self.grades[grade]} {grade}" for grade in sorted(self.grades))
        found = ", ".join(f"{count} {name}" for name, count in self.findings.most_common())
        out += ["", f"{self.lines} lines; grades: {grades}", f"findings: {found}"]
        if self.absent:
            skipped = ", ".join(f"`{name}` in {n}" for name, n in self.absent.most_common())
            out.append(f"analyses that were skipped: {skipped}")
        return out


def _worst_first(module: tuple[float, int, str]) -> tuple[float, int]:
    coverage, missing, _ = module
    return coverage, -missing


def main() -> int:
    """Reviews, prints, and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--torch", action="store_true", help="decide with TorchPolicy")
    parser.add_argument(
        "--folder", default=sysconfig.get_path("stdlib"), help="default: the standard library"
    )
    parser.add_argument("--state", help="another state folder than the manifest's")
    parser.add_argument("--limit", type=int, default=10, help="entries of each list (default: 10)")
    options = parser.parse_args()
    files = sorted(Path(options.folder).resolve().glob("*.py"))
    if not files:
        print(f"error: no Python file in `{options.folder}`", file=sys.stderr)
        return 2
    try:
        return review(options, files)
    except SymphonyError as error:
        hints = [f"hint: {hint}" for hint in error.hints]
        print("\n".join([f"error: {error.message}", *hints]), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130


def review(options: argparse.Namespace, files: list[Path]) -> int:
    """Boots, reviews the files, shuts down, and prints the summary."""
    melody = Melody(MELODY)
    config = SystemConfig.load(
        HERE / "Symphony.toml", state=options.state, workspace=options.folder
    )
    with BootLine() as line:
        system: System[Any]
        if options.torch:  # noqa: SIM108 - the two have different types.
            system = boot(TORCH, config=config, observer=line)
        else:
            system = boot(config=config, observer=line)
    with system:
        print(str(system.report).rstrip())
        before = system.pit.artifacts.stats()
        found = Review()
        jobs = [Job(path.name, {"path": str(path)}) for path in files]
        with RunsBar(len(jobs), melody.name) as bar:
            tally = run_batch(system, melody, jobs, ended=found.add, progress=bar)
        after = system.pit.artifacts.stats()
        retried = system.kit.stats()["retried"]
    print("\n".join(found.lines_for_people(options.limit)))
    puts = after["puts"] - before["puts"]
    known = after["deduplicated"] - before["deduplicated"]
    print(
        f"artifacts: {puts} stored, {known} of them known already (deduplicated); "
        f"{after['artifacts']} in the store, {after['bytes'] / 2**20:.1f} MiB"
    )
    if options.torch:
        print(beside_bare_import(system.report.since_launch_seconds))
    if retried:
        print(f"{retried} calls were tried again: an extension crashed or was killed under them")
    report_failures(tally)
    print(tally.line())
    return 1 if tally.failed else 0


def beside_bare_import(since_launch: float | None) -> str:
    """The boot beside what a bare `import torch` takes here and now: the faster of two fresh interpreters."""
    spans = []
    for _ in range(2):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import torch, os; os._exit(0)"], check=True)
        spans.append(time.perf_counter() - begin)
    bare = min(spans)
    ratio = (since_launch or 0.0) / bare
    return f"since launch {since_launch:.2f} s; a bare `import torch` {bare:.2f} s: {ratio:.2f} ×"


def report_failures(tally: Tally) -> None:
    """Names the first runs that failed, each with its extension."""
    for text in tally.failure_lines():
        print(f"error: {text}", file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
