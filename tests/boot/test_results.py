"""What a factory makes has to be what it says: else its start fails, with both types named."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Callable, Generic, NewType, Protocol, TypeVar

import pytest
from symphony import BootError, boot, component

pytestmark = pytest.mark.usefixtures("nothing_left")
T = TypeVar("T")


class Index:
    pass


class Box(Generic[T]):
    pass


class Speaker(Protocol):
    def speak(self, word: str) -> str: ...


class Dog:
    def speak(self, word: str) -> str:
        return word


class Stone:
    pass


Name = NewType("Name", str)


def refused(*components) -> str:
    with pytest.raises(BootError) as caught:
        boot(components=components)
    assert caught.value.code == "start-failed"
    return str(caught.value.__cause__)


def test_none_and_another_type_are_refused_whatever_the_factory_is():
    closed = []

    def none() -> Index:  # type: ignore[return]
        pass

    def other() -> Index:
        return 3  # type: ignore[return-value]

    async def later() -> Index:
        return "x"  # type: ignore[return-value]

    def generator() -> Iterator[Index]:
        try:
            yield None  # type: ignore[misc]
        finally:
            closed.append("generator")

    async def async_generator() -> AsyncIterator[Index]:
        try:
            yield Stone()  # type: ignore[misc]
        finally:
            closed.append("async generator")

    @contextlib.contextmanager
    def manager() -> Iterator[Index]:
        try:
            yield 3  # type: ignore[misc]
        finally:
            closed.append("manager")

    for factory, kind in (
        (none, "None"),
        (other, "int"),
        (later, "str"),
        (generator, "None"),
        (async_generator, "Stone"),
        (manager, "int"),
    ):
        told = f"`{factory.__name__}` made `{kind}`, and not `Index` as it says"
        assert refused(factory) == told
    assert closed == ["generator", "async generator", "manager"]


def test_a_class_that_makes_something_else_is_refused():
    class Odd:
        def __new__(cls):
            return 3

    assert refused(Odd) == "`Odd` made `int`, and not `Odd` as it says"


def test_a_protocol_is_held_against_by_its_members():
    def dog() -> Speaker:
        return Dog()

    def stone() -> Speaker:
        return Stone()  # type: ignore[return-value]

    with boot(components=[dog]) as system:
        assert system[Speaker].speak("woof") == "woof"
    assert "`Stone` provides `Speaker` and has no method `speak`" in refused(stone)


def test_what_is_of_its_type_in_another_way_is_let_through():
    class Heir(Index):
        pass

    def heir() -> Index:
        return Heir()

    def box() -> Box[int]:
        return Box()

    def name() -> Name:
        return Name("x")

    def share() -> float:
        return 3

    def hook() -> Callable[..., int]:
        return len

    def anything() -> Any:
        return 3

    def perhaps() -> Stone | None:
        return None

    @component(name="nothing")
    def nothing() -> None:
        return None

    with boot(components=[heir, box, name, share, hook, anything, perhaps, nothing]) as system:
        assert type(system[Index]) is Heir
        assert system[float] == 3
        assert system[Name] == "x"
