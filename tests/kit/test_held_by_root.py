"""What a guest makes the root hold is bounded in bytes, whatever it is, and is given back when the guest has ended."""

from __future__ import annotations

import json

import pytest
from kit_processes import raw_extension
from workshop import run_python

MIB = 1 << 20
PRELUDE = """
    import json, logging, os, sys, threading, time
    from symphony import boot
    from symphony.exceptions import ExtensionCrashedError

    def held():
        with open("/proc/self/smaps_rollup") as lines:
            return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_Dirty"))

    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    def grown(limit, seconds=10):
        # The least that it comes down to.
        end = time.monotonic() + seconds
        least = held() - before
        while least > limit and time.monotonic() < end:
            time.sleep(0.1)
            least = min(least, held() - before)
        return least

    system = boot(config=sys.argv[1])
    raw, printing = system.kit.extension("raw"), system.kit.extension("printing")
    raw.activate()
    printing.activate()
    before, files = held(), descriptors()
"""
PRINTING = """
import os

@extension.operation
def endless(size: int) -> None:
    part = b"x" * 1_000_000
    for _ in range(size // len(part)):
        at = 0
        while at < len(part):
            at += os.write(1, part[at:])

@extension.operation
def lines(count: int) -> None:
    line = b"\\xff" * 60_000 + b"\\n"
    for _ in range(count):
        at = 0
        while at < len(line):
            at += os.write(2, line[at:])

@extension.operation
def pages(count: int):
    for _ in range(count):
        yield bytes(8 << 20)
"""


@pytest.fixture
def told(workshop):
    """Runs a script beside such guests; what it printed."""
    workshop.extension("printing", PRINTING)
    raw_extension(workshop)

    def run(script):
        done = run_python(PRELUDE + script, str(workshop.config), timeout=110)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.mark.timeout(120)
def test_a_topic_that_nobody_uses_is_not_kept(told):
    grew = told("""
    raw.call("publish_names")
    print(json.dumps(grown(16 << 20)))
    system.shutdown()
    """)
    assert grew <= 16 * MIB


@pytest.mark.timeout(120)
@pytest.mark.parametrize("operation", ["subscribe_names", "subscribe_many"])
def test_subscriptions_beyond_their_bounds_end_the_one_that_makes_them(told, operation):
    error, grew, printed = told(f"""
    try:
        raw.call("{operation}")
        error = ""
    except ExtensionCrashedError as crashed:
        error = str(crashed)
    system.bus.topic("news").publish(1)
    printing.call("lines", count=1)
    print(json.dumps([error, grown(64 << 20), printing.state]))
    system.shutdown()
    """)
    assert "it is subscribed to 1024 topics" in error
    assert grew <= 64 * MIB
    assert printed == "ready"


@pytest.mark.timeout(120)
def test_a_subscription_that_is_not_read_keeps_so_many_bytes(told):
    peak, kept, least = told("""
    values = system.bus.topic("news").subscribe(capacity=1000)
    raw.call("publish_values")
    peak = held() - before
    kept = len(values.get(timeout=5))
    values.close()
    del values
    raw.restart()
    print(json.dumps([peak, kept, grown(64 << 20)]))
    system.shutdown()
    """)
    assert kept == 20_000_000
    assert peak <= 160 * MIB
    assert least <= 64 * MIB


@pytest.mark.timeout(120)
def test_a_guest_that_does_not_read_keeps_so_many_bytes_of_events(told):
    peak, least = told("""
    raw.call("deaf")
    topic = system.bus.topic("news")
    for size in (10, 100, 30_000_000):
        for _ in range(300 if size < 1000 else 20):
            topic.publish(bytes(size))
    peak = held() - before
    raw.restart()
    print(json.dumps([peak, grown(64 << 20)]))
    system.shutdown()
    """)
    assert peak <= 160 * MIB
    assert least <= 64 * MIB


@pytest.mark.timeout(120)
def test_a_dead_guests_descriptors_go_at_once(told):
    more = told("""
    topic = system.bus.topic("news")
    for _ in range(20):
        raw.call("subscribe")
        topic.publish(1)
        raw.restart()
    end = time.monotonic() + 10
    while descriptors() > files and time.monotonic() < end:
        time.sleep(0.05)
    print(json.dumps(descriptors() - files))
    system.shutdown()
    """)
    assert more <= 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("call", ['"endless", size=300_000_000', '"lines", count=3000'])
def test_what_is_logged_slowly_is_held_in_so_many_bytes(told, call):
    peak, lost, other = told(f"""
    logged = []
    class Slow(logging.Handler):
        def emit(self, record):
            logged.append((record.name, record.levelno, record.getMessage()[:60]))
            time.sleep(0.05)
    logging.getLogger().addHandler(Slow())
    logging.getLogger().setLevel(logging.INFO)
    peak, over = [0], threading.Event()
    def watch():
        while not over.wait(0.02):
            peak.append(held() - before)
    watcher = threading.Thread(target=watch)
    watcher.start()
    printing.call({call})
    raw.restart()
    os.kill(raw.pid, 9)
    over.set()
    watcher.join()
    end = time.monotonic() + 20
    ours = lambda: any("ended by itself" in text for _, _, text in logged)
    while not ours() and time.monotonic() < end:
        time.sleep(0.1)
    lost = [text for name, level, text in logged if name == "symphony.extension.printing" and level == 30]
    print(json.dumps([max(peak), lost[:1], ours()]))
    sys.stdout.flush()
    os._exit(0)
    """)
    assert peak <= 64 * MIB
    assert lost
    assert "lines were lost" in lost[0]
    assert other, "what others say is not lost for that"


@pytest.mark.timeout(120)
def test_a_stream_that_is_not_read_keeps_so_many_bytes(told):
    first, peak, more, least = told("""
    values = printing.stream("pages", count=64)
    first = len(next(values))
    peak = 0
    for _ in range(15):
        time.sleep(0.1)
        peak = max(peak, held() - before)
    # Another call of the same guest is served meanwhile.
    printing.call("lines", count=1)
    more = sum(1 for _ in values)
    del values
    print(json.dumps([first, peak, more, grown(64 << 20)]))
    system.shutdown()
    """)
    assert (first, more) == (8 * MIB, 63)
    assert peak <= 64 * MIB
    assert least <= 64 * MIB


@pytest.mark.timeout(120)
def test_a_guest_that_streams_beyond_its_credit_ends_alone(told):
    error, least, printed = told("""
    values = raw.stream("pages")
    time.sleep(0.5)
    try:
        error = str(sum(1 for _ in values))
    except ExtensionCrashedError as crashed:
        error = str(crashed)
    del values
    printing.call("lines", count=1)
    print(json.dumps([error, grown(64 << 20), printing.state]))
    system.shutdown()
    """)
    assert "more bytes" in error
    assert least <= 64 * MIB
    assert printed == "ready"
