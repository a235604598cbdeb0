"""What is looked up for the first time while it is swapped: the interleavings are made on purpose."""

from __future__ import annotations

import pytest
from symphony import boot
from symphony._boot.container import Container
from symphony._components import handles
from symphony.exceptions import StoppedError


class Old:
    """What is there first."""


class New(Old):
    """What takes its place."""


def between(monkeypatch, act):
    """Has something happen once, after a lookup has read and before it tells."""
    read = Container.lookup
    left = [act]

    def lookup(self, key, named=None):
        value = read(self, key, named)
        if key is Old and left:
            left.pop()()
        return value

    monkeypatch.setattr(Container, "lookup", lookup)
    return left


def test_the_first_lookup_of_what_is_swapped_meanwhile_gives_what_came(monkeypatch):
    with boot(components=[Old]) as system:
        left = between(monkeypatch, lambda: system.swap(Old, New))
        assert type(system[Old]) is New
        assert not left
        assert type(system[Old]) is New
        system.swap(Old, Old)
        assert type(system[Old]) is Old


def test_a_handle_that_is_made_while_its_component_is_swapped_holds_what_came(monkeypatch):
    with boot(components=[Old]) as system:
        left = between(monkeypatch, lambda: system.swap(Old, New))
        handle = system.handle(Old)
        assert not left
        assert type(handle.value) is New
        system.swap(Old, Old)
        assert type(handle.value) is Old
        assert system.handle(Old) is handle


def test_a_lookup_that_ends_after_its_system_keeps_nothing(monkeypatch):
    with boot(components=[Old]) as system:
        left = between(monkeypatch, system.shutdown)
        with pytest.raises(StoppedError):
            system[Old]
        assert not left
        with pytest.raises(StoppedError):
            system[Old]


def test_two_that_ask_first_get_the_same_handle(monkeypatch):
    with boot(components=[Old]) as system:
        make, others = handles.make_handle, []

        def second(label, value):
            monkeypatch.setattr(handles, "make_handle", make)
            others.append(system.handle(Old))
            return make(label, value)

        monkeypatch.setattr(handles, "make_handle", second)
        assert system.handle(Old) is others[0]
