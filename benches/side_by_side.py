"""Measures ourselves and the peers in one run, prints the ratios, and writes the README's rows, a page and the plot.

`make bench` calls it, `make bench-check` with `--check`. Absolute figures are this machine's; ratios are what counts.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "python"))

import container
import peers
import pit
import plans
import scripts
import servers
from check import WORSE, check, findings_table, read_ratios
from measure import fresh, in_turn, median, pinned, ratio, round_trips, versions
from report import Row, write
from symphony import Melody, boot
from workshop import write_melody, write_system


def ready_with_torch(folder: Path, rounds: int) -> list[Row]:
    """Start-up under TorchPolicy beside the import alone: fresh processes in turn."""
    config = str(write_system(folder, extensions=50, eager=10))
    torch, bare = in_turn(
        rounds, lambda: fresh(scripts.READY_TORCH, config), lambda: fresh(scripts.BARE_TORCH)
    )
    return [
        Row(
            "ready-torch",
            "ready, 50 extensions, 10 eager, TorchPolicy",
            f"{median(torch, 'seconds'):.2f} s",
            f"bare `import torch` {median(bare, 'seconds'):.2f} s",
            ratio(torch, bare, "seconds"),
            "≤ 1.10",
        ),
        Row(
            "launch-torch",
            "the same since launch",
            f"{median(torch, 'since_launch'):.2f} s",
            target="≤ 2 s",
        ),
    ]


def ready(folder: Path, rounds: int) -> list[Row]:
    """Start-up without torch beside a bare interpreter: fresh processes in turn."""
    config = str(write_system(folder, extensions=50, eager=10))
    plain, empty = in_turn(
        rounds, lambda: fresh(scripts.READY, config), lambda: fresh(scripts.BARE)
    )
    rise = sorted(
        (one["peak_kib"] - two["peak_kib"] + one["supervisor_kib"]) / 1024
        for one, two in zip(plain, empty)
    )
    idle = f"a bare interpreter's life {median(empty, 'process') * 1e3:.0f} ms"
    return [
        Row(
            "ready",
            "ready without torch",
            f"{median(plain, 'ready') * 1e3:.0f} ms",
            idle,
            ratio(plain, empty, "ready", "process"),
            "≤ 150 ms",
            drawn=False,
        ),
        Row(
            "overhead",
            "`overhead_seconds`, 50 extensions, 10 eager, without torch",
            f"{median(plain, 'overhead') * 1e3:.1f} ms",
            idle,
            ratio(plain, empty, "overhead", "process"),
            "≤ 10 ms",
            drawn=False,
        ),
        Row(
            "memory",
            "memory, the supervisor's included",
            f"{rise[len(rise) // 2]:.1f} MiB",
            target="≤ 8 MiB",
        ),
        Row(
            "guest-memory",
            "private memory of an idle Python extension",
            f"{median(plain, 'guest_kib') / 1024:.1f} MiB",
            target="≤ 4 MiB",
        ),
    ]


def imports(rounds: int) -> list[Row]:
    """`import symphony` beside an import of the standard library, in the same processes."""
    (imported,) = in_turn(rounds, lambda: fresh(scripts.IMPORT))
    return [
        Row(
            "import",
            "`import symphony`",
            f"{median(imported, 'seconds') * 1e3:.2f} ms",
            f"`import argparse` {median(imported, 'peer') * 1e3:.1f} ms",
            ratio(imported, imported, "seconds", "peer"),
            "≤ 5 ms",
            drawn=False,
        )
    ]


def planning() -> list[Row]:
    """Plans beside `graphlib`, before and after it."""
    targets = {50: "≤ 300 µs", 10_000: "≤ 50 ms"}
    before = {count: plans.graphlibs(count) for count in targets}
    mine = plans.ours(tuple(targets))
    rows: list[Row] = []
    for count, target in targets.items():
        peer = (before[count] + plans.graphlibs(count)) / 2
        scale, unit = (1e6, "µs") if count == 50 else (1e3, "ms")
        rows.append(
            Row(
                f"plan-{count}",
                f"plan of {count:,} components: validated, bound, ordered",
                f"{mine[count] * scale:.1f} {unit}",
                f"`graphlib`, ordered only {peer * scale:.1f} {unit}",
                mine[count] / peer,
                target,
            )
        )
    return rows


def calls(folder: Path, rounds: int) -> list[Row]:
    """Round trips of 64 bytes on one processor, the contenders in turn."""
    config = write_system(folder, extensions=1, eager=1)
    pinned({0})
    ours: list[dict[str, float]] = []
    others: dict[str, list[dict[str, float]]] = {
        "raw Unix socket": [],
        "multiprocessing.Pipe": [],
        "pyzmq REQ/REP": [],
    }
    with (
        boot(config=config) as system,
        peers.raw_socket() as raw,
        peers.pipe() as pipe,
        peers.zeromq() as zmq,
    ):
        handle = system.kit.extension("echo00")
        contenders = {"raw Unix socket": raw, "multiprocessing.Pipe": pipe, "pyzmq REQ/REP": zmq}
        for _ in range(rounds):
            ours.append(round_trips(lambda: handle.call("echo", value=peers.MESSAGE)))
            for name, call in contenders.items():
                others[name].append(round_trips(call))
    pinned(set(range(1024)) & _processors())
    mine = median(ours, "p50")
    keys = {
        "raw Unix socket": "call-socket",
        "multiprocessing.Pipe": "call-pipe",
        "pyzmq REQ/REP": "call-pyzmq",
    }
    targets = {
        "raw Unix socket": "≤ 0.9 (with the ring)",
        "pyzmq REQ/REP": "≤ 0.25 (with the ring)",
    }
    return [
        Row(
            keys[name],
            f"call of an extension, 64 B, against {name}",
            f"{mine:.1f} µs",
            f"{median(results, 'p50'):.1f} µs",
            ratio(ours, results, "p50"),
            targets.get(name, ""),
        )
        for name, results in others.items()
    ]


def runs(folder: Path, count: int) -> list[Row]:
    """Melodies of eight nodes, four of them out of process."""
    config = write_system(folder, extensions=4, eager=4)
    melody = Melody(write_melody(folder))
    with boot(config=config) as system:
        for _ in range(200):
            system.submit(melody, {"text": "warm"})
        system.run()
        begin = time.perf_counter()
        for number in range(count):
            system.submit(melody, {"text": f"text {number}"})
        summary = system.run()
        seconds = time.perf_counter() - begin
    if summary.failed:
        raise SystemExit(f"{summary.failed} runs failed")
    return [
        Row(
            "melody-runs",
            "runs of a Melody, 8 nodes, 4 out of process",
            f"{count / seconds:.0f} per second",
            target="≥ 5000",
        )
    ]


def _processors() -> set[int]:
    import os

    return set(range(os.cpu_count() or 1))


def groups(rounds: int, count: int) -> dict[str, Callable[[], list[Row]]]:
    """What is measured together, by its name, in the table's order."""

    def inside(measure: Callable[[Path, int], list[Row]], number: int) -> Callable[[], list[Row]]:
        def run() -> list[Row]:
            with tempfile.TemporaryDirectory() as name:
                return measure(Path(name), number)

        return run

    return {
        "calls": inside(calls, rounds),
        "runs": inside(runs, count),
        "ready with torch": inside(ready_with_torch, rounds),
        "ready": inside(ready, rounds),
        "import": lambda: imports(rounds),
        "plan": planning,
        "container": container.rows,
        "pit": pit.rows,
        "servers": inside(servers.rows, rounds),
    }


def main() -> int:
    """Runs all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument(
        "--only", action="append", metavar="GROUP", help="this group; may be repeated"
    )
    parser.add_argument("--print", action="store_true", help="do not write the README and the plot")
    parser.add_argument(
        "--check",
        action="store_true",
        help="fail where a ratio is worse than the committed table's",
    )
    options = parser.parse_args()
    chosen = groups(options.rounds, options.runs)
    if options.only:
        chosen = {name: chosen[name] for name in options.only}
    if options.check:
        return checked(chosen, whole=not options.only)
    rows = [row for measure in chosen.values() for row in measure()]
    write(rows, versions(), None if options.print or options.only else HERE.parent)
    return 0


def checked(chosen: dict[str, Callable[[], list[Row]]], *, whole: bool) -> int:
    """Holds the ratios against the committed ones.

    Returns:
        The exit code.
    """
    committed = read_ratios(HERE / "table.json")
    findings = check(committed, chosen)
    if not whole:
        findings = [finding for finding in findings if finding.measured is not None]
    if findings:
        print(f"worse than benches/table.json by more than {WORSE:.0%}:\n")
        print(findings_table(findings))
        return 1
    print(f"no ratio is worse than benches/table.json by more than {WORSE:.0%}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
