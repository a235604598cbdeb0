"""Every request has one answer, whatever its operation raises and whatever text that holds; the extension goes on."""

from __future__ import annotations

import pytest
from kit_processes import running
from symphony.exceptions import RemoteError

RAISING = '''
import asyncio
import os

FILE = os.fsdecode(b"caf\\xe9.txt")


class PanicException(BaseException):
    pass


class Unprintable(Exception):
    def __str__(self):
        raise KeyboardInterrupt


def chained():
    try:
        raise ValueError("inner " + FILE)
    except ValueError as error:
        raise RuntimeError("the outer one") from error


def failing(kind: str):
    """Raises what the name says."""
    if kind == "chained":
        chained()
    raise {
        "panic": PanicException("it broke"),
        "silent-panic": PanicException(),
        "interrupt": KeyboardInterrupt(),
        "generator-exit": GeneratorExit(),
        "cancelled": asyncio.CancelledError(),
        "stop": StopIteration(3),
        "file": OSError("cannot read " + FILE),
        "key": KeyError("user id"),
        "empty": AssertionError(),
        "long": ValueError("begins" + "x" * 33_000_000 + "ends"),
        "unprintable": Unprintable(),
    }[kind]


@extension.operation
def plain(kind: str) -> None:
    failing(kind)


@extension.operation
def stream(kind: str):
    yield 1
    failing(kind)


@extension.operation
async def later(kind: str) -> None:
    await asyncio.sleep(0)
    failing(kind)


@extension.operation
async def stream_later(kind: str):
    yield 1
    failing(kind)


@extension.operation
async def beside(kind: str) -> None:
    async def work():
        failing(kind)

    task = asyncio.create_task(work())
    await asyncio.wait([task])


@extension.operation
async def cancels_the_others() -> int:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    return sum(task.cancel() for task in others)


@extension.operation
async def for_ever() -> None:
    await asyncio.sleep(1000)


@extension.operation
def pid() -> int:
    return os.getpid()


@extension.operation
async def pid_later() -> int:
    return os.getpid()
'''
TEXTS = {
    "panic": "raising.PanicException: it broke",
    "silent-panic": "raising.PanicException",
    "interrupt": "KeyboardInterrupt",
    "cancelled": "asyncio.exceptions.CancelledError",
    "file": "cannot read caf\\udce9.txt",
    "key": "KeyError: 'user id'",
    "empty": "AssertionError",
    "generator-exit": "GeneratorExit",
    "chained": "the outer one",
    "unprintable": "<unprintable `Unprintable`: its str() raised `KeyboardInterrupt`>",
}


@pytest.fixture(scope="module")
def raising(shared_workshop):
    shared_workshop.extension("raising", RAISING)
    with running(shared_workshop) as system:
        yield system.kit.extension("raising").options(timeout=20.0)


def fails(handle, operation: str, kind: str) -> RemoteError:
    """The error that its caller gets, from an extension that lives on."""
    pid = handle.call("pid")
    with pytest.raises(RemoteError) as caught:
        if "stream" in operation:
            list(handle.stream(operation, kind=kind))
        else:
            handle.call(operation, kind=kind)
    assert (handle.call("pid"), handle.call("pid_later")) == (pid, pid)
    assert caught.value.code == "remote-error"
    return caught.value


@pytest.mark.parametrize("operation", ["plain", "stream", "later", "stream_later"])
@pytest.mark.parametrize("kind", TEXTS)
def test_what_an_operation_raises_is_its_answer(operation, kind, raising):
    error = fails(raising, operation, kind)
    assert error.message == f"`raising.{operation}` failed: {TEXTS[kind]}"


def test_what_a_function_alone_can_raise(raising):
    # In a generator and in a coroutine the language itself makes something else of it.
    assert fails(raising, "plain", "stop").message == "`raising.plain` failed: StopIteration: 3"


@pytest.mark.parametrize("operation", ["plain", "stream", "later", "stream_later"])
def test_a_text_of_any_length_is_told_by_its_beginning_and_its_end(operation, raising):
    text = fails(raising, operation, "long").message
    assert text.startswith(f"`raising.{operation}` failed: ")
    assert "beginsx" in text
    assert text.endswith("xends")
    assert len(text) < 1_000_000


def test_a_cause_with_a_file_name_is_told(raising):
    causes = fails(raising, "plain", "chained").causes
    assert causes == ("ValueError: inner caf\\udce9.txt",)


@pytest.mark.parametrize("kind", ["interrupt", "panic"])
def test_a_task_beside_an_operation_ends_nobody_elses(kind, raising):
    pid = raising.call("pid_later")
    raising.call("beside", kind=kind)
    assert raising.call("pid_later") == pid


def test_a_cancellation_by_another_operation_is_no_cancel_of_the_caller(raising):
    import threading

    errors = []

    def call():
        with pytest.raises(RemoteError) as caught:
            raising.call("for_ever")
        errors.append(caught.value.message)

    thread = threading.Thread(target=call)
    thread.start()
    while not raising.call("cancels_the_others"):
        pass
    thread.join(20)
    assert errors == ["`raising.for_ever` failed: asyncio.exceptions.CancelledError"]


def test_what_its_module_raises_is_why_it_did_not_start(workshop):
    workshop.extension("broken", "raise type('Panic', (BaseException,), {})('caf\\udce9')")
    with running(workshop) as system, pytest.raises(Exception, match=r"Panic: caf\\udce9"):
        system.kit.extension("broken").activate()
