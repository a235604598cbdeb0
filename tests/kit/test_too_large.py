"""What is too large for one frame costs the call, the stream or the event that it is, and is told with both sizes."""

from __future__ import annotations

import re

import pytest
from kit_processes import running
from symphony.exceptions import SymphonyError

LARGEST = 64 << 20
SENDER = """
import asyncio

LARGEST = 64 << 20

@extension.operation
def answer(size: int) -> bytes:
    return bytes(size)

@extension.operation
async def answer_later(size: int) -> bytes:
    return bytes(size)

@extension.operation
def items(size: int):
    yield 1
    yield bytes(size)
    yield 3

@extension.operation
async def items_later(size: int):
    yield 1
    yield bytes(size)
    yield 3

@extension.operation
def many(size: int, count: int):
    for _ in range(count):
        yield bytes(size)

@extension.operation
def tell(size: int) -> str:
    try:
        extension.publish("news", bytes(size))
    except Exception as refused:
        return f"{refused.code}: {refused}"
    return ""

@extension.operation
def ask(size: int) -> str:
    try:
        extension.call("artifact-store.put", data=bytes(size))
    except Exception as refused:
        return f"{refused.code}: {refused}"
    return ""

@extension.operation
def read(artifact: str) -> str:
    try:
        return str(len(extension.call("artifact-store.get", id=artifact)))
    except Exception as refused:
        return f"{refused.code}: {refused}"

@extension.operation
def length(data: bytes) -> int:
    return len(data)
"""
FAILING = """
def fail(depth):
    try:
        if depth < 20:
            fail(depth + 1)
    finally:
        raise ValueError(f"begins {depth} " + "x" * 200_000 + " ends")

fail(0)

@extension.operation
def never() -> None:
    pass
"""
MELODY = """
[melody]
name = "joined"
[[node]]
id = "half"
call = "sender.answer"
with = { size = 40_000_000 }
[[node]]
id = "joined"
call = "sender.length"
with = { data = ["${half}", "${half}"] }
"""


@pytest.fixture(scope="module")
def workshop_of_module(shared_workshop):
    """An extension that sends and takes whatever it is told."""
    calls = '[extension.permissions]\ncalls = ["artifact-store.*"]\n'
    shared_workshop.extension("sender", SENDER, calls)
    return shared_workshop


@pytest.fixture(scope="module")
def system(workshop_of_module):
    """A running system."""
    with running(workshop_of_module) as system:
        system.kit.extension("sender").activate()
        yield system


@pytest.fixture
def sender(system):
    """Its extension; the same process has to be there afterwards."""
    sender = system.kit.extension("sender").options(timeout=60)
    process = sender.pid
    yield sender
    assert sender.call("length", data=b"123") == 3
    assert sender.pid == process


def says_how_large(text):
    """Whether both numbers are told."""
    told = [int(number) for number in re.findall(r"\d{8,}", text)]
    return len(told) >= 2 and told[0] > LARGEST and told[1] == LARGEST


@pytest.mark.timeout(120)
@pytest.mark.parametrize("operation", ["answer", "answer_later"])
def test_an_answer(sender, operation):
    with pytest.raises(SymphonyError) as refused:
        sender.call(operation, size=LARGEST)
    assert refused.value.code == "invalid-value"
    assert says_how_large(str(refused.value)), refused.value


@pytest.mark.timeout(120)
@pytest.mark.parametrize("operation", ["items", "items_later"])
def test_an_item_of_a_stream(sender, operation):
    values = sender.stream(operation, size=LARGEST)
    assert next(values) == 1
    with pytest.raises(SymphonyError) as refused:
        next(values)
    assert refused.value.code == "invalid-value"
    assert says_how_large(str(refused.value)), refused.value
    assert list(sender.stream(operation, size=2)) == [1, bytes(2), 3]


@pytest.mark.timeout(120)
def test_the_items_of_a_stream_as_one_list(sender):
    with pytest.raises(SymphonyError) as refused:
        sender.call("many", size=LARGEST // 4, count=4)
    assert refused.value.code == "invalid-value"
    assert says_how_large(str(refused.value)), refused.value


@pytest.mark.timeout(120)
def test_inputs_and_those_of_one_call_of_many(sender):
    with pytest.raises(SymphonyError) as refused:
        sender.call("length", data=bytes(LARGEST))
    assert refused.value.code == "invalid-value"
    assert says_how_large(str(refused.value)), refused.value
    inputs = [{"data": b"1"}, {"data": bytes(LARGEST)}, {"data": b"123"}]
    outcomes = sender.call_many("length", inputs)
    assert [outcomes[0], outcomes[2]] == [1, 3]
    assert says_how_large(str(outcomes[1])), outcomes


@pytest.mark.timeout(120)
@pytest.mark.parametrize("operation", ["tell", "ask"])
def test_what_a_guest_publishes_and_asks_for(sender, operation):
    told = sender.call(operation, size=LARGEST)
    assert told.startswith("invalid-value"), told
    assert says_how_large(told), told


@pytest.mark.timeout(120)
def test_an_answer_to_a_guest(system, sender):
    artifact = system.pit.artifacts.put(bytes(LARGEST + 1))
    told = sender.call("read", artifact=str(artifact))
    assert told.startswith("invalid-value"), told
    assert says_how_large(told), told


@pytest.mark.timeout(120)
def test_inputs_that_a_melody_puts_together(system, sender, workshop_of_module):
    run = system.submit(workshop_of_module.melody(MELODY))
    with pytest.raises(SymphonyError) as refused:
        run.result(timeout=60)
    assert refused.value.code == "invalid-value"
    assert says_how_large(str(refused.value)), refused.value


@pytest.mark.timeout(120)
def test_why_an_extension_did_not_start(workshop):
    workshop.extension("failing", FAILING)
    with running(workshop) as system:
        with pytest.raises(SymphonyError) as failed:
            system.kit.extension("failing").activate()
        told = f"{failed.value} {failed.value.__cause__}"
        assert "begins 0" in told, told[:1000]
        assert "ends" in told
        assert "broke the protocol" not in told
