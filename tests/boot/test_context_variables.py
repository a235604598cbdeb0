"""Context variables that the caller of `boot()` has set are read in every step, whatever thread it runs on."""

from __future__ import annotations

import contextvars

import pytest
from symphony import boot, component

pytestmark = [pytest.mark.usefixtures("nothing_left"), pytest.mark.timeout(60)]

REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")


class Plain:
    def __init__(self) -> None:
        self.seen = [REQUEST.get()]


class Steps(Plain):
    def start(self) -> None:
        self.seen.append(REQUEST.get())
        REQUEST.set("own")

    def health(self) -> bool:
        self.seen.append(REQUEST.get())
        return True

    def stop(self) -> None:
        self.seen.append(REQUEST.get())


class Asynchronous(Plain):
    async def start(self) -> None:
        self.seen.append(REQUEST.get())


@component(main_thread=True)
class OnTheCaller(Plain):
    pass


def test_they_reach_every_step():
    token = REQUEST.set("caller")
    try:
        with boot(components=[Plain, Steps, Asynchronous, OnTheCaller]) as system:
            steps = system[Steps]
            for kind in (Plain, Asynchronous, OnTheCaller):
                assert set(system[kind].seen) == {"caller"}, kind
        # What a component's step sets is seen by its later steps, and by nobody else.
        assert steps.seen[:2] == ["caller", "caller"]
        assert set(steps.seen[2:]) == {"own"}
        assert REQUEST.get() == "caller"
    finally:
        REQUEST.reset(token)


def test_two_boots_have_each_their_own():
    def seen(value: str) -> list[str]:
        REQUEST.set(value)
        with boot(components=[Steps]) as system:
            return system[Steps].seen

    contexts = [contextvars.copy_context() for _ in range(2)]
    assert [
        context.run(seen, value)[:2] for context, value in zip(contexts, ("a", "b"))
    ] == [["a", "a"], ["b", "b"]]
