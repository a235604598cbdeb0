"""One suite over every guest: ours in Python, and one in C and one in plain Python written from `docs/protocol.md`."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from kit_processes import running
from symphony.exceptions import CallTimeoutError, ExtensionError, SymphonyError
from workshop import wait_until

GUESTS = ["python", "plain", "c"]
HERE = Path(__file__).parent

HOST = """
import asyncio, os
@extension.operation
def echo(value):
    return value
@extension.operation
def fail(message):
    raise RuntimeError(message)
@extension.operation
def die():
    os._exit(3)
@extension.operation
async def slow(seconds):
    await asyncio.sleep(seconds)
    return True
@extension.operation
def count(many):
    yield from range(many)
@extension.operation
def broken(many):
    yield from range(many)
    raise RuntimeError("broken in the middle")
"""


@pytest.fixture(scope="module")
def system(shared_workshop):
    """A system with every guest, each with the same operations."""
    shared_workshop.extension("python", HOST, "[extension.restart]\nbudget = 100\n")
    plain = shared_workshop.folder / "extensions" / "plain"
    compiled = shared_workshop.folder / "extensions" / "c"
    for folder, command in (
        (plain, [sys.executable, "-S", "-E", "protocol_guest.py", "plain"]),
        (compiled, ["./guest", "c"]),
    ):
        folder.mkdir(parents=True)
        (folder / "Symphony.toml").write_text(
            f'[extension]\nname = "{folder.name}"\nversion = "0.1.0"\ncommand = {command}\n'
            "[extension.restart]\nbudget = 100\n"
        )
    (plain / "protocol_guest.py").write_bytes((HERE / "protocol_guest.py").read_bytes())
    subprocess.run(
        ["cc", "-O1", "-Wall", "-Werror", "-o", compiled / "guest", HERE / "protocol_guest.c"],
        check=True,
        timeout=60,
    )
    with running(shared_workshop) as system:
        yield system


@pytest.fixture(params=GUESTS)
def guest(system, request):
    return system.kit.extension(request.param).options(timeout=20.0)


VALUES = {
    "nil": None,
    "true": True,
    "lowest": -(2**63),
    "highest": 2**63 - 1,
    "float": -0.5,
    "empty-text": "",
    "text": "häßlich \U0001f3bb",
    "empty-bytes": b"",
    "mebibyte": bytes(range(256)) * 4096,
    "list": [1, [2, [None, b"x"]], {}],
    "map": {"": [], "a": {"b": 1.5}},
}


@pytest.mark.parametrize("kind", list(VALUES))
def test_a_value_comes_back(guest, kind):
    value = guest.call("echo", value=VALUES[kind])
    assert value == VALUES[kind]
    assert type(value) is type(VALUES[kind])


@pytest.mark.parametrize("message", ["why", "", "x" * 1_000_000], ids=["short", "empty", "large"])
def test_an_error_comes_with_its_text(guest, message):
    with pytest.raises(ExtensionError) as caught:
        guest.call("fail", message=message)
    assert message[:1000] in str(caught.value)
    assert guest.call("echo", value=1) == 1


def test_an_operation_that_it_has_not(guest):
    with pytest.raises(SymphonyError) as caught:
        guest.call("nothing")
    assert caught.value.code == "unknown-operation"
    assert guest.call("echo", value=1) == 1


def test_a_deadline(guest):
    start = time.monotonic()
    with pytest.raises(CallTimeoutError):
        guest.options(timeout=0.1).call("slow", seconds=10)
    assert time.monotonic() - start < 2.0
    assert guest.call("echo", value=1) == 1


@pytest.mark.parametrize("many", [0, 1, 64, 65, 1000])
def test_a_stream(guest, many):
    assert list(guest.stream("count", many=many)) == list(range(many))


def test_a_stream_answered_at_once(guest):
    assert guest.call("count", many=100) == list(range(100))


def test_a_stream_that_is_half_read(guest):
    stream = guest.stream("count", many=100_000)
    assert [next(stream) for _ in range(100)] == list(range(100))
    assert guest.call("slow", seconds=0) is True
    stream.close()
    assert list(guest.stream("count", many=70)) == list(range(70))


def test_a_stream_that_breaks(guest):
    seen: list[int] = []
    with pytest.raises(ExtensionError, match="broken in the middle"):
        seen.extend(guest.stream("broken", many=100))
    assert seen == list(range(100))


def test_a_call_for_each_item(guest):
    for item in guest.stream("count", many=200):
        assert guest.call("echo", value=item) == item


def test_callers_at_the_same_time(guest):
    answers = []

    def call(value):
        answers.append(guest.call("slow", seconds=0.3) and value)

    threads = [threading.Thread(target=call, args=(index,), daemon=True) for index in range(4)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(answers) == [0, 1, 2, 3]
    assert time.monotonic() - start < 1.2, "they came one after another"


def test_an_end_in_a_call(guest):
    with pytest.raises(ExtensionError, match="exit code 3"):
        guest.call("die")

    def served():
        try:
            return guest.call("echo", value=1) == 1
        except ExtensionError:
            return False

    assert wait_until(served, 20.0)


def test_a_stream_is_closed_before_its_first_item_is_read(guest):
    for _ in range(300):  # More than `queue`: one that was never answered would leave no room.
        guest.stream("count", many=1000).close()
    assert list(guest.stream("count", many=3)) == [0, 1, 2]


def test_calls_given_up_leave_room(guest):
    for _ in range(300):
        with pytest.raises(CallTimeoutError):
            guest.options(timeout=0.002).call("slow", seconds=30)
    assert guest.call("echo", value=1) == 1
