"""A system that is killed at random instants, and what the next one has to find.

Three threads put, delete and put again contents of every kind of storage, a fourth drives runs. Each acknowledgement
is written to a pipe right after the call that gave it; what was begun and not acknowledged may be either way. The next
life looks at all of it before it goes on, and may be killed while it looks.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from symphony import boot

SIZES = (10, 1_000, 60_000, 70_000, 300_000, 1_200_000)
"""In a segment, in a segment, nearly a file, a file, a file, in chunks."""

CONTENTS = 60
PUTTERS = 3


def content(number: int) -> bytes:
    """What the content of that number is."""
    return random.Random(number).randbytes(SIZES[number % len(SIZES)])


class Expected:
    """What a store and a tracker acknowledged."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.contents: dict[str, str] = {}
        """By number: `put`, `gone`, or `?` where an operation was cut off."""
        self.runs: dict[str, list[str]] = {}
        self.operations = 0

    def life(self, lines: list[bytes]) -> list[list[object]]:
        """Takes in what one life told; gives what it found wrong."""
        begun: dict[str, None] = {}
        wrong = []
        for line in lines:
            try:
                what, *rest = json.loads(line)
            except ValueError:
                # The kill cut it.
                continue
            if what == "wrong":
                wrong.append(rest)
            elif what == "run":
                self.runs[str(rest[0])] = []
            elif what == "done":
                self.runs[str(rest[0])].append(rest[1])
            elif what == "ends":
                # From here on it may be over, and what is over is not kept.
                self.runs.pop(str(rest[0]))
            elif what == "begins":
                begun[str(rest[0])] = None
            elif what in ("put", "gone"):
                self.contents[str(rest[0])] = what
                begun.pop(str(rest[0]), None)
            self.operations += what in ("run", "done", "put", "gone")
        self.contents.update((number, "?") for number in begun)
        return wrong


def look(system, expected: Expected, state: Path):
    """Everything that is not as it was acknowledged."""
    artifacts = system.pit.artifacts
    for number, told in expected.contents.items():
        artifact = expected.ids[number]
        there = artifacts.exists(artifact)
        if told != "?" and there != (told == "put"):
            yield "content", number, told, there
        if there and artifacts.get(artifact) != content(int(number)):
            yield "bytes", number
        if there and [name for name, _ in artifacts.metadata(artifact)["names"]] != [f"n{number}"]:
            yield "names", number
    for run, done in expected.runs.items():
        nodes = system.pit.dag.status(int(run))["nodes"]
        yield from (("run", run, node) for node in done if nodes[node]["state"] != "completed")
    bad = artifacts.verify()["bad"]
    if bad:
        yield "verify", bad
    on_disk = sum(len(files) for _, _, files in os.walk(state / "artifact-store" / "blobs"))
    sizes = [artifacts.metadata(artifact)["size"] for artifact in artifacts.find()]
    known = sum(65_536 <= size < 1 << 20 for size in sizes)
    if on_disk != known:
        yield "files", on_disk, known


def live(config: str, expected: Expected, seed: int) -> None:
    """One life; it ends when it is killed."""
    lock = threading.Lock()

    def tell(*words: object) -> None:
        line = json.dumps(words).encode() + b"\n"
        with lock:
            os.write(1, line)

    def stop_at_errors(body, *arguments) -> None:
        try:
            body(*arguments)
        except BaseException as error:
            tell("wrong", "an operation failed", repr(error)[:300])
            os._exit(3)

    system = boot(config=config)
    for found in look(system, expected, Path(config).parent / "state"):
        tell("wrong", *found)
    artifacts, dag = system.pit.artifacts, system.pit.dag

    def put_and_delete(which: int) -> None:
        dice = random.Random(seed * 10 + which)
        while True:
            number = dice.randrange(CONTENTS // PUTTERS) * PUTTERS + which
            artifact = expected.ids[str(number)]
            tell("begins", number)
            if dice.random() < 0.6:
                assert artifacts.put(content(number), name=f"n{number}") == artifact
                tell("put", number)
            else:
                if artifacts.exists(artifact):
                    artifacts.delete(artifact)
                tell("gone", number)

    def complete() -> None:
        dice = random.Random(seed)
        while True:
            run = dag.submit({"a": [], "b": ["a"], "c": ["b"]})
            tell("run", run)
            for node in "ab":
                dag.complete(run, node)
                tell("done", run, node)
            if dice.random() < 0.98:
                tell("ends", run)
                dag.complete(run, "c")
            time.sleep(0.001)

    bodies = [(put_and_delete, which) for which in range(PUTTERS)] + [(complete,)]
    threads = [threading.Thread(target=stop_at_errors, args=body) for body in bodies]
    tell("ready")
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def storm(folder: Path, kills: int, seed: int, report=lambda _done, _expected: None) -> Expected:
    """Kills so many lives at random instants, a few of them while they start.

    Raises:
        AssertionError: A life found something that is not as it was acknowledged.
    """
    config = folder / "Symphony.toml"
    config.write_text('[system]\nname = "killed"\nstate = "state"\n', encoding="utf-8")
    expected, dice = Expected(), random.Random(seed)
    with boot() as system:
        # What the name of a content is.
        put = system.pit.artifacts.put
        expected.ids = {str(number): put(content(number)) for number in range(CONTENTS)}
    for number in range(kills + 1):
        told = folder / "expected.json"
        told.write_text(json.dumps(vars(expected)), encoding="utf-8")
        worker = [sys.executable, __file__, str(config), str(told), str(seed * 10_000 + number)]
        with subprocess.Popen(worker, stdout=subprocess.PIPE) as life:
            assert life.stdout is not None
            watchdog = threading.Timer(100, life.kill)
            watchdog.start()
            lines: list[bytes] = []
            if number < kills and dice.random() < 0.1:
                time.sleep(dice.random() * 0.4)
            else:
                # Whatever it does, it has looked at all that the lives before it acknowledged.
                for line in life.stdout:
                    lines.append(line)
                    if line == b'["ready"]\n':
                        break
                time.sleep(dice.choice((0.0, 0.05, 0.15, 0.3, 0.6, 2.4)) * dice.random())
            life.kill()
            lines += life.stdout.read().split(b"\n")
            watchdog.cancel()
        wrong = expected.life(lines)
        assert not wrong, f"seed {seed}, life {number}: {wrong[:10]}"
        # One that ended by itself has looked at nothing.
        assert life.returncode == -signal.SIGKILL, f"seed {seed}, life {number} ended by itself"
        report(number, expected)
    return expected


if __name__ == "__main__":
    given = Expected()
    vars(given).update(json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
    live(sys.argv[1], given, int(sys.argv[3]))
