"""A program whose daemon threads wait inside the core ends with its own code, whatever they wait for."""

from __future__ import annotations

import pytest
from workshop import run_python

SCRIPT = """
import sys
import threading
import time

from symphony import Melody, boot

system = boot(config="Symphony.toml")
slow = system.kit.extension("slow")
slow.activate()
pit = system.pit
pit.pool.register("pool", lambda: [1], size=1)
lease = pit.pool.lease("pool")
lease.__enter__()
pit.arbitration.define("resource", 1)
grant = pit.arbitration.request("resource", "first")
subscription = system.bus.topic("topic").subscribe()
melody = Melody.from_text('[melody]\\nname = "m"\\n[[node]]\\nid = "n"\\ncall = "slow.nap"\\n')
begun = threading.Barrier(11)
ended = []

def for_ever(step):
    while True:
        step()

def wait(how):
    begun.wait()
    try:
        ended.append(how())
    except BaseException as error:
        ended.append(error)

threads = []
for how in (
    lambda: slow.call("nap"),
    lambda: slow.call_many("nap", [{}]),
    lambda: list(slow.stream("items")),
    lambda: next(subscription),
    lambda: pit.pool.lease("pool").__enter__(),
    lambda: pit.arbitration.request("resource", "second", timeout=60),
    lambda: system.submit(melody).result(),
    lambda: system.run(forever=True),
    lambda: for_ever(lambda: pit.artifacts.put(b"x" * 1000)),
    lambda: for_ever(lambda: slow.call("echo", value=1)),
):
    threads.append(threading.Thread(target=wait, args=(how,), daemon=True))
    threads[-1].start()
begun.wait()
time.sleep(0.2)
assert all(thread.is_alive() for thread in threads), ended
if sys.argv[1] == "down":
    system.shutdown()
sys.exit(6)
"""
SLOW = """
import time

@extension.operation
async def nap():
    import asyncio
    await asyncio.sleep(60)

@extension.operation
def items():
    yield 1
    time.sleep(60)

@extension.operation
async def echo(value):
    return value
"""


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_program_ends_with_its_own_code_whatever_its_threads_wait_for(workshop, way):
    workshop.extension("slow", SLOW)
    done = run_python(SCRIPT, way, cwd=workshop.folder, timeout=60)
    assert done.returncode == 6, done.stderr
