"""One guest that asks for all it can get: it hears of its bounds itself, delays nobody, and leaves nothing behind."""

from __future__ import annotations

import os
import threading
import time

import pytest
from kit_processes import running
from symphony.exceptions import CallTimeoutError, ExtensionCrashedError, RemoteError
from workshop import native_threads, wait_until

ASKING = """
import os
import threading

told = []

def ask(operation, inputs):
    try:
        told.append(extension.call(operation, **inputs))
    except BaseException as error:
        told.append(type(error).__name__ + ": " + str(error))

@extension.operation
def begin(count: int, operation: str, inputs: dict) -> None:
    for _ in range(count):
        threading.Thread(target=ask, args=(operation, inputs), daemon=True).start()

@extension.operation
def answers() -> list:
    return told

@extension.operation
def die() -> None:
    os._exit(3)

@extension.operation
def call(operation: str, inputs: dict) -> object:
    return extension.call(operation, **inputs)

@extension.operation
def weight(operation: str, name: str, size: int) -> object:
    return extension.call(operation, **{name: "x" * size})
"""
SLOW = """
import time

@extension.operation
def hold(path: str) -> None:
    import os
    while not os.path.exists(path):
        time.sleep(0.01)

@extension.operation
async def later(path: str) -> None:
    import asyncio, os
    while not os.path.exists(path):
        await asyncio.sleep(0.01)
"""
GRANTED = (
    '[extension.permissions]\ncalls = ["arbitration-engine.*", "artifact-store.*", "slow.*"]\n'
)
WISH = {"resource": "gpu", "owner": "it", "timeout": 1e6}


def held_memory() -> int:
    """What this process has of the machine's memory, in bytes."""
    with open("/proc/self/smaps_rollup", encoding="ascii") as lines:
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_Dirty"))


@pytest.fixture
def system(workshop):
    for name in ("greedy", "other"):
        workshop.extension(name, ASKING, GRANTED)
    workshop.extension("slow", SLOW, "[extension.limits]\nqueue = 16\n")
    workshop.melody(
        '[melody]\nname = "m"\ninputs = ["x"]\n[[node]]\nid = "n"\ncall = "artifact-store.put"\n'
        'with = { data = "${inputs.x}" }\n'
    )
    with running(workshop) as booted:
        booted.pit.arbitration.define("gpu", 1)
        booted.folder = workshop.folder
        yield booted


def waited_for(system) -> bool:
    """Whether somebody waits for the resource, which is held: one more would stand behind them."""
    return "`it`" in system.pit.arbitration.request("gpu", "probe").reason


@pytest.mark.timeout(60)
def test_whoever_waits_takes_no_thread_and_delays_nobody(system):
    grant = system.pit.arbitration.request("gpu", "root")
    greedy, other = system.kit.extension("greedy"), system.kit.extension("other")
    put = {"operation": "artifact-store.put", "inputs": {"data": "it"}}
    other.call("call", **put)
    before = native_threads()
    greedy.call("begin", count=200, operation="arbitration-engine.request", inputs=WISH)
    assert wait_until(lambda: waited_for(system))
    time.sleep(0.5)
    assert native_threads() <= before + 1
    assert other.options(timeout=10).call("call", **put)
    assert greedy.options(timeout=10).call("call", **put)
    run = system.submit(system.folder / "melody.toml", {"x": "y" * 300_000})
    assert run.result(timeout=10)["n"]
    # It goes, and so does all that it waited for.
    with pytest.raises(ExtensionCrashedError):
        greedy.call("die")
    assert wait_until(lambda: not waited_for(system))
    grant.release()
    assert system.pit.arbitration.request("gpu", "next").outcome == "granted"
    assert other.options(timeout=10).call("call", **put)


