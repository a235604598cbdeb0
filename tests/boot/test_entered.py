"""What is entered starts when it is entered and stops when it is left."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Iterator

import pytest
from symphony import BootError, boot, component

pytestmark = pytest.mark.usefixtures("nothing_left")


class Clock:
    pass


class Session:
    pass


class Uses:
    def __init__(self, session: Session) -> None:
        self.session = session


def test_managers_start_and_end_like_generators_however_they_are_made():
    log = []

    def loud(call):
        @functools.wraps(call)
        def run(*args, **kwargs):
            log.append("called")
            return call(*args, **kwargs)

        return run

    @contextlib.contextmanager
    def plain(clock: Clock) -> Iterator[Session]:
        log.append("open")
        yield Session()
        log.append("close")

    @contextlib.asynccontextmanager
    async def later(clock: Clock) -> AsyncIterator[Session]:
        log.append("open")
        yield Session()
        log.append("close")

    class Maker:
        @contextlib.contextmanager
        def make(self, clock: Clock) -> Iterator[Session]:
            log.append("open")
            yield Session()
            log.append("close")

    for factory in (plain, later, Maker().make, functools.partial(plain, Clock()), loud(plain)):
        log.clear()
        with boot(components=[Clock, factory, Uses]) as system:
            assert type(system[Uses].session) is Session
            assert log[-1] == "open"
        assert log[-1] == "close"


def test_a_manager_that_does_not_end_is_a_fault_of_its_stop():
    @contextlib.contextmanager
    def twice() -> Iterator[Session]:
        yield Session()
        yield Session()

    def fails(session: Session) -> Clock:
        raise OSError("no disk")

    with pytest.raises(BootError) as caught:
        boot(components=[twice, fails])
    (error,) = caught.value.rollback_errors
    assert "stop" in str(error)


def test_a_manager_that_raises_fails_the_boot_with_what_it_raised():
    @contextlib.contextmanager
    def broken() -> Iterator[Session]:
        raise OSError("no disk")
        yield Session()

    with pytest.raises(BootError) as caught:
        boot(components=[broken])
    assert caught.value.code == "start-failed"
    assert "no disk" in str(caught.value.__cause__)


def test_a_class_says_that_it_is_entered():
    log = []

    @component(enter=True)
    class Pool:
        def __init__(self, clock: Clock) -> None:
            self.clock = clock

        def __enter__(self) -> str:
            log.append("enter")
            return "what is entered"

        def __exit__(self, *error: object) -> None:
            log.append("exit")

        def start(self) -> None:
            log.append("start")

        def health(self) -> bool:
            return True

    @component(enter=True)
    class Later(Pool):
        async def __aenter__(self):
            log.append("aenter")
            return self

        async def __aexit__(self, *error: object) -> None:
            log.append("aexit")

    for kind, expected in ((Pool, ["enter", "exit"]), (Later, ["aenter", "aexit"])):
        log.clear()
        with boot(components=[Clock, kind]) as system:
            assert system[kind].clock is system[Clock]
            assert system.health().components[kind.__name__].state == "healthy"
        assert log == expected


def test_a_function_says_that_its_result_is_entered(tmp_path):
    (tmp_path / "kept").write_text("text")

    class File:
        def __init__(self, path) -> None:
            self.file = open(path)  # noqa: SIM115 - what is tested closes it.

        def __enter__(self):
            return self

        def __exit__(self, *error: object) -> None:
            self.file.close()

    @component(enter=True)
    def opened() -> File:
        return File(tmp_path / "kept")

    @component(enter=True)
    def session() -> contextlib.AbstractContextManager[Session]:
        return contextlib.nullcontext(Session())

    with boot(components=[opened, session]) as system:
        file = system[File].file
        assert file.read() == "text"
        assert type(system[Session]) is Session
    assert file.closed


def test_a_promised_base_class_is_what_is_provided_whatever_its_subclass_enters():
    """An object of the class that was promised is provided itself; only another manager stands for what it gives."""

    class Pool:
        is_open = False

        def __enter__(self):
            return self

        def __exit__(self, *error: object) -> None:
            self.is_open = False

    class WidePool(Pool):
        def __enter__(self) -> str:
            self.is_open = True
            return "a connection"

    class Queue:
        is_open = False

        async def __aenter__(self):
            return self

        async def __aexit__(self, *error: object) -> None:
            self.is_open = False

    class LongQueue(Queue):
        async def __aenter__(self) -> int:
            self.is_open = True
            return 7

    @component(enter=True)
    def pool() -> Pool:
        return WidePool()

    @component(enter=True)
    def queue() -> Queue:
        return LongQueue()

    with boot(components=[pool, queue]) as system:
        given = [system[Pool], system[Queue]]
        assert [type(one) for one in given] == [WidePool, LongQueue]
        assert all(one.is_open for one in given)
    assert not any(one.is_open for one in given)
