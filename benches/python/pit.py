"""The Pit beside what people would take instead: stores, graphs, pools; and a store of a million artifacts.

All contenders take their turns in every round, in one process and on one processor. Nobody flushes to the disk.
"""

from __future__ import annotations

import contextlib
import graphlib
import hashlib
import os
import queue
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from report import Row

ROUNDS = 7
SIZES = {"4 KiB": (4 << 10, 150), "64 KiB": (64 << 10, 60), "1 MiB": (1 << 20, 12)}
"""Each size, and how many of it are put and got in a round."""

LARGE = 256 << 20
PIECE = 1 << 20
NODES = 10_000
LEASES = 20_000
MILLION = 1_000_000


class Spans:
    """What each contender took, round for round."""

    def __init__(self) -> None:
        self.rounds: dict[str, list[float]] = {}
        self.all: dict[str, list[float]] = {}

    def add(self, name: str, spans: Sequence[float]) -> None:
        """One round of one contender."""
        self.rounds.setdefault(name, []).append(statistics.median(spans))
        self.all.setdefault(name, []).extend(spans)

    def p50(self, name: str) -> float:
        """The median of the rounds' medians."""
        return statistics.median(self.rounds[name])

    def p99(self, name: str) -> float:
        """The 99th percentile of all."""
        spans = sorted(self.all[name])
        return spans[len(spans) * 99 // 100]

    def ratio(self, peer: str) -> float:
        """Ours to the peer's, by the rounds that they shared."""
        pairs = zip(self.rounds["ours"], self.rounds[peer])
        return statistics.median(ours / theirs for ours, theirs in pairs)

    def row(self, key: str, what: str, target: str, unit: str = "µs") -> Row:
        """The row of the table: against the fastest peer, with all others in its text."""
        from report import Row

        scale = {"µs": 1e6, "ms": 1e3, "ns": 1e9}[unit]
        peers = sorted((name for name in self.rounds if name != "ours"), key=self.p50)
        best, *rest = peers
        others = ", ".join(
            f"{name} {self.p50(name) * scale:.1f} {unit}: {self.ratio(name):.2f} ×" for name in rest
        )
        return Row(
            key,
            what + (f" ({others})" if others else ""),
            f"{self.p50('ours') * scale:.1f} {unit}{self._tail('ours', scale)}",
            f"{best} {self.p50(best) * scale:.1f} {unit}{self._tail(best, scale)}",
            self.ratio(best),
            target,
        )

    def _tail(self, name: str, scale: float) -> str:
        # A 99th percentile of a few is their slowest, which says nothing.
        return f", p99 {self.p99(name) * scale:.1f}" if len(self.all[name]) >= 200 else ""


class Files:
    """One file for each content, by its hash, as one would write it by hand."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes) -> str:
        """Written under another name first, so that nobody reads half of it."""
        name = hashlib.sha256(data).hexdigest()
        place = self._folder / name[:2]
        with contextlib.suppress(FileExistsError):
            os.mkdir(place)
        new = f"{place}/{name}.new"
        with open(new, "wb", buffering=0) as file:
            file.write(data)
        os.rename(new, f"{place}/{name}")
        return name

    def get(self, name: str) -> bytes:
        """The content, as it was written."""
        with open(f"{self._folder}/{name[:2]}/{name}", "rb", buffering=0) as file:
            return file.read()


class Git:
    """Git's own object store: hashed and compressed, without a commit."""

    def __init__(self, folder: Path) -> None:
        import pygit2

        self._kind = pygit2.GIT_OBJECT_BLOB
        self._objects = pygit2.init_repository(str(folder), bare=True).odb

    def put(self, data: bytes) -> Any:
        """As `git hash-object -w`."""
        return self._objects.write(self._kind, data)

    def get(self, name: Any) -> bytes:
        """As `git cat-file`."""
        content: bytes = self._objects.read(name)[1]
        return content


class DiskCache:
    """`diskcache`, by a number: it knows no content."""

    def __init__(self, folder: Path) -> None:
        import diskcache

        self._cache = diskcache.Cache(str(folder), eviction_policy="none", size_limit=1 << 40)
        self._next = 0

    def put(self, data: bytes) -> int:
        """Under a key of its own."""
        self._next += 1
        self._cache[self._next] = data
        return self._next

    def get(self, name: int) -> bytes:
        """By that key."""
        content: bytes = self._cache[name]
        return content

    def close(self) -> None:
        """Its connections."""
        self._cache.close()


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder in memory where there is one: what a disk does meanwhile is none of the contenders' doing."""
    memory = "/dev/shm"
    room = os.path.isdir(memory) and shutil.disk_usage(memory).free > 16 * LARGE
    with tempfile.TemporaryDirectory(dir=memory if room else None) as name:
        yield Path(name)


def _timed(call: Callable[[Any], Any], each: Sequence[Any]) -> tuple[list[float], list[Any]]:
    clock = time.perf_counter
    spans, results = [], []
    for one in each:
        begin = clock()
        result = call(one)
        spans.append(clock() - begin)
        results.append(result)
    return spans, results


def _system(folder: Path) -> Any:
    from symphony import boot

    config = folder / "Symphony.toml"
    config.write_text('[system]\nname = "bench"\nstate = "state"\n', encoding="utf-8")
    return boot(config=str(config))


def contenders(folder: Path, stack: contextlib.ExitStack) -> dict[str, Any]:
    """Whoever stores something, by name, each in a folder of its own."""
    for name in ("files", "git", "diskcache"):
        (folder / name).mkdir()
    disk = DiskCache(folder / "diskcache")
    stack.callback(disk.close)
    return {
        "ours": stack.enter_context(_system(folder)).pit.artifacts,
        "plain files": Files(folder / "files"),
        "git": Git(folder / "git"),
        "diskcache": disk,
    }


def stores(rounds: int = ROUNDS) -> list[Row]:
    """Puts and gets of three sizes, each content a new one."""
    found: list[Row] = []
    with _scratch() as folder, contextlib.ExitStack() as stack:
        rivals = contenders(folder, stack)
        for text, (size, count) in SIZES.items():
            puts, gets = Spans(), Spans()
            for number in range(rounds + 1):
                for name, contender in rivals.items():
                    data = [os.urandom(size) for _ in range(count)]
                    put_spans, names = _timed(contender.put, data)
                    get_spans, contents = _timed(contender.get, names)
                    if contents != data:
                        raise SystemExit(f"{name} gave back something else")
                    if number:
                        puts.add(name, put_spans)
                        gets.add(name, get_spans)
            key = text.replace(" ", "").lower()
            target = "< 20 µs" if size == 4 << 10 else "faster than each"
            found.append(puts.row(f"store-put-{key}", f"put of {text}", target))
            found.append(gets.row(f"store-get-{key}", f"get of {text}", target))
    return found


def large(rounds: int = 3) -> list[Row]:
    """256 MiB that come in pieces: stored in chunks, beside a file that is hashed as it is written."""
    from report import Row

    spans = Spans()
    seed = os.urandom(LARGE)
    for number in range(rounds + 1):
        # Another content each time, also to a cutter that looks at its bytes.
        table = bytes((one + number) & 255 for one in range(256))
        data = memoryview(seed.translate(table))
        with _scratch() as folder, _system(folder) as system:
            begin = time.perf_counter()
            with system.pit.artifacts.writer() as writer:
                for at in range(0, LARGE, PIECE):
                    writer.write(data[at : at + PIECE])
            ours = time.perf_counter() - begin
            begin = time.perf_counter()
            sha = hashlib.sha256()
            with open(folder / "plain", "wb", buffering=0) as file:
                for at in range(0, LARGE, PIECE):
                    sha.update(data[at : at + PIECE])
                    file.write(data[at : at + PIECE])
            theirs = time.perf_counter() - begin
        if number:
            spans.add("ours", [ours])
            spans.add("a hashed file", [theirs])
    per_second = {name: LARGE / spans.p50(name) / 1e9 for name in ("ours", "a hashed file")}
    return [
        Row(
            "store-put-256mib",
            "put of 256 MiB in chunks, one processor",
            f"{per_second['ours']:.2f} GB/s",
            f"a file hashed with SHA-256 as it is written {per_second['a hashed file']:.2f} GB/s",
            spans.ratio("a hashed file"),
            "≥ 1.2 GB/s",
        )
    ]


def _graph() -> dict[str, list[str]]:
    """Ten thousand nodes in layers of a hundred; each needs three of the layer before."""
    return {
        f"n{number}": [
            f"n{(number // 100 - 1) * 100 + (number + step) % 100}"
            for step in (0, 7, 31)
            if number >= 100
        ]
        for number in range(NODES)
    }


def _standard(graph: dict[str, list[str]]) -> int:
    sorter = graphlib.TopologicalSorter(graph)
    sorter.prepare()
    done = 0
    while sorter.is_active():
        ready = sorter.get_ready()
        for node in ready:
            sorter.done(node)
        done += len(ready)
    return done


def _network(graph: dict[str, list[str]]) -> int:
    import networkx as nx

    made = nx.DiGraph()
    made.add_nodes_from(graph)
    made.add_edges_from((need, node) for node, needs in graph.items() for need in needs)
    return sum(map(len, nx.topological_generations(made)))


def _tracked(dag: Any, graph: dict[str, list[str]]) -> int:
    run = dag.submit(graph)
    done = 0
    ready = dag.ready(run)
    while ready:
        found: list[str] = []
        for node in ready:
            found += dag.complete(run, node)
        done += len(ready)
        ready = found
    return done


def trackers(rounds: int = ROUNDS) -> list[Row]:
    """A graph of 10,000 nodes from its edges to the last completion."""
    graph = _graph()
    spans = Spans()
    with _scratch() as folder, _system(folder) as system:
        dag = system.pit.dag
        contenders: dict[str, Callable[[], int]] = {
            "ours": lambda: _tracked(dag, graph),
            "graphlib": lambda: _standard(graph),
            "networkx": lambda: _network(graph),
        }
        for number in range(rounds + 1):
            for name, contender in contenders.items():
                begin = time.perf_counter()
                if contender() != NODES:
                    raise SystemExit(f"{name} did not come through the graph")
                span = time.perf_counter() - begin
                if number:
                    spans.add(name, [span / NODES])
    return [
        spans.row(
            "tracker-10000",
            "a node of a graph of 10,000: submitted, ready, completed and in the journal",
            "< 1 µs (in Rust)",
        )
    ]


def pools(rounds: int = ROUNDS) -> list[Row]:
    """A worker taken and given back, by one thread."""
    spans = Spans()
    with _scratch() as folder, _system(folder) as system:
        pool = system.pit.pool
        pool.register("worker", object, size=2)
        lease = pool.lease
        waiting: queue.Queue[object] = queue.Queue()
        waiting.put(object())

        def ours() -> None:
            for _ in range(LEASES):
                with lease("worker"):
                    pass

        def standard() -> None:
            for _ in range(LEASES):
                worker = waiting.get()
                try:
                    pass
                finally:
                    waiting.put(worker)

        for number in range(rounds + 1):
            for name, contender in (("ours", ours), ("queue.Queue", standard)):
                begin = time.perf_counter()
                contender()
                if number:
                    spans.add(name, [(time.perf_counter() - begin) / LEASES])
    return [spans.row("pool-lease", "a worker leased and given back", "≥ 100,000 per second")]


FILL = """
import sys
from symphony import boot
with boot(config=sys.argv[1]) as system:
    put = system.pit.artifacts.put
    for number in range(int(sys.argv[2])):
        put(b"%d" % number, name="n%d" % (number % 1000), tags=["t%d" % (number % 1000)])
"""

LOOK = """
import json, sys, time
from symphony import boot
def kib(key):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(key))
with boot():
    pass
before = kib("VmRSS")
system = boot(config=sys.argv[1])
store = system.pit.artifacts
told = json.loads(system.report.to_json())
opened = next(one["seconds"] for one in told["components"] if one["name"] == "artifact-store")
begin = time.perf_counter()
found = len(store.find(tag="t7"))
find = time.perf_counter() - begin
memory = kib("VmRSS") - before
system.pit.stale.rule("old", "delete", older_than=1e9)
begin = time.perf_counter()
swept = system.pit.stale.sweep(dry_run=True)
sweep = time.perf_counter() - begin
peak = kib("VmHWM") - before
system.shutdown()
print(json.dumps({"open": opened, "find": find, "sweep": sweep, "memory": memory, "peak": peak,
    "found": found, "examined": swept["examined"]}))
"""


def million(count: int = MILLION, rounds: int = 3) -> list[Row]:
    """A store of a million artifacts, opened by fresh processes."""
    from measure import fresh, median
    from report import Row

    with _scratch() as folder:
        config = folder / "Symphony.toml"
        config.write_text('[system]\nname = "million"\nstate = "state"\n', encoding="utf-8")
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", FILL, str(config), str(count)], check=True)
        fill = time.perf_counter() - begin
        looks = [fresh(LOOK, str(config)) for _ in range(rounds)]
    if any(one["found"] * 1000 != count or one["examined"] != count for one in looks):
        raise SystemExit(f"the store did not keep {count:,} artifacts: {looks}")
    what = f"{count:,} artifacts"
    sweep = median(looks, "sweep")
    memory, peak = (median(looks, name) / 1024 for name in ("memory", "peak"))
    return [
        Row("million-put", f"{what}: put, with name and tag", f"{fill / count * 1e6:.1f} µs each"),
        Row("million-open", f"{what}: the store opened", f"{median(looks, 'open') * 1e3:.0f} ms"),
        Row(
            "million-find",
            f"{what}: {count // 1000:,} of one tag found",
            f"{median(looks, 'find') * 1e3:.2f} ms",
        ),
        Row(
            "million-sweep",
            f"{what}: all weighed by a sweep",
            f"{sweep:.2f} s, {sweep / count * 1e6:.2f} µs each",
            target="< 1 µs each",
        ),
        Row(
            "million-memory",
            f"{what}: resident memory of the open store",
            f"{memory:.1f} MiB, {peak:.1f} MiB at its highest, in the sweep",
        ),
    ]


def rows() -> list[Row]:
    """The table's rows."""
    from measure import pinned

    allowed = os.sched_getaffinity(0)
    pinned({min(allowed)})
    try:
        return [*stores(), *large(), *trackers(), *pools(), *million()]
    finally:
        pinned(allowed)


def short() -> list[Row]:
    """The same with small numbers, for a test."""
    return [*stores(1), *trackers(1), *pools(1), *million(2000, 1)]


if __name__ == "__main__":
    from report import table

    print(table(short() if sys.argv[1:] == ["short"] else rows(), "this machine"))
