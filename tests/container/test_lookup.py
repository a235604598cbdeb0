"""`system[T]` and `system.get(T)`: the core makes their type by hand, so it is asked what any type is asked."""

from __future__ import annotations

import gc
import sys
import weakref

import pytest
from symphony import ComponentNotFoundError, _core, boot


class Asked(_core.Lookup):
    """Says what it was asked for."""

    def __init__(self, *_arguments: object, **_named: object) -> None:
        self.questions: list[tuple[object, ...]] = []

    def _look_up(self, *question: object) -> object:
        self.questions.append(question)
        return question[-1]


def test_what_was_found_is_read_and_what_was_not_is_asked_for():
    asked = Asked(1, named=2)
    asked._found[int] = 7
    assert (asked[int], asked.get(int), asked.get(int, "default")) == (7, 7, 7)
    assert asked.questions == []
    assert (asked[str], asked.get(bytes), asked.get(float, None)) == (str, bytes, None)
    assert asked.questions == [(str,), (bytes,), (float, None)]


def test_arguments_that_it_does_not_take_are_refused():
    asked = Asked()
    for call in (asked.get, lambda: asked.get(int, 1, 2), lambda: asked.get(key=int)):
        with pytest.raises(TypeError):
            call()
    for call in (lambda: asked[[]], lambda: asked.get([])):
        with pytest.raises(TypeError, match="unhashable"):
            call()
    with pytest.raises(TypeError):
        _core.Lookup.get(object(), int)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        asked._found = {}  # type: ignore[misc]
    with pytest.raises(AttributeError, match="_look_up"):
        _core.Lookup()[int]


def test_an_error_of_a_key_comes_through():
    class Broken:
        def __hash__(self) -> int:
            raise ValueError("no hash")

    with pytest.raises(ValueError, match="no hash"):
        Asked()[Broken()]


def test_it_is_freed_also_in_a_circle_and_keeps_no_count():
    asked = Asked()
    asked._found[int] = asked
    gone = weakref.ref(asked)
    del asked
    gc.collect()
    assert gone() is None
    value = object()
    before = sys.getrefcount(value), sys.getrefcount(Asked)
    for _ in range(100):
        asked = Asked()
        asked._found[int] = value
        for _ in range(10):
            assert asked[int] is asked.get(int) is value
            asked.get(str, value)
    del asked
    gc.collect()
    assert (sys.getrefcount(value), sys.getrefcount(Asked)) == before


def test_a_system_finds_what_a_default_is_for():
    class Component:
        pass

    with boot(components=[Component]) as system:
        assert system.get(Component) is system.get(Component, None) is system[Component]
        assert system.get(str, None) is None
        assert system.get(str, "default") == "default"
        for missing in (lambda: system[str], lambda: system.get(str)):
            with pytest.raises(ComponentNotFoundError):
                missing()
