"""What is true of threads and processes while a system runs, whatever it does."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from pathlib import Path

import pytest
from conftest import ROOT, Workshop, descendants
from symphony import PoolManager, boot

SLOW = """
import time

@extension.operation
def sleep(seconds):
    time.sleep(seconds)
    return seconds
"""


def thread_name() -> str:
    """The kernel's name of the calling thread."""
    return Path(f"/proc/self/task/{threading.get_native_id()}/comm").read_text().strip()


class Ticker:
    """Counts on a thread of its own, for as long as it gets the interpreter."""

    def __init__(self) -> None:
        self.ticks = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._end.wait(0.005):
            self.ticks += 1

    def __enter__(self) -> Ticker:  # noqa: PYI034 - `Self` is not there on 3.9.
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._end.set()
        self._thread.join()


@pytest.mark.parametrize("wait", ["call", "batch", "run", "subscription", "lease"])
def test_the_interpreter_is_free_while_something_waits(wait: str, workshop: Workshop) -> None:
    workshop.extension("slow", SLOW)
    melody = workshop.melody(
        '[melody]\nname = "sleep"\n[[node]]\nid = "sleep"\n'
        'call = "slow.sleep"\nwith = { seconds = 0.4 }\n'
    )
    with boot(config=workshop.config) as system:
        slow = system.kit.extension("slow")
        slow.call("sleep", seconds=0.0)
        subscription = system.bus.topic("silence").subscribe()
        system.pit.pool.register("one", object, size=1)
        with system.pit.pool.lease("one"), Ticker() as ticker:
            if wait == "call":
                slow.call("sleep", seconds=0.4)
            elif wait == "batch":
                slow.call_many("sleep", [{"seconds": 0.2}, {"seconds": 0.2}])
            elif wait == "run":
                system.submit(melody).result()
            elif wait == "subscription":
                subscription.get(timeout=0.4)
            else:
                with pytest.raises(TimeoutError), system.pit.pool.lease("one", timeout=0.4):
                    pass
        assert ticker.ticks >= 10, "the wait held the interpreter"


def test_no_code_of_users_runs_on_a_thread_of_rust(workshop: Workshop) -> None:
    seen: dict[str, str] = {}

    class Consumer:
        def __init__(self, pool: PoolManager) -> None:
            seen["construction"] = thread_name()
            self.pool = pool

        def start(self) -> None:
            seen["start"] = thread_name()
            self.pool.register(
                "workers", lambda: seen.update(factory=thread_name()) or object(), size=1
            )
            self.pool.prewarm("workers")

        def health(self) -> None:
            seen["health"] = thread_name()

        def stop(self) -> None:
            seen["stop"] = thread_name()

    def prepare() -> None:
        seen["prepare"] = thread_name()

    with boot(
        components=[Consumer],
        config=workshop.config,
        prepare=prepare,
        observer=lambda _event: seen.update(observer=thread_name()),
    ) as system:
        system.health()
        with system.pit.pool.lease("workers"):
            pass
    assert set(seen) == {
        "construction",
        "start",
        "factory",
        "health",
        "stop",
        "prepare",
        "observer",
    }
    assert {name for name in seen.values() if name.startswith("symphony")} == set()


def table_of_threads() -> set[str]:
    """The names in the table of `ARCHITECTURE.md`."""
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    section = page.split("\n## Threads of the root\n", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `(symphony-[a-z]+)`", section, re.MULTILINE))


def test_the_table_of_threads_names_those_of_the_source() -> None:
    named: set[str] = set()
    for path in ROOT.glob("crates/*/src/**/*.rs"):
        text = path.read_text(encoding="utf-8").split("#[cfg(test)]")[0]
        named |= set(
            re.findall(
                r'(?:\.name\(|Threads::new\(|beside\(py, |WorkBeside::begin\([^"]*)"(symphony-[a-z]+)"',
                text,
            )
        )
    assert named == table_of_threads()


def test_a_running_system_has_only_threads_of_the_table(workshop: Workshop) -> None:
    workshop.extension("slow", SLOW)
    # The kernel keeps fifteen letters of a name.
    known = {name[:15] for name in table_of_threads()}
    with boot(config=workshop.config) as system:
        system.kit.extension("slow").call("sleep", seconds=0.0)
        names = set()
        for task in os.listdir("/proc/self/task"):
            # A thread may end between the list and the look.
            with contextlib.suppress(OSError):
                names.add(Path(f"/proc/self/task/{task}/comm").read_text().strip())
    ours = {name for name in names if name.startswith("symphony")}
    assert "symphony-lanes" in ours
    assert ours <= known


def test_extensions_are_children_of_the_supervisor_which_has_one_thread(workshop: Workshop) -> None:
    workshop.extension("slow", SLOW)
    with boot(config=workshop.config) as system:
        slow = system.kit.extension("slow")
        slow.call("sleep", seconds=0.0)
        status = Path(f"/proc/{slow.pid}/status").read_text()
        supervisor = int(re.findall(r"^PPid:\s+(\d+)", status, re.MULTILINE)[0])
        assert supervisor != os.getpid()
        assert supervisor in descendants()
        assert len(os.listdir(f"/proc/{supervisor}/task")) == 1
    end = time.monotonic() + 5
    while descendants() and time.monotonic() < end:
        time.sleep(0.01)
    assert descendants() == []
