"""Numbers that cross into the core are bounded at its door: spans of time, lengths, values that share parts."""

from __future__ import annotations

import ast
import contextlib
import json
import threading
import time
from pathlib import Path

import pytest
import symphony
from kit_processes import running
from symphony import boot, component
from symphony.exceptions import InvalidValueError
from symphony.extension import Extension
from symphony.testing import Fault, FaultPlan, MockComponent, extension
from workshop import ECHO, Workshop, run_python

NO_SPANS = [float("nan"), -1.0, -0.5, float("-inf")]
ENDLESS = [float("inf"), 1e19, 1e308]
WORDS = {"timeout", "drain", "older_than", "unused_for", "seconds", "latency"}
NAP = """
import time

@extension.operation
def nap(value: float) -> float:
    time.sleep(value)
    return value
"""
ASKING = """
@extension.operation
def ask(operation: str, timeout: object, inputs: dict) -> str:
    try:
        answer = extension.options(timeout=timeout).call(operation, **inputs)
    except BaseException as error:
        return type(error).__name__
    return "answered"


@extension.operation
def on_the_lane(timeout: float) -> str:
    try:
        extension.lane_for("call").call("napper.nap", {"value": 0.0}, timeout)
    except BaseException as error:
        return type(error).__name__
    return "answered"
"""


LATE = 0.3
"""Seconds after which what is waited for comes: more than what no limit might be mistaken for."""


class Part:
    """Something to swap."""


class Watched:
    """It says how it is later than a question without a limit of its own would wait."""

    def __init__(self):
        self.slow = 0.0

    def health(self):
        time.sleep(self.slow)


class Starting:
    """Its start takes a while."""

    def start(self):
        time.sleep(LATE)


@contextlib.contextmanager
def later(act):
    """Does something after a while, also when nobody waits for it any more."""
    timer = threading.Timer(LATE, act)
    timer.start()
    try:
        yield
    finally:
        timer.join()


class Slow:
    """Its stop takes longer than a default shutdown gives it."""

    def __init__(self):
        self.stopped = False

    def stop(self):
        time.sleep(1.6)
        self.stopped = True


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    workshop = Workshop(tmp_path_factory.mktemp("bounds"))
    workshop.extension("napper", NAP + ECHO)
    calls = '["napper.*", "arbitration-engine.*", "stale-manager.*"]'
    workshop.extension("asking", ASKING, f"[extension.permissions]\ncalls = {calls}\n")
    workshop.melody(
        '[melody]\nname = "naps"\n\n[[node]]\nid = "nap"\ncall = "napper.nap"\nwith = { value = 0.3 }\n'
    )
    with running(workshop, components=[Part, Watched]) as booted:
        booted.pit.arbitration.define("gpu", 1)
        booted.pit.pool.register("workers", object, size=1)
        booted.folder = workshop.folder
        yield booted


def lease(system, seconds):
    """The only worker comes back late."""
    held = system.pit.pool.lease("workers", timeout=20)
    held.__enter__()
    with (
        later(lambda: held.__exit__(None, None, None)),
        system.pit.pool.lease("workers", timeout=seconds),
    ):
        pass


def request(system, seconds):
    """What there is comes back late."""
    held = system.pit.arbitration.request("gpu", "first", timeout=20)
    assert held.outcome == "granted"
    with (
        later(held.release),
        system.pit.arbitration.request("gpu", "test", timeout=seconds) as grant,
    ):
        assert grant.outcome == "granted"


def health(system, seconds):
    watched = system[Watched]
    watched.slow = 1.2
    try:
        assert system.health(timeout=seconds).components["Watched"].state == "healthy"
    finally:
        watched.slow = 0.0


def held_for_a_while(system):
    """Somebody else uses the object for a while yet."""
    users = [system[Part]]
    return later(users.clear)


def take(system, seconds):
    """What comes late is waited for."""
    timer = threading.Timer(0.2, system.pit.dag.submit, [{"late": []}])
    timer.start()
    try:
        [(run, node)] = system.pit.dag.take(timeout=seconds)
    finally:
        timer.cancel()
    system.pit.dag.complete(run, node)
    assert node == "late"


def submit(word):
    def call(system, seconds):
        run = system.pit.dag.submit({"kept": []}, **{word: seconds})
        assert system.pit.dag.start(run) == "kept"
        system.pit.dag.complete(run, "kept")

    return call


def rule(word):
    def call(system, seconds):
        system.pit.stale.rule("old", "delete", **{word: seconds})
        found = system.pit.artifacts.put(b"kept for ever")
        assert system.pit.stale.evaluate(found) == "keep"

    return call