@pytest.mark.timeout(60)
def test_what_waits_is_answered_in_its_turn_or_at_its_time(system):
    greedy = system.kit.extension("greedy")
    grant = system.pit.arbitration.request("gpu", "root")
    wish = {"operation": "arbitration-engine.request", "inputs": {**WISH, "timeout": 0.2}}
    began = time.monotonic()
    assert greedy.call("call", **wish)["outcome"] == "deferred"
    assert time.monotonic() - began >= 0.2
    greedy.call("begin", count=1, operation="arbitration-engine.request", inputs=WISH)
    assert wait_until(lambda: waited_for(system))
    grant.release()
    assert wait_until(lambda: greedy.call("answers"))
    assert greedy.call("answers")[0]["outcome"] == "granted"


@pytest.mark.timeout(60)
def test_a_melody_that_waits_is_cancelled_where_it_waits(system, workshop):
    wish = 'call = "arbitration-engine.request"\nwith = { resource = "gpu", owner = "it", timeout = 1e6 }\n'
    waits = workshop.melody(f'[melody]\nname = "w"\n[[node]]\nid = "n"\n{wish}', "waits.toml")
    grant = system.pit.arbitration.request("gpu", "root")
    run = system.submit(waits)
    assert wait_until(lambda: waited_for(system))
    run.cancel()
    assert wait_until(lambda: not waited_for(system))
    grant.release()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("operation", ["hold", "later"])
def test_whoever_fills_a_queue_hears_of_it_and_nobody_else(system, workshop, operation):
    gate = workshop.folder / "gate"
    greedy, other = system.kit.extension("greedy"), system.kit.extension("other")
    slow = {"operation": f"slow.{operation}", "inputs": {"path": str(gate)}}
    greedy.call("begin", count=100, **slow)
    refused = "OverloadedError"
    assert wait_until(
        lambda: sum(refused in str(told) for told in greedy.call("answers")) >= 100 - 16
    )
    other.call("begin", count=1, **slow)
    mine = threading.Thread(
        target=system.kit.extension("slow").call, args=(operation,), kwargs=slow["inputs"]
    )
    mine.start()
    time.sleep(0.3)
    assert other.call("answers") == []
    assert mine.is_alive()
    gate.touch()
    mine.join(30)
    assert wait_until(lambda: other.call("answers") == [None])
    assert wait_until(lambda: len(greedy.call("answers")) == 100)


