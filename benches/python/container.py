"""The container: calls through what was injected, lookups, a boot of fifty components, a rewrite of fifty consumers.

`side_by_side.py` calls it. By itself, `python container.py` prints the figures that depend on the interpreter as JSON,
so that they can be taken on each one that Symphony is installed for: `SYMPHONY_BENCH_PYTHONS` names them, with colons
between. `python container.py fifty` prints those of `fifty`.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symphony import ArtifactStore, boot

if TYPE_CHECKING:
    from collections.abc import Callable

    from report import Row

UNROLLED = 20
# One of these takes about a millisecond: a rival that pushes in between spoils one sample, and the median forgets it.
INNER = 2_000


class Dependency:
    """What is called."""

    def method(self) -> int:
        return 1


class Consumer:
    """What calls it."""

    def __init__(self, dependency: Dependency) -> None:
        self.dependency = dependency


class PitConsumer:
    """What calls a Pit component."""

    def __init__(self, store: ArtifactStore) -> None:
        self.store = store


def loop(statement: str, **names: Any) -> Callable[[int], None]:
    """A function that runs a statement; each has code of its own, so that none warms up another."""
    parameters = ", ".join(f"{name}={name}" for name in names)
    lines = "\n".join([f"        {statement}"] * UNROLLED)
    source = f"def run(count, {parameters}):\n    for _ in range(count):\n{lines}\n"
    space = dict(names)
    exec(compile(source, statement, "exec"), space)
    made: Callable[[int], None] = space["run"]
    return made


def paired(contenders: dict[str, Callable[[int], None]], rounds: int) -> dict[str, list[float]]:
    """Nanoseconds of each, all visited once per round, from the front and from the back by turns."""
    spans: dict[str, list[float]] = {name: [] for name in contenders}
    clock = time.perf_counter_ns
    order = list(contenders.items())
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds + 3):
            for name, run in order if turn % 2 else order[::-1]:
                begin = clock()
                run(INNER // UNROLLED)
                if turn >= 3:
                    spans[name].append((clock() - begin) / INNER)
    finally:
        gc.enable()
    return spans


def against(spans: dict[str, list[float]], ours: str, theirs: str) -> float:
    """The median of the paired ratios."""
    return statistics.median(one / two for one, two in zip(spans[ours], spans[theirs]))


def calls(rounds: int = 2_000) -> dict[str, float]:
    """Ratios of calls and lookups that depend on the interpreter, and a few figures in nanoseconds."""
    with boot(components=[Dependency, Consumer, PitConsumer]) as system:
        injected, written = system[Consumer], Consumer(Dependency())
        pit, by_hand = system[PitConsumer], PitConsumer(system.pit.artifacts)
        objects, key = {Dependency: system[Dependency]}, Dependency
        store = system.pit.artifacts
        spans = paired(
            {
                "injected": loop("user.dependency.method()", user=injected),
                "written": loop("user.dependency.method()", user=written),
                "pit injected": loop("user.store._door()", user=pit),
                "pit written": loop("user.store._door()", user=by_hand),
                "system[T]": loop("system[key]", system=system, key=key),
                "system.get(T)": loop("system.get(key)", system=system, key=key),
                "dict[T]": loop("objects[key]", objects=objects, key=key),
                "door": loop("store._door()", store=store),
                "nothing": loop("store._nothing()", store=store),
                "floor": loop("pass", none=None),
            },
            rounds,
        )
    floor = statistics.median(spans.pop("floor"))
    spans = {name: [span - floor for span in each] for name, each in spans.items()}
    figures = {
        "injected": against(spans, "injected", "written"),
        "pit": against(spans, "pit injected", "pit written"),
        "subscript": against(spans, "system[T]", "dict[T]"),
        "get": against(spans, "system.get(T)", "dict[T]"),
        "door": against(spans, "door", "nothing"),
    }
    medians = {f"{name} ns": statistics.median(each) for name, each in spans.items()}
    return {**figures, **medians}


def lookups(rounds: int = 300) -> dict[str, float]:
    """Nanoseconds of one lookup by each container."""
    import containers

    contenders: dict[str, Callable[[int], None]] = {}
    kept: list[Any] = []
    for name, build in containers.PEERS.items():
        needs = containers.graph()
        resolve, key = build(needs), list(needs)[-1]
        if resolve(key) is not resolve(key):
            raise SystemExit(f"{name} gave two objects")
        kept.append(resolve)
        contenders[name] = loop("resolve(key)", resolve=resolve, key=key)
    needs = containers.graph()
    with boot(components=list(needs)) as system:
        key = list(needs)[-1]
        contenders["system[T]"] = loop("system[key]", system=system, key=key)
        contenders["system.get(T)"] = loop("system.get(key)", system=system, key=key)
        spans = paired(contenders, rounds)
    return {name: statistics.median(each) for name, each in spans.items()}


def fifty(rounds: int = 30) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds that fifty trivial components cost: ours as what they add to a boot, a peer's as building and resolving.

    Ours covers all that they add: reading their annotations, registering, planning with every check, building each on
    the container's threads, the gate that waits for them, their lines in the report; of that, `built` is the phase in
    which they are built by injection, started and asked how they are. The same boot without them, of which the
    supervisor, the bus, the Pit and the kit are the most, is taken off from both.
    """
    import containers

    alone: list[float] = []
    together: list[float] = []
    phases: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 3):
        for components in ([], list(containers.graph())):
            gc.collect()
            begin = time.perf_counter()
            with boot(components=components) as system:
                took = time.perf_counter() - begin
                phase = json.loads(system.report.to_json())["phases"][-1]["seconds"]
            if turn < 3:
                continue
            (together if components else alone).append(took)
            phases[bool(components)].append(phase)
    ours = {
        "added": statistics.median(two - one for one, two in zip(alone, together)),
        "built": statistics.median(two - one for one, two in zip(*phases)),
    }
    theirs: dict[str, float] = {}
    for name, build in {"by hand": containers.by_hand, **containers.PEERS}.items():
        spans: list[float] = []
        for turn in range(rounds + 3):
            needs = containers.graph()
            gc.collect()
            begin = time.perf_counter()
            resolve = build(needs)
            for key in needs:
                resolve(key)
            if turn >= 3:
                spans.append(time.perf_counter() - begin)
        theirs[name] = statistics.median(spans)
    return ours, theirs


