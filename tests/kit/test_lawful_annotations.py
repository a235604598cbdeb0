"""Annotations that are lawful are read, and what they want is made."""

from __future__ import annotations

import collections
import dataclasses
import enum
import sys
import types
import typing

import pytest
from symphony._work.typed_values import Mismatch, converter


class Number(enum.IntEnum):
    ONE = 1


Size = typing.NewType("Size", int)
READ = [
    ("typing.Dict[Size, str]", {"1": "a"}, {1: "a"}),
    ("typing.Dict[Number, str]", {"1": "a"}, {Number.ONE: "a"}),
    ("typing.Dict[typing.Literal[1, 'b'], str]", {"1": "a", "b": "c"}, {1: "a", "b": "c"}),
    ("typing.Dict[typing.Optional[int], str]", {"1": "a"}, {1: "a"}),
    ("typing.Dict[typing.Union[int, str], str]", {"1": "a"}, {"1": "a"}),
    ("typing.OrderedDict[str, int]", {"a": 1}, collections.OrderedDict(a=1)),
    ("typing.DefaultDict[str, typing.List[int]]", {"a": [1]}, {"a": [1]}),
    ("collections.OrderedDict", {"a": 1}, collections.OrderedDict(a=1)),
]
if sys.version_info >= (3, 11):
    READ += [
        ("tuple[int, *tuple[str, ...]]", [1], (1,)),
        ("tuple[int, *tuple[str, ...], int]", [1, "a", "b", 2], (1, "a", "b", 2)),
        ("tuple[int, *tuple[str, int]]", [1, "a", 2], (1, "a", 2)),
        ("tuple[int, typing.Unpack[tuple[str, ...]]]", [1, "a"], (1, "a")),
    ]


@pytest.mark.parametrize(("text", "value", "right"), READ)
def test_it_is_read(text, value, right):
    convert = converter(text, globals())
    assert convert is not None
    got = convert(value)
    assert got == right
    if text.startswith("typing.DefaultDict"):
        assert type(got) is collections.defaultdict
        assert got["b"] == []
    else:
        assert type(got) is type(right)
    for wrong in (["a"], 3):
        with pytest.raises(Mismatch):
            convert(wrong)


def test_a_field_that_no_constructor_takes_is_passed_over():
    """What a class of attrs has, without attrs."""

    class Part:
        a: int
        b: int

        def __init__(self, a):
            self.a = a

    Part.__attrs_attrs__ = tuple(
        types.SimpleNamespace(name=name, alias=name, init=init, default=None)
        for name, init in (("a", True), ("b", False))
    )
    convert = converter(Part, {})
    assert convert({"a": 1, "b": 2}).a == 1
    with pytest.raises(Mismatch, match="has no `c`"):
        convert({"a": 1, "c": 2})


def test_a_field_whose_default_is_none_takes_it():
    @dataclasses.dataclass
    class Part:
        a: int = None
        b: int = 0

    convert = converter(Part, {})
    assert convert({"a": None}) == Part()
    assert convert({"a": 1}) == Part(1)
    for wrong in ({"b": None}, {"a": "1"}):
        with pytest.raises(Mismatch):
            convert(wrong)
