"""What one extension asks of others belongs to it: it ends with its process, and nobody else may end it."""

from __future__ import annotations

import pytest
from kit_processes import running
from symphony.exceptions import ExtensionCrashedError
from workshop import wait_until

ARBITER = '[extension.permissions]\ncalls = ["arbitration-engine.*"]\n'
HOLDER = """
import os

@extension.operation
def take() -> object:
    return extension.call("arbitration-engine.request", resource="gpu", owner="it")


@extension.operation
def give_back(number: int) -> bool:
    return extension.call("arbitration-engine.release", grant=number)


@extension.operation
def die() -> None:
    os._exit(3)
"""
CALLER = """
import os
import threading

@extension.operation
def ask_and_die(path: str) -> None:
    def die():
        while not os.path.exists(path + ".began"):
            pass
        os._exit(3)

    threading.Thread(target=die).start()
    extension.call("worker.until_cancelled", path=path)
"""
WORKER = """
import time

@extension.operation
def until_cancelled(path: str) -> None:
    open(path + ".began", "w").close()
    while not extension.cancelled():
        time.sleep(0.005)
    open(path + ".cancelled", "w").close()
"""


@pytest.fixture
def holders(workshop):
    for name in ("holder", "thief"):
        workshop.extension(name, HOLDER, ARBITER)
    with running(workshop) as system:
        system.pit.arbitration.define("gpu", 1)
        yield system


def test_a_grant_ends_with_the_process_that_holds_it(holders):
    holder = holders.kit.extension("holder")
    assert holder.call("take")["outcome"] == "granted"
    with pytest.raises(ExtensionCrashedError):
        holder.call("die")
    grant = holders.pit.arbitration.request("gpu", "another", timeout=20.0)
    assert grant.outcome == "granted"


def test_a_grant_is_released_by_its_holder_alone(holders):
    holder, thief = holders.kit.extension("holder"), holders.kit.extension("thief")
    number = holder.call("take")["grant"]
    assert not any(thief.call("give_back", number=other) for other in range(number + 5))
    assert holders.pit.arbitration.request("gpu", "another").outcome == "deferred"
    assert holder.call("give_back", number=number)
    assert holders.pit.arbitration.request("gpu", "another").outcome == "granted"


def test_what_a_process_asked_for_is_cancelled_when_it_dies(workshop, tmp_path):
    calls = '[extension.permissions]\ncalls = ["worker.*"]\n'
    workshop.extension("caller", CALLER, calls)
    workshop.extension("worker", WORKER)
    path = tmp_path / "sign"
    with running(workshop) as system:
        with pytest.raises(ExtensionCrashedError):
            system.kit.extension("caller").call("ask_and_die", path=str(path))
        assert wait_until(lambda: path.with_suffix(".cancelled").exists())
