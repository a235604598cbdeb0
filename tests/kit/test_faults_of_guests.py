"""A guest that says what no lane of ours would say, or nothing at all, costs its own calls and nobody else's."""

from __future__ import annotations

import signal
import threading

import pytest
from kit_processes import kill, raw_extension, running
from symphony.exceptions import CallTimeoutError, ExtensionCrashedError
from workshop import descriptors, wait_until

ECHO = """
@extension.operation
def echo(number: int) -> int:
    return number
"""


@pytest.fixture(scope="module")
def system(shared_workshop):
    """A system with a guest that lies and one that does not."""
    raw_extension(shared_workshop)
    shared_workshop.extension("echo", ECHO)
    with running(shared_workshop) as system:
        yield system


@pytest.fixture
def raw(system):
    """The guest that lies. Meanwhile the other one is called all the time, and is answered each time."""
    raw, echo = system.kit.extension("raw"), system.kit.extension("echo")
    raw.activate()
    echo.activate()
    over, wrong = threading.Event(), []

    def call():
        number = 0
        while not over.is_set():
            number += 1
            try:
                answer = echo.options(timeout=20).call("echo", number=number)
            except Exception as error:
                answer = error
            if answer != number:
                wrong.append(answer)

    calling = threading.Thread(target=call)
    calling.start()
    try:
        yield raw
        # It is there again, with its own answers.
        assert [raw.options(timeout=30).call("nothing") for _ in range(3)] == [1, 1, 1]
    finally:
        over.set()
        calling.join()
    assert not wrong, wrong[:3]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ("long", "a frame of 2147483648 bytes; at most 67108864 are allowed"),
        ("unknown_kind", "a frame of unknown kind 77"),
        ("other_version", "a frame of version 2"),
        ("reserved", "the reserved bytes of a frame are not zero"),
        ("end_of_a_plain_call", "a `End` frame came for a plain call"),
        ("two_values", "9 bytes stand after the value"),
        ("unsigned", "does not fit a signed 64-bit integer"),
        ("empty", "ends too early"),
    ],
)
def test_an_answer_that_cannot_be_one_ends_the_guest_with_the_reason(raw, operation, said):
    with pytest.raises(ExtensionCrashedError) as crashed:
        raw.call(operation)
    assert said in str(crashed.value)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("operation", "answer"), [("doubled", 7), ("others", 1), ("credit", 1)])
def test_what_nobody_asked_for_is_heard_by_nobody(raw, operation, answer):
    process = raw.pid
    assert [raw.call(operation) for _ in range(3)] == [answer] * 3
    assert raw.call("nothing") == 1
    assert raw.pid == process


@pytest.mark.timeout(60)
def test_descriptors_that_are_passed_are_taken_by_nobody(raw):
    process, ours = raw.pid, descriptors()
    # The third call is answered only if those of the second one are gone.
    assert [raw.options(timeout=20).call("passes") for _ in range(3)] == [1, 1, 1]
    assert raw.call("nothing") == 1
    assert raw.pid == process
    assert descriptors() <= ours


@pytest.mark.timeout(60)
def test_half_an_answer_is_waited_for_no_longer_than_the_deadline(raw):
    process = raw.pid
    with pytest.raises(CallTimeoutError):
        raw.options(timeout=0.5).call("half")
    assert raw.options(timeout=20).call("nothing") == 1
    assert raw.pid == process


@pytest.mark.timeout(60)
def test_a_guest_that_is_stopped_costs_its_calls_their_time_and_is_replaced(raw):
    process = raw.pid
    kill(process, signal.SIGSTOP)
    with pytest.raises(CallTimeoutError):
        raw.options(timeout=0.5).call("nothing")
    assert wait_until(lambda: raw.pid not in (None, process), seconds=30)
