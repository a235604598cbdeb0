"""Measures ourselves and the peers in one run, prints the ratios, and writes the README's table and plot.

`make bench` calls it. Absolute figures are this machine's; the ratios are what counts.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "python"))

import peers
import scripts
from measure import fresh, in_turn, median, pinned, ratio, round_trips, versions
from report import Row, write
from symphony import Melody, boot
from workshop import write_melody, write_system


def ready(folder: Path, rounds: int) -> list[Row]:
    """Start-up: fresh processes in turn."""
    config = str(write_system(folder / "fifty", extensions=50, eager=10))
    torch, bare = in_turn(
        rounds, lambda: fresh(scripts.READY_TORCH, config), lambda: fresh(scripts.BARE_TORCH)
    )
    plain, empty = in_turn(
        rounds, lambda: fresh(scripts.READY, config), lambda: fresh(scripts.BARE)
    )
    rise = [
        (one["peak_kib"] - two["peak_kib"] + one["supervisor_kib"]) / 1024
        for one, two in zip(plain, empty)
    ]
    rise.sort()
    imported, nothing = in_turn(
        rounds, lambda: fresh(scripts.IMPORT), lambda: fresh("import json; print(json.dumps({}))")
    )
    return (
        [
            Row(
                "ready, 50 extensions, 10 eager, TorchPolicy",
                f"{median(torch, 'seconds'):.2f} s",
                f"bare `import torch` {median(bare, 'seconds'):.2f} s",
                ratio(torch, bare, "seconds"),
                "≤ 1.10",
            ),
            Row(
                "the same since launch", f"{median(torch, 'since_launch'):.2f} s", "", None, "≤ 2 s"
            ),
            Row(
                "ready without torch",
                f"{median(plain, 'ready') * 1e3:.0f} ms",
                "",
                None,
                "≤ 150 ms",
            ),
            Row(
                "`overhead_seconds`, without torch",
                f"{median(plain, 'overhead') * 1e3:.1f} ms",
                "",
                None,
                "≤ 10 ms",
            ),
            Row(
                "memory, the supervisor's included",
                f"{rise[len(rise) // 2]:.1f} MiB",
                "",
                None,
                "≤ 8 MiB",
            ),
            Row(
                "`import symphony`",
                f"{median(imported, 'seconds') * 1e3:.2f} ms",
                "",
                None,
                "≤ 5 ms",
            ),
        ]
        if nothing
        else []
    )


def calls(folder: Path, rounds: int) -> list[Row]:
    """Round trips of 64 bytes on one processor, the contenders in turn."""
    config = write_system(folder / "calls", extensions=1, eager=1)
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
    targets = {
        "raw Unix socket": "≤ 0.9 (with the ring)",
        "pyzmq REQ/REP": "≤ 0.25 (with the ring)",
    }
    return [
        Row(
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
    home = folder / "runs"
    config = write_system(home, extensions=4, eager=4)
    melody = Melody(write_melody(home))
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
            "runs of a Melody, 8 nodes, 4 out of process",
            f"{count / seconds:.0f} per second",
            "",
            None,
            "≥ 5000",
        )
    ]


def _processors() -> set[int]:
    import os

    return set(range(os.cpu_count() or 1))


def main() -> int:
    """Runs all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--print", action="store_true", help="do not write the README and the plot")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "fifty").mkdir()
        (folder / "calls").mkdir()
        (folder / "runs").mkdir()
        rows = (
            calls(folder, options.rounds)
            + runs(folder, options.runs)
            + ready(folder, options.rounds)
        )
    write(rows, versions(), None if options.print else HERE.parent)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