def get(system, seconds):
    """What comes late is waited for."""
    topic = system.bus.topic("late")
    with topic.subscribe() as values:
        threading.Timer(0.2, topic.publish, ["it"]).start()
        assert values.get(timeout=seconds) == "it"


def result(system, seconds):
    run = system.submit(system.folder / "melody.toml")
    assert run.result(timeout=seconds) == {"nap": 0.3}


def options(system, seconds):
    """No limit takes the place of the limit of the view before."""
    handle = system.kit.extension("napper").options(timeout=0.05).options(timeout=seconds)
    assert handle.call("nap", value=0.2) == 0.2
    handle.activate()
    handle.restart()


def swap(system, seconds):
    with held_for_a_while(system):
        assert system.swap(Part, Part(), drain=seconds).drained


def promote(system, seconds):
    tried = system.experiment(Part, {"same": Part}, {"same": 0.5})
    try:
        with held_for_a_while(system):
            assert tried.promote("same", drain=seconds).drained
    finally:
        tried.stop()


def stop(system, seconds):
    tried = system.experiment(Part, {"same": Part}, {"same": 0.5})
    try:
        tried.stop(drain=seconds)
    finally:
        tried.stop()


def override(system, seconds):
    with system.override(Part, Part(), drain=seconds) as stands_in:
        assert stands_in is not None
    assert isinstance(system[Part], Part)


def booting(start):
    def call(_system, seconds):
        started = start(seconds)
        components = json.loads(started.report.to_json())["components"]
        assert all(component["status"] == "ready" for component in components)
        started.shutdown()

    return call


def shut_down(_system, seconds):
    """No limit is none: a slow stop is waited for. What is no span stops nothing."""
    own = boot(components=[Slow])
    slow = own[Slow]
    try:
        own.shutdown(timeout=seconds)
    except InvalidValueError:
        assert own[Slow] is slow
        raise
    finally:
        own.shutdown(timeout=20)
    assert slow.stopped


def marked(_system, seconds):
    class Timed(Starting):
        pass

    boot(components=[component(timeout=seconds)(Timed)]).shutdown()


def planned(_system, seconds):
    FaultPlan(Fault("Part", "start", "slow", seconds=seconds)).discard()


PLACES = {
    "_core PoolManager.lease": lease,
    "_core ArbitrationEngine.request": request,
    "_core DagTracker.take": take,
    "_core DagTracker.submit timeout": submit("timeout"),
    "_core DagTracker.submit deadline": submit("deadline"),
    "_core DagTracker.submit back_off": submit("back_off"),
    "_core StaleManager.rule older_than": rule("older_than"),
    "_core StaleManager.rule unused_for": rule("unused_for"),
    "_core Subscription.get": get,
    "_core Run.result": result,
    "_core ExtensionHandle.options": options,
    "_boot/system System.health": health,
    "_boot/system System.swap": swap,
    "_boot/system System.override": override,
    "_boot/system System.shutdown": shut_down,
    "_swap/trial Trial.promote": promote,
    "_swap/trial Trial.stop": stop,
    "_boot/starter boot": booting(lambda seconds: boot(timeout=seconds, components=[Starting])),
    "_components/mark component": marked,
    "extension Extension.options": lambda _system, seconds: Extension("alone").options(
        timeout=seconds
    ),
    "testing/_faults Fault.__new__": planned,
    "testing/_faults FaultPlan.boot": booting(lambda seconds: FaultPlan().boot(timeout=seconds)),
    "testing/_mock MockComponent timeout": booting(
        lambda s: boot(components=[MockComponent(timeout=s)])
    ),
    "testing/_extension extension": lambda _system, seconds: served(seconds).close(),
    "testing/_extension RunningExtension.options": lambda _system, seconds: served_with(seconds),
    "testing/_mock MockComponent latency": lambda _system, seconds: MockComponent(latency=seconds),
}


def served(seconds):
    """An extension in this process, with that time to start."""
    small = Extension("small")
    small.operation(lambda: 1, name="one")
    return extension(small, timeout=seconds)


def served_with(seconds):
    with served(10.0) as running:
        running.options(timeout=seconds)


