"""Consumers that refuse to be written to: rewritten where that is sound, else the swap is refused."""

from __future__ import annotations

import dataclasses
import importlib.util
from typing import NamedTuple

import pytest
from symphony import InvalidValueError, boot

pytestmark = pytest.mark.usefixtures("nothing_left")


class Store:
    pass


class Better(Store):
    started: list[str] = []

    def start(self) -> None:
        self.started.append("Better")


@dataclasses.dataclass(frozen=True)
class Frozen:
    store: Store


class Refuses:
    def __init__(self, store: Store) -> None:
        object.__setattr__(self, "store", store)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"`{name}` is fixed")


class Model:
    """As models have it: the fields lie where the code of the constructor does not name them."""

    def __init__(self, store: Store) -> None:
        vars(self).update({"sto" + "re": store})


class Tuple(NamedTuple):
    store: Store


class Hides:
    __slots__ = ("_kept",)

    def __init__(self, store: Store) -> None:
        object.__setattr__(self, "_kept", {"store": store})

    def __getattr__(self, name: str) -> object:
        return self._kept[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"`{name}` is fixed")


def kinds():
    yield from (Frozen, Refuses, Model)
    if importlib.util.find_spec("attrs") is not None:
        import attrs

        @attrs.frozen
        class Attrs:
            store: Store

        yield Attrs


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.__name__)
def test_what_is_frozen_is_rewritten(kind):
    with boot(components=[Store, kind]) as system:
        report = system.swap(Store, Better)
        assert type(system[kind].store) is Better
        assert report.rewritten == ((kind.__name__, "store"),)


def test_a_tuple_is_named_as_a_holder():
    with boot(components=[Store, Tuple]) as system:
        report = system.swap(Store, Better, drain=0.1)
        assert type(system[Tuple].store) is Store
        assert not report.drained
        assert "Tuple" in str(report)


def test_what_nothing_can_write_to_refuses_the_swap_before_anything_starts():
    Better.started.clear()
    with boot(components=[Store, Hides]) as system:
        old = system[Store]
        with pytest.raises(InvalidValueError, match=r"`Store` cannot be replaced: `Hides\.store`"):
            system.swap(Store, Better)
        assert system[Store] is old
        assert system[Hides].store is old
    assert Better.started == []
