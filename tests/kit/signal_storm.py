"""Signals that come at random instants of whatever waits: each is raised there or right after.

A program of its own: `signal_storm.py FOLDER WAIT TRIES SEED`. Prints how many were lost, and where the last one was.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from symphony import boot

EXTENSION = """
import time

@extension.operation
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@extension.operation
def numbers(count: int):
    for number in range(count):
        time.sleep(0.002)
        yield number
"""
MELODY = """
[melody]
name = "nap"
[[node]]
id = "nap"
call = "naps.nap"
with = { seconds = 0.02 }
"""
WAITS = (
    "boot", "shutdown", "health", "call", "call_many", "stream", "restart", "result", "run", "subscription",
)  # fmt: skip


class RungError(Exception):
    """What the handler raises."""


class Storm:
    """One kind of wait, and the signals that come in the middle of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.config = folder / "Symphony.toml"
        self.melody = folder / "melody.toml"
        self.random = random.Random(seed)
        self.seen = "nowhere"
        signal.signal(signal.SIGUSR1, self.ring)

    def ring(self, _number, frame):
        self.seen = "".join(traceback.format_stack(frame)[-2:])
        raise RungError

    def signalled(self, work, longest: float) -> bool:
        """Whether the one signal that is sent is raised out of the work, or right after it."""
        delay = self.random.random() * longest

        def send():
            time.sleep(delay)
            os.kill(os.getpid(), signal.SIGUSR1)

        raised = 0
        thread = threading.Thread(target=send)
        try:
            thread.start()
            work()
        except RungError:
            raised += 1
        while thread.is_alive():
            try:
                thread.join()
            except RungError:
                raised += 1
        try:
            time.sleep(0.001)
        except RungError:
            raised += 1
        return raised == 1

    def tries(self, wait: str, count: int) -> int:
        """How many signals were lost."""
        if wait == "boot":
            return self.count(count, self.up_and_down)
        if wait == "shutdown":
            lost = 0
            for _ in range(count):
                system = boot(config=self.config)
                lost += not self.signalled(system.shutdown, 0.05)
                system.shutdown()
            return lost
        with boot(config=self.config) as system:
            naps = system.kit.extension("naps")
            naps.activate()

            def run():
                system.submit(self.melody)
                system.run()

            works = {
                "health": system.health,
                "call": lambda: naps.call("nap", seconds=0.02),
                "call_many": lambda: naps.call_many("nap", [{"seconds": 0.004}] * 5),
                "stream": lambda: list(naps.stream("numbers", count=10)),
                "restart": naps.restart,
                "result": lambda: system.submit(self.melody).result(),
                "run": run,
                "subscription": lambda: system.bus.topic("news").subscribe().get(0.02),
            }
            return self.count(count, works[wait])

    def up_and_down(self):
        boot(config=self.config).shutdown()

    def count(self, count: int, work) -> int:
        begun = time.monotonic()
        work()
        longest = time.monotonic() - begun
        return sum(not self.signalled(work, longest) for _ in range(count))


def main() -> None:
    folder, wait, count, seed = sys.argv[1:]
    storm = Storm(Path(folder), int(seed))
    lost = storm.tries(wait, int(count))
    print(lost, "lost", storm.seen if lost else "")


if __name__ == "__main__":
    main()