# Nobody but Symphony itself calls these: what they take was checked in one of the places above. By module and name, so
# that a public function of the same name elsewhere is not left out.
INNER = {
    "_cli/_baseline signed_text",
    "_pictures/markup seconds_text",
    "_pictures/waterfall Scale.__init__",
    "_pictures/waterfall Scale.bar",
    "_boot/starter Starter.__init__",
    "_components/mark Options.__init__",
    "_core Boot.__new__",
    "_core FileWatch.next",
    "_core GuestLane.call",
    "_core JobQueue.take_polling",
    "_core LogFollower.take",
    "_core Running.begin_health",
    "_core Running.begin_shutdown",
    "_core Stepper.begin",
    "_core Stepper.run",
    "_core TriedVersions.end",
    "_core checked_seconds",
    "_core known_timeout",
    "_core seconds_text",
    "_core stop_extension",
    "_core swap_version",
    "_core wait_drained",
    "_core wait_for_calls",
    "_swap/override Override.__init__",
    "_swap/swap run_step",
    "_swap/swap swap",
    "_swap/swap take_out",
    "_swap/versions swap",
    "_work/async_calls call",
    "_work/conductor_thread RunSummary.__init__",
    "batch Run.result",
    "extension CallView.__init__",
    "extension Extension.call_within",
    "extension Lane.call",
}


def spans_in(node, above=""):
    """Every function below that takes a span, by its qualified name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            if not child.name.startswith("_"):
                yield from spans_in(child, f"{child.name}.")
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            taken = {one.arg for one in (*child.args.args, *child.args.kwonlyargs)}
            hidden = child.name.startswith("_") and not child.name.startswith("__")
            if taken & WORDS and not hidden:
                yield above + child.name
        elif isinstance(child, (ast.If, ast.Try)):
            yield from spans_in(child, above)


def test_every_callable_that_takes_a_span_is_here():
    package = Path(symphony.__file__).parent
    sources = [*package.rglob("*.py"), *package.rglob("*.pyi")]
    found = {
        f"{path.relative_to(package).with_suffix('')} {name}"
        for path in sources
        for name in spans_in(ast.parse(path.read_text(encoding="utf-8")))
    }
    tested = {" ".join(name.split()[:2]) for name in PLACES}
    assert found - tested - INNER == set()
    assert tested | INNER == found, "what is named here is there"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("seconds", NO_SPANS)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_span_is_refused(system, place, seconds):
    with pytest.raises(InvalidValueError):
        PLACES[place](system, seconds)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("seconds", ENDLESS)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_beyond_the_clock_is_no_limit(system, place, seconds):
    PLACES[place](system, seconds)


@pytest.mark.timeout(60)
def test_a_guest_is_held_to_the_same(system):
    asking = system.kit.extension("asking")
    grant = {"resource": "gpu", "owner": "guest"}
    for seconds in NO_SPANS:
        nap = {"value": 5.0}
        assert (
            asking.call("ask", operation="napper.nap", timeout=seconds, inputs=nap)
            == "InvalidValueError"
        )
        assert asking.call("on_the_lane", timeout=seconds) == "InvalidValueError"
        wished = {**grant, "timeout": seconds}
        told = asking.call(
            "ask", operation="arbitration-engine.request", timeout=None, inputs=wished
        )
        assert told == "InvalidValueError"
    for seconds in ENDLESS:
        nap = {"value": 0.1}
        assert asking.call("ask", operation="napper.nap", timeout=seconds, inputs=nap) == "answered"
        assert asking.call("on_the_lane", timeout=seconds) == "answered"
        rule = {"name": "old", "action": "delete", "older_than": seconds}
        told = asking.call("ask", operation="stale-manager.rule", timeout=None, inputs=rule)
        assert told == "answered"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("length", [-1, 1 << 32, 1 << 46, 1 << 63, 1 << 70])
def test_a_loan_beyond_every_value_is_refused(system, length):
    with pytest.raises(InvalidValueError, match="4 GiB"):
        system.bus.loan(length)
    assert bytes(system.bus.loan(3)) == b"\0\0\0"


SHARING = """
    import resource, sys
    from symphony import boot

    with boot() as system:
        topic = system.bus.topic("any")
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20),) * 2)
        lists, dicts = [0], {}
        for _ in range(100):
            lists, dicts = [lists, lists], {"a": dicts, "b": dicts}
        part = b"x" * (1 << 20)
        for value in (lists, dicts, (lists,), [part] * 300, [part.decode()] * 300, [bytearray(part)] * 300):
            try:
                topic.publish(value)
            except (TypeError, MemoryError) as error:
                print(type(error).__name__)
        try:
            system.bus.loan(1 << 30)
        except MemoryError as error:
            print(type(error).__name__)
        topic.publish([part])
"""


def test_shared_parts_are_counted_while_they_are_written(tmp_path):
    done = run_python(SHARING, cwd=tmp_path, timeout=120)
    assert done.stdout.split() == ["TypeError"] * 3 + ["MemoryError"] * 4, done.stderr
    assert done.returncode == 0
