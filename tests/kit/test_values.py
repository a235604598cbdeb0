"""Every lawful value comes back as it went, everything else is a `TypeError` at the caller."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kit_processes import running
from workshop import ECHO

LAWFUL = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)
QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def echo(shared_workshop):
    shared_workshop.extension("echo", ECHO)
    with running(shared_workshop) as system:
        yield system.kit.extension("echo")


def same(left, right) -> bool:
    """Equality that also tells `True` from `1`, `-0.0` from `0.0`, and takes nan for nan."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, float):
        return (math.isnan(left) and math.isnan(right)) or (
            left == right and math.copysign(1, left) == math.copysign(1, right)
        )
    return left == right


@QUICK
@given(LAWFUL)
@example([2**63 - 1, -(2**63), 0, -1, 127, 128, 255, 256, 65535, 65536, 2**32, -33, -129])
@example([math.inf, -math.inf, math.nan, -0.0, 5e-324, 1.7976931348623157e308])
@example({"": b"", "\x00": "\x00", "ä€😀": b"\xff\xfe"})
def test_a_lawful_value_comes_back_as_it_went(echo, value):
    assert same(echo.call("echo", value=value), value)


@pytest.mark.parametrize("size", [15, 16, 31, 32, 255, 256, 65535, 65536])
def test_values_at_the_borders_of_their_encodings(echo, size):
    for value in (
        "x" * size,
        b"x" * size,
        list(range(size)),
        {str(key): key for key in range(size)},
    ):
        assert same(echo.call("echo", value=value), value)


@pytest.mark.parametrize("value", ["ä" * 2_500_000, b"\x00\xff" * 2_500_000], ids=["text", "bytes"])
def test_five_megabytes(echo, value):
    assert echo.call("echo", value=value) == value
    assert asyncio.run(_async(echo, value)) == value


async def _async(echo, value):
    return await echo.call_async("echo", value=value)


def test_tuples_and_buffers_arrive_as_what_they_are_nearest_to(echo):
    assert same(echo.call("echo", value=(1, (2, [3]))), [1, [2, [3]]])
    assert same(echo.call("echo", value=bytearray(b"abc")), b"abc")

    class Text(str):
        __slots__ = ()

    class Number(int):
        pass

    class Buffer(bytearray):
        def __bytes__(self):
            return b"something else"

    assert same(echo.call("echo", value=[Text("a"), Number(3)]), ["a", 3])
    assert same(echo.call("echo", value=Buffer(b"abc")), b"abc")


def deep(depth: int):
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


def contains_itself():
    value: list = []
    value.append(value)
    return value


def dict_in_itself():
    value: dict = {}
    value["self"] = value
    return value


UNLAWFUL = {
    "object": object(),
    "function": len,
    "complex": 1j,
    "memoryview": memoryview(b"a"),
    "big": 2**63,
    "big negative": -(2**63) - 1,
    "key of int": {1: 2},
    "key of bytes": {b"a": 2},
    "surrogate": "\ud800",
    "surrogate key": {"\udfff": 1},
    "inside": [{"a": [1, 1j]}],
    "itself": contains_itself(),
    "dict in itself": dict_in_itself(),
    "deep": deep(200),
    "very deep": deep(100_000),
}


@pytest.mark.parametrize("name", UNLAWFUL)
def test_what_cannot_be_sent_is_a_type_error_at_the_caller(echo, name):
    value = UNLAWFUL[name]
    with pytest.raises(TypeError):
        echo.call("echo", value=value)
    with pytest.raises(TypeError):
        echo.call_many("echo", [{"value": 1}, {"value": value}])
    with pytest.raises(TypeError):
        asyncio.run(_async(echo, value))
    with pytest.raises(TypeError):
        echo.stream("echo", value=value)
    assert echo.call("echo", value="still here") == "still here"


def test_the_deepest_lawful_value(echo):
    # The inputs themselves are one level.
    assert same(echo.call("echo", value=deep(126)), deep(126))
    outcomes = []
    for depth in range(120, 140):
        try:
            outcomes.append(echo.call("echo", value=deep(depth)) == deep(depth))
        except TypeError:
            outcomes.append(None)
    assert None in outcomes
    assert False not in outcomes
    border = outcomes.index(None)
    assert all(outcomes[:border])
    assert not any(outcomes[border:])


def test_a_dict_that_changes_while_it_is_sent_is_a_type_error_or_arrives_whole(echo):
    class Text(str):
        __slots__ = ()

    value = {Text("a"): 1, "b": 2}
    assert echo.call("echo", value=value) == {"a": 1, "b": 2}