def rewrite(rounds: int = 2_000) -> float:
    """Seconds of the rewrite that fifty consumers see."""
    from symphony._core import Sites

    consumers: list[Any] = []
    for number in range(50):
        space: dict[str, Any] = {"Dependency": Dependency}
        source = (
            f"class User{number}:\n"
            "    def __init__(self, dependency: Dependency) -> None: self.dependency = dependency\n"
        )
        exec(compile(source, "<user>", "exec"), space)
        consumers.append(space[f"User{number}"])
    spans: list[float] = []
    with boot(components=[Dependency, *consumers]) as system:
        container: Any = system._container
        first, second = system[Dependency], Dependency()
        (live,) = container.providers(Dependency)
        sites = Sites.find(container, live, first, container.lives)
        if len(sites.rewritten) != 50:
            raise SystemExit(f"{len(sites.rewritten)} consumers, not 50")
        for _ in range(rounds // 2):
            for old, new in ((first, second), (second, first)):
                begin = time.perf_counter()
                sites.put(old, new)
                spans.append(time.perf_counter() - begin)
    return statistics.median(spans)


IMPORT_MEMORY = """
import json, sys
def rss():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
before = rss()
import symphony
from symphony import boot
print(json.dumps({"rise": rss() - before}))
"""


def alone(what: str) -> Any:
    """A measurement in an interpreter of its own: what others have left on the heap costs whoever collects garbage."""
    script = str(Path(__file__).resolve())
    done = subprocess.run(
        [sys.executable, script, what], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def elsewhere() -> dict[str, dict[str, float]]:
    """The figures of `calls` on this interpreter and on every other one that is named, by version."""
    pythons = [one for one in os.environ.get("SYMPHONY_BENCH_PYTHONS", "").split(":") if one]
    found: dict[str, dict[str, float]] = {}
    for python in [sys.executable, *pythons]:
        done = subprocess.run(
            [python, str(Path(__file__).resolve())], capture_output=True, text=True, check=True
        )
        figures = json.loads(done.stdout.splitlines()[-1])
        found[figures.pop("version")] = figures
    return found


def rows() -> list[Row]:
    """The table's rows."""
    from measure import fresh
    from report import Row

    found: list[Row] = []
    for version, one in elsewhere().items():
        what = [
            (
                "injected",
                "call through an injected object",
                "the same written by hand",
                "1.00 ± 0.02",
            ),
            ("pit", "call of an injected Pit component", "the same written by hand", "1.00 ± 0.02"),
            ("subscript", "`system[T]`", "`dict[T]`", "≤ 1.5"),
            ("get", "`system.get(T)`", "`dict[T]`", "≤ 2.5"),
            ("door", "empty call of a Pit member", "an empty PyO3 method", "≤ 1.5"),
        ]
        names = {
            "injected": ("injected", "written"),
            "pit": ("pit injected", "pit written"),
            "subscript": ("system[T]", "dict[T]"),
            "get": ("system.get(T)", "dict[T]"),
            "door": ("door", "nothing"),
        }
        for key, text, peer, target in what:
            ours, theirs = (one[f"{name} ns"] for name in names[key])
            found.append(
                Row(
                    f"container-{key}-{version}",
                    f"{text}, CPython {version}",
                    f"{ours:.1f} ns",
                    f"{peer} {theirs:.1f} ns",
                    one[key],
                    target,
                )
            )
    spans = lookups()
    for name in ("system[T]", "system.get(T)"):
        peers = {peer: span for peer, span in spans.items() if not peer.startswith("system")}
        best = min(peers, key=lambda peer: peers[peer])
        rest = ", ".join(f"{peer} {span:.0f}" for peer, span in sorted(peers.items(), key=_second))
        found.append(
            Row(
                f"container-lookup-{name}",
                f"`{name}` against containers ({rest} ns)",
                f"{spans[name]:.0f} ns",
                f"{best} {peers[best]:.0f} ns",
                spans[name] / peers[best],
                "faster than each",
            )
        )
    ours_seconds, theirs_seconds = alone("fifty")
    rest = ", ".join(
        f"{peer} {span * 1e6:.0f}" for peer, span in sorted(theirs_seconds.items(), key=_second)
    )
    found.append(
        Row(
            "container-fifty-built",
            "50 trivial components of a validated plan: built, started, through their gate",
            f"{ours_seconds['built'] * 1e6:.0f} µs",
            f"a loop written by hand, without any of that, {theirs_seconds['by hand'] * 1e6:.0f} µs",
            ours_seconds["built"] / theirs_seconds["by hand"],
            "≤ 300 µs",
        )
    )
    found.append(
        Row(
            "container-fifty",
            "all that 50 trivial components add to a boot, from their annotations to the report "
            f"(peers build and resolve: {rest} µs)",
            f"{ours_seconds['added'] * 1e6:.0f} µs",
            f"dishka, which validates too, {theirs_seconds['dishka'] * 1e6:.0f} µs",
            ours_seconds["added"] / theirs_seconds["dishka"],
            "faster than those that validate",
        )
    )
    found.append(
        Row(
            "container-rewrite",
            "the rewrite that 50 consumers see",
            f"{rewrite() * 1e6:.1f} µs",
            target="≤ 5 µs",
        )
    )
    memory = sorted(fresh(IMPORT_MEMORY)["rise"] for _ in range(7))[3]
    found.append(
        Row(
            "import-memory",
            "`import symphony` with `boot`, resident memory",
            f"{memory / 1024:.1f} MiB",
            target="≤ 3 MB",
        )
    )
    return found


def _second(pair: tuple[str, float]) -> float:
    return pair[1]


if __name__ == "__main__":
    if sys.argv[1:] == ["fifty"]:
        print(json.dumps(fifty()))
        raise SystemExit
    version = ".".join(map(str, sys.version_info[:2]))
    print(json.dumps({"version": version, **calls()}))
