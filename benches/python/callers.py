"""How long small calls of an extension take while another extension sends it 4 MiB calls in a loop.

Run by hand: `python benches/python/callers.py`. Twenty threads make a small call each 20 ms, first alone, then beside
an extension whose eight threads call the same one with 4 MiB each as fast as they are answered. Two extensions are made
in a temporary folder, and nothing is left.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from symphony import boot

if TYPE_CHECKING:
    from symphony._core import ExtensionHandle

TARGET = """
@extension.operation
def size(data: bytes) -> int:
    return len(data)

@extension.operation
def short(number: int) -> int:
    return number
"""
GREEDY = """
import threading

stop = threading.Event()
answered = []

def loop(data):
    while not stop.is_set():
        answered.append(extension.call("target.size", data=data))

@extension.operation
def begin(threads: int) -> None:
    data = bytes(4 << 20)
    for _ in range(threads):
        threading.Thread(target=loop, args=(data,), daemon=True).start()

@extension.operation
def end() -> int:
    stop.set()
    return len(answered)
"""
CALLERS, PAUSE, SECONDS = 20, 0.02, 5.0


def write(folder: Path, name: str, source: str, manifest: str = "") -> None:
    """Writes an extension of that name."""
    path = folder / name
    path.mkdir()
    head = f'[extension]\nname = "{name}"\nversion = "0.1.0"\nentry = "{name}:extension"\n'
    (path / "Symphony.toml").write_text(head + manifest, encoding="utf-8")
    made = f'from symphony.extension import Extension\nextension = Extension("{name}")\n'
    (path / f"{name}.py").write_text(made + source, encoding="utf-8")


def spans(target: ExtensionHandle) -> list[float]:
    """How long each small call of all callers took, in seconds, sorted."""
    taken: list[float] = []
    end = time.monotonic() + SECONDS

    def call() -> None:
        while time.monotonic() < end:
            began = time.perf_counter()
            target.call("short", number=1)
            taken.append(time.perf_counter() - began)
            time.sleep(PAUSE)

    callers = [threading.Thread(target=call) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return sorted(taken)


def told(what: str, taken: list[float]) -> str:
    """One line of the result."""
    at = {share: 1e3 * taken[int(len(taken) * share)] for share in (0.5, 0.99)}
    return f"{what}: p50 {at[0.5]:.2f} ms, p99 {at[0.99]:.2f} ms, {len(taken)} calls"


def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        (folder / "Symphony.toml").write_text(
            '[system]\nname = "callers"\nextensions = ["./*"]\n', encoding="utf-8"
        )
        write(folder, "target", TARGET)
        write(folder, "greedy", GREEDY, '[extension.permissions]\ncalls = ["target.*"]\n')
        with boot(config=folder / "Symphony.toml") as system:
            target = system.kit.extension("target").options(timeout=60)
            greedy = system.kit.extension("greedy")
            target.activate()
            greedy.activate()
            print(told("alone", spans(target)))
            greedy.call("begin", threads=8)
            print(told("beside 4 MiB calls", spans(target)))
            print(f"{greedy.call('end') / SECONDS:.0f} calls of 4 MiB a second")


if __name__ == "__main__":
    main()
