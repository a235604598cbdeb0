"""Whose annotations are an operation's contract: those of what is called, and not of what it wraps."""

from __future__ import annotations

import functools
import inspect
import typing
from dataclasses import dataclass

import pytest
from symphony._guest.contract import Contract, RefusedInputError
from symphony.extension import OperationDescription


@dataclass
class Point:
    x: int


Maybe = typing.Optional[Point]


def inner(xs: list, point: Maybe = None) -> list:
    return [xs, point]


def split(function):
    @functools.wraps(function)
    def wrapper(xs: str, **others):
        return function(xs=xs.split(","), **others)

    return wrapper


def passed(function):
    @functools.wraps(function)
    def wrapper(*args, **named):
        return function(*args, **named)

    return wrapper


def own(function):
    """One that says what it takes, after `wraps` has overwritten it."""
    wrapper = split(function)
    wrapper.__annotations__ = {"xs": str}
    return wrapper


def kept(function):
    """One whose annotations `wraps` leaves alone, and which are none of its inputs."""

    @functools.wraps(function, assigned=("__name__",))
    def wrapper(*args: object, **named: object):
        return function(*args, **named)

    return wrapper


def signed(function):
    def wrapper(**named):
        return function(**named)

    wrapper.__signature__ = inspect.signature(lambda xs: 0).replace(
        parameters=[inspect.Parameter("xs", inspect.Parameter.KEYWORD_ONLY, annotation=str)]
    )
    return wrapper


class Called:
    xs: bytes

    def __call__(self, xs: list, point: Maybe = None) -> list:
        return [xs, point]


def converted(function, **inputs):
    return Contract(OperationDescription("same", function)).converted(inputs)


@pytest.mark.parametrize(
    "function",
    [split(inner), passed(split(inner)), split(passed(inner)), own(inner), passed(own(inner))],
)
def test_what_a_decorator_turns_into_the_annotated_is_not_refused(function):
    given = converted(function, xs="a,b")
    assert function(**given) == [["a", "b"], None]


@pytest.mark.parametrize("function", [passed(inner), passed(passed(inner)), kept(inner)])
def test_a_decorator_that_hands_on_hands_on_what_is_annotated(function):
    given = converted(function, xs=["a"], point={"x": 1})
    assert function(**given) == [["a"], Point(1)]


@pytest.mark.parametrize(
    ("function", "wrong"),
    [
        (inner, "a"),
        (functools.partial(inner), "a"),
        (functools.lru_cache(inner), "a"),
        (Called(), "a"),
        (Called().__call__, "a"),
        (own(inner), ["a"]),
        (signed(inner), ["a"]),
    ],
)
def test_what_is_called_refuses_what_it_does_not_say(function, wrong):
    with pytest.raises(RefusedInputError, match="input `xs`: wanted"):
        converted(function, xs=wrong)


def test_one_of_many_says_nothing_for_the_others():
    @functools.singledispatch
    def one(xs: list):
        return xs

    assert converted(one, xs="a") == {"xs": "a"}


def test_a_default_of_none_is_taken():
    def late(t=None, *, u=None, v="v"):
        return t, u, v

    late.__annotations__ = {"t": int, "u": str, "v": str}

    given = {"t": None, "u": None, "v": "w"}
    assert converted(late, **given) == given
    for wrong in ({"v": None}, {"t": "1"}):
        with pytest.raises(RefusedInputError):
            converted(late, **wrong)