@pytest.mark.timeout(120)
def test_a_result_that_cannot_be_sent_is_refused_before_it_is_read(system):
    stored = system.pit.artifacts.put(bytes(200 << 20))
    greedy = system.kit.extension("greedy")
    greedy.activate()
    before = held_memory()
    asked = {"operation": "artifact-store.get", "inputs": {"id": stored}}
    peak = [before]
    over = threading.Event()

    def watch():
        while not over.wait(0.005):
            peak.append(held_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    greedy.call("begin", count=20, **asked)
    assert wait_until(lambda: len(greedy.call("answers")) == 20, 60)
    over.set()
    watcher.join()
    assert all("InvalidValueError" in told for told in greedy.call("answers"))
    assert all("209715200 bytes" in told for told in greedy.call("answers"))
    assert max(peak) - before < 64 << 20


@pytest.mark.timeout(120)
def test_requests_that_wait_count_their_bytes(system):
    greedy = system.kit.extension("greedy")
    greedy.activate()
    grant = system.pit.arbitration.request("gpu", "root")
    before = held_memory()
    heavy = {**WISH, "owner": "o" * 4_000_000}
    with pytest.raises(RemoteError, match="at most"):
        greedy.call("call", operation="arbitration-engine.request", inputs=heavy)
    gate = system.folder / "gate"
    path = str(gate) + "/" * 4_000_000
    greedy.call("begin", count=60, operation="slow.later", inputs={"path": path})
    greedy.call("begin", count=60, operation="artifact-store.find", inputs={"name": path})
    assert wait_until(lambda: len(greedy.call("answers")) >= 100)
    assert held_memory() - before < 200 << 20
    greedy.restart()
    grown = [0]

    def is_given_back():
        grown[0] = held_memory() - before
        # The allocator keeps the free ends of its arenas.
        return grown[0] < 64 << 20

    assert wait_until(is_given_back), f"{grown[0] >> 20} MiB are left"
    grant.release()


CHAIN = {
    "slow": SLOW
    + """
@extension.operation
def until_given_up(path: str) -> None:
    open(path + ".began", "w").close()
    while not extension.cancelled():
        time.sleep(0.005)
    open(path + ".given-up", "w").close()
""",
    "middle": """
@extension.operation
def ask(operation: str, inputs: dict) -> object:
    return extension.call(operation, **inputs)

@extension.operation
async def ask_async(operation: str, inputs: dict) -> object:
    return await extension.call_async(operation, **inputs)

@extension.operation
def ask_in_thread(operation: str, inputs: dict) -> None:
    import threading
    threading.Thread(target=extension.call, args=(operation,), kwargs=inputs).start()
""",
}


@pytest.fixture
def chain(workshop):
    workshop.extension("slow", CHAIN["slow"])
    calls = '[extension.permissions]\ncalls = ["slow.*", "middle.*", "arbitration-engine.*"]\n'
    workshop.extension("middle", CHAIN["middle"], calls)
    workshop.extension("first", CHAIN["middle"], calls)
    with running(workshop) as booted:
        booted.pit.arbitration.define("gpu", 1)
        for name in ("slow", "middle", "first"):
            booted.kit.extension(name).activate()
        yield booted


WAYS = ["ask", "ask_async"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("end", ["deadline", "death", "cancel"])
def test_a_call_ends_with_what_it_is_made_for_over_every_hop(chain, tmp_path, way, end):
    path = str(tmp_path / "sign")
    inner = {"operation": "slow.until_given_up", "inputs": {"path": path}}
    inputs = {"operation": f"middle.{way}", "inputs": inner}
    first = chain.kit.extension("first")
    outcome = []

    def call():
        limit = first.options(timeout=1.0) if end == "deadline" else first
        with pytest.raises(Exception) as caught:  # noqa: PT011 - of each end its own.
            limit.call(way, **inputs)
        outcome.append(caught.value)

    caller = threading.Thread(target=call)
    caller.start()
    assert wait_until((tmp_path / "sign.began").exists)
    if end == "death":
        os.kill(first.pid, 9)
    elif end == "cancel":
        chain.kit.extension("middle").restart()
    assert wait_until((tmp_path / "sign.given-up").exists)
    caller.join(20)
    assert outcome


@pytest.mark.timeout(60)
@pytest.mark.parametrize("way", WAYS)
def test_a_grant_is_not_waited_for_longer_than_what_it_is_for(chain, way):
    held = chain.pit.arbitration.request("gpu", "root")
    inner = {"operation": "arbitration-engine.request", "inputs": WISH}
    inputs = {"operation": f"middle.{way}", "inputs": inner}
    told = []

    def call():
        try:
            told.append(chain.kit.extension("first").options(timeout=1.5).call(way, **inputs))
        except (CallTimeoutError, RemoteError) as error:
            told.append(error.message)

    caller = threading.Thread(target=call)
    caller.start()
    assert wait_until(lambda: waited_for(chain))
    assert wait_until(lambda: not waited_for(chain))
    caller.join(20)
    # One moment is the limit of all of them, and any of their clocks may be the first that is looked at.
    (end,) = told
    assert end["outcome"] == "deferred" if isinstance(end, dict) else "did not answer" in end
    held.release()
    assert chain.pit.arbitration.request("gpu", "next").outcome == "granted"


@pytest.mark.timeout(60)
def test_what_a_thread_asks_may_outlive_the_request_that_started_it(chain, tmp_path):
    middle = chain.kit.extension("middle")
    path = str(tmp_path / "sign")
    inner = {"operation": "slow.until_given_up", "inputs": {"path": path}}
    middle.options(timeout=5).call("ask_in_thread", **inner)
    assert wait_until((tmp_path / "sign.began").exists)
    time.sleep(0.3)
    assert not (tmp_path / "sign.given-up").exists()
    middle.restart()
    assert wait_until((tmp_path / "sign.given-up").exists)
