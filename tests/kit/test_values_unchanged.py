"""A value is converted or refused, never changed into another one that is only equal to it."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import typing
from collections.abc import Iterable

import pytest
from symphony._work.typed_values import Mismatch, converter


class Number(enum.IntEnum):
    ONE = 1


class Plain(enum.Enum):
    ONE = 1
    TEXT = Number.ONE, "a"


class Found(enum.Enum):
    ONE = 1

    @classmethod
    def _missing_(cls, value: object) -> Found:
        return cls.ONE


class Mode(enum.Flag):
    READ = 1
    WRITE = 2


def read(wanted: object, value: object) -> object:
    convert = converter(wanted, {})
    assert convert is not None
    return convert(value)


Decimal, Span = decimal.Decimal, dt.timedelta
KEPT: Iterable[tuple[object, object]] = [
    (typing.Union[Decimal, int], 5),
    (typing.Union[Decimal, float], 5),
    (typing.Union[Decimal, str], "5"),
    (typing.Union[Span, float], 2.5),
    (typing.Union[Span, float], 2),
    (typing.Union[Number, int], 1),
    (typing.Union[float, int], 1),
    (typing.Union[set[int], list[int]], [1, 1]),
    (typing.Union[set, typing.NewType("Names", list)], [1]),
    (typing.Union[Decimal, typing.NewType("Size", int)], 5),
]


@pytest.mark.parametrize(("wanted", "value"), KEPT)
def test_a_member_that_keeps_a_value_comes_first(wanted, value):
    got = read(wanted, value)
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    ("wanted", "value", "right"),
    [
        (typing.Union[Decimal, int], "5", Decimal(5)),
        (typing.Union[Span, str], 2, Span(seconds=2)),
        (Plain, 1, Plain.ONE),
        (Plain, [1, "a"], Plain.TEXT),
        (Found, 1.5, Found.ONE),
        (Mode, 3, Mode.READ | Mode.WRITE),
        (set[int], [1, 2], {1, 2}),
        (typing.Union[set[int], tuple[int, ...]], [1, 1], (1, 1)),
    ],
)
def test_the_others_have_their_turn(wanted, value, right):
    got = read(wanted, value)
    assert (got, type(got)) == (right, type(right))


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        (Number, 1.0),
        (Plain, 1.0),
        (Mode, 3.0),
        (set[int], [1, 1]),
        (frozenset[str], ["a", "a"]),
        (set, [1, 1.0]),
        (typing.Union[set[int], str], [1, 1]),
    ],
)
def test_what_is_only_equal_is_refused(wanted, value):
    with pytest.raises(Mismatch):
        read(wanted, value)
