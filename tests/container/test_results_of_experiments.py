"""An experiment gives what a variant gave: a task, a future, a session stays one, and is counted when it has ended."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
from contextlib import asynccontextmanager

import pytest
from symphony import boot


class Session:
    """What may be awaited or entered, as clients of HTTP give it."""

    def __await__(self):
        yield from ()
        return "awaited"

    async def __aenter__(self):
        return "entered"

    async def __aexit__(self, *_error):
        return None


class Client:
    pool = concurrent.futures.ThreadPoolExecutor(1)

    def task(self, *, fail: bool = False):
        async def work():
            await asyncio.sleep(0)
            if fail:
                raise LookupError("of the task")
            return "done"

        return asyncio.get_running_loop().create_task(work())

    def future(self):
        return asyncio.get_running_loop().create_future()

    def submitted(self, work):
        return self.pool.submit(work)

    def session(self):
        return Session()

    @asynccontextmanager
    async def managed(self):
        yield "managed"

    async def stream(self):
        yield 1
        yield 2


class Other(Client):
    pass


class User:
    def __init__(self, client: Client) -> None:
        self.client = client


@pytest.fixture
def user():
    with boot(components=[Client, User]) as system:
        with system.experiment(Client, {"b": Other}) as experiment:
            user = system[User]
            user.experiment = experiment
            yield user


def counted(user) -> tuple[int, int]:
    variant = user.experiment.report()["b"]
    return variant.calls, variant.errors


def test_a_task_stays_one_and_is_counted_when_it_has_ended(user):
    async def main():
        task = user.client.task()
        assert isinstance(task, asyncio.Task)
        assert counted(user) == (0, 0)
        # What only futures can: several are waited for.
        done, _ = await asyncio.wait([task])
        assert done == {task}
        assert await task == "done"
        assert counted(user) == (1, 0)
        with pytest.raises(LookupError, match="of the task"):
            await user.client.task(fail=True)
        assert counted(user) == (2, 1)
        cancelled = user.client.task()
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert counted(user) == (3, 2)

    asyncio.run(main())


def test_a_task_that_failed_and_was_forgotten_is_still_told(user):
    told = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: told.append(context)
        )
        task = user.client.task(fail=True)
        await asyncio.wait([task])
        assert counted(user) == (1, 1)
        del task
        gc.collect()

    asyncio.run(main())
    assert [str(context["exception"]) for context in told] == ["of the task"]


def test_futures_of_a_loop_and_of_threads_stay_what_they_are(user):
    async def main():
        future = user.client.future()
        assert isinstance(future, asyncio.Future)
        future.set_result(1)
        assert await future == 1

    asyncio.run(main())
    submitted = user.client.submitted(lambda: 1 / 0)
    assert isinstance(submitted, concurrent.futures.Future)
    with pytest.raises(ZeroDivisionError):
        submitted.result(10)
    # One whose callback runs on the pool's thread.
    user.client.submitted(int).result(10)
    assert counted(user) in {(2, 1), (3, 1)}


def test_what_is_awaitable_and_more_can_still_be_entered(user):
    async def main():
        assert await user.client.session() == "awaited"
        async with user.client.session() as entered:
            assert entered == "entered"
        async with user.client.managed() as managed:
            assert managed == "managed"
        assert [value async for value in user.client.stream()] == [1, 2]

    asyncio.run(main())
    assert counted(user) == (4, 0)
