"""`system.swap()`: who is redirected, who is named, and that each object is stopped exactly once."""

# The annotations are read at run time.

from __future__ import annotations

import _thread
import dataclasses
import gc
import inspect
import threading
import time
import weakref
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Protocol

import pytest
from container_lives import Better, ByAttribute, BySlot, Life, Store
from symphony import (
    BootError,
    BootTimeoutError,
    ComponentNotFoundError,
    CycleError,
    InvalidValueError,
    Late,
    MissingDependencyError,
    PhaseOrderError,
    Pit,
    PlanError,
    StoppedError,
    UnhealthyError,
    WrongThreadError,
    boot,
    component,
    factory,
)


class ByClosure:
    def __init__(self, store: Store) -> None:
        self.call = lambda: store.name()


@pytest.fixture(autouse=True)
def _empty_log():
    Life.log.clear()


def line_of(thing: Any, text: str) -> int:
    """The line of this file on which a text stands inside a class or function."""
    lines, first = inspect.getsourcelines(thing)
    return first + next(index for index, line in enumerate(lines) if text in line)


def test_attributes_slots_handles_and_lookups_have_the_new_one(nothing_left):
    with boot(components=[Store, ByAttribute, BySlot]) as system:
        user, slots = system[ByAttribute], system[BySlot]
        handle = system.handle(Store)
        report = system.swap(Store, Better)
        new = system[Store]
        assert type(new) is Better
        assert user._store is new
        assert slots.plain is slots._BySlot__hidden is slots.handle.value is slots.late.value is new
        assert handle.value is system.get(Store) is new
        assert set(report.rewritten) == {
            ("ByAttribute", "_store"),
            ("BySlot", "plain"),
            ("BySlot", "_BySlot__hidden"),
        }
        assert (report.handles, report.drained, report.holders) == (2, True, ())
        assert str(report).splitlines()[1:] == [
            "  rewritten: `ByAttribute._store`, `BySlot._BySlot__hidden`, `BySlot.plain` and 2 handles",
            "  the old one is drained and stopped",
        ]
        assert str(report).startswith("swapped `Store`: `Store` -> `Better` in ")
        assert Life.log == ["start Store", "start Better", "stop Store"]
    assert Life.log == ["start Store", "start Better", "stop Store", "stop Better"]


def test_the_old_one_is_freed():
    with boot(components=[Store, ByAttribute, BySlot]) as system:
        old = weakref.ref(system[Store])
        for target in (Better, Store, Better):
            assert system.swap(Store, target).drained
            gc.collect()
            assert old() is None
            old = weakref.ref(system[Store])


def test_a_closure_is_named_with_its_line_and_the_edit_and_the_old_one_stops_with_the_system():
    with boot(components=[Store, ByClosure, ByAttribute]) as system:
        report = system.swap(Store, Better, drain=0.05)
        assert not report.drained
        assert report.rewritten == (("ByAttribute", "_store"),)
        (holder,) = report.holders
        at = line_of(ByClosure, "self.call")
        needs = line_of(ByClosure, "def __init__")
        assert holder.place.endswith(f"test_swap.py:{at}")
        assert "declare `store: Handle[Store]` at " in holder.edit
        assert f"test_swap.py:{needs} and read `.value`" in holder.edit
        assert holder.edit in str(report)
        assert holder.place in str(report)
        assert system[ByClosure].call() == "Store"
        assert Life.log == ["start Store", "start Better"]
    assert Life.log[:2] == ["start Store", "start Better"]
    assert sorted(Life.log[2:]) == ["stop Better", "stop Store"]


def test_a_list_and_a_bound_method_of_a_consumer_are_named():
    class ByList:
        def __init__(self, store: Store) -> None:
            self.stores = [store]

    class ByMethod:
        def __init__(self, store: Store) -> None:
            self.call = store.name

    with boot(components=[Store, ByList, ByMethod]) as system:
        report = system.swap(Store, Better, drain=0.01)
        told = sorted(holder.what for holder in report.holders)
        assert told == [
            "`ByList` keeps it in an attribute (in a list)",
            "`ByMethod` keeps it in an attribute (as the bound method `name`)",
        ]
        places = {holder.place.rpartition(":")[2] for holder in report.holders}
        assert places == {
            str(line_of(ByList, "def __init__")),
            str(line_of(ByMethod, "def __init__")),
        }


def test_a_variable_of_a_running_function_is_named_with_its_line():
    with boot(components=[Store]) as system:
        kept = system[Store]
        report = system.swap(Store, Better, drain=0.01)
        (holder,) = report.holders
        assert "a variable of `test_a_variable_of_a_running_function" in holder.what
        assert "keep `system.handle(Store)` there" in holder.edit
        assert kept.name() == "Store"


def test_every_provider_in_a_sequence_is_rewritten_in_its_place():
    class Second(Life):
        pass

    component(provides=Life)(Store)

    class Every:
        def __init__(self, every: Sequence[Life]) -> None:
            self.every = every

    try:
        component(provides=Life)(Second)
        with boot(components=[Store, Second, Every]) as system:
            report = system.swap(Store, Better)
            assert [type(one) for one in system[Every].every] == [Better, Second]
            assert report.rewritten == (("Every", "every[0]"),)
            assert report.drained
    finally:
        del Store.__symphony_component__


def test_consumers_of_many_kinds_are_redirected():
    @dataclasses.dataclass
    class Plain:
        store: Store

    @dataclasses.dataclass(frozen=True)
    class Frozen:
        store: Store

    class Indirect:
        def __init__(self, store: Store) -> None:
            self._keep(store)

        def _keep(self, store: Store) -> None:
            self.kept = store

    class Heir(ByAttribute):
        def __init__(self, store: Store) -> None:
            super().__init__(store)

    class Guarded:
        written: list[str] = []

        def __init__(self, store: Store) -> None:
            self.store = store

        def __setattr__(self, name: str, value: object) -> None:
            self.written.append(name)
            super().__setattr__(name, value)

    class Made:
        def __init__(self, store: Store) -> None:
            self.made = store

    def make(store: Store) -> Made:
        return Made(store)

    parts = [Store, Plain, Frozen, Indirect, Heir, Guarded, make]
    with boot(components=parts) as system:
        report = system.swap(Store, Better)
        assert sorted(report.rewritten) == [
            ("Frozen", "store"),
            ("Guarded", "store"),
            ("Heir", "_store"),
            ("Indirect", "kept"),
            ("Plain", "store"),
            ("make", "made"),
        ]
        assert report.drained
        assert Guarded.written == ["store", "store"]
        assert system[Made].made is system[Frozen].store is system[Store]


def test_a_property_is_not_run_and_a_dictionary_is_not_made():
    class Shown:
        asked = 0

        def __init__(self, store: Store) -> None:
            self._store = store
            self.first = True or self.store  # noqa: SIM222

        @property
        def store(self) -> Store:
            type(self).asked += 1
            return self._store

    with boot(components=[Store, Shown]) as system:
        assert system.swap(Store, Better).rewritten == (("Shown", "_store"),)
        assert Shown.asked == 0


def test_new_is_a_factory_a_generator_an_async_factory_or_an_instance(nothing_left):
    class Given(Life):
        def __init__(self, store: str = "") -> None:
            super().__init__()

    def plain() -> Better:
        return Better()

    def generator() -> Iterator[Better]:
        Life.log.append("before")
        yield Better()
        Life.log.append("after")

    async def asynchronous() -> AsyncIterator[Better]:
        Life.log.append("async before")
        yield Better()
        Life.log.append("async after")

    with boot(components=[Store, ByAttribute]) as system:
        for target in (plain, generator, asynchronous, factory(lambda: Better()), Given()):
            report = system.swap(Store, target)
            assert report.drained, str(report)
            assert system[ByAttribute].name() == type(system[Store]).__name__
        del target
    assert [entry for entry in Life.log if "before" in entry or "after" in entry] == [
        "before",
        "async before",
        "after",
        "async after",
    ]
    assert Life.log[-1] == "stop Given"
    assert Life.log.count("start Given") == Life.log.count("stop Given") == 1


def test_new_is_built_by_injection_and_is_a_consumer_of_later_swaps():
    class Clock:
        pass

    class Fast(Clock):
        pass

    class Timed(Better):
        def __init__(self, clock: Clock, late: Late[ByAttribute], own: Late[Store]) -> None:
            super().__init__()
            self.clock, self.late, self.own = clock, late, own

    with boot(components=[Store, ByAttribute, Clock]) as system:
        system.swap(Store, Timed)
        timed = system[Store]
        assert timed.clock is system[Clock]
        assert timed.late.value is system[ByAttribute]
        assert timed.own.value is timed
        assert system.swap(Clock, Fast).rewritten == (("Store", "clock"),)
        assert type(timed.clock) is Fast


def test_what_fails_leaves_the_old_one_in_its_place(nothing_left):
    class NoBuild(Life):
        def __init__(self) -> None:
            raise ValueError("no")

    class NoStart(Life):
        def start(self) -> None:
            raise ValueError("no")

    class Ill(Life):
        def health(self) -> bool:
            return False

    class IllError(Life):
        def health(self) -> bool:
            raise OSError("gone")

    @component(timeout=0.1)
    class Hangs(Life):
        def start(self) -> None:
            super().start()
            time.sleep(0.5)

    with boot(components=[Store, ByAttribute]) as system:
        old = system[Store]
        for target, kind, code in (
            (NoBuild, BootError, "start-failed"),
            (NoStart, BootError, "start-failed"),
            (Ill, UnhealthyError, "unhealthy"),
            (IllError, UnhealthyError, "unhealthy"),
            (Hangs, BootTimeoutError, "start-timeout"),
        ):
            with pytest.raises(kind) as caught:
                system.swap(Store, target)
            assert caught.value.code == code
            assert caught.value.component == "Store"
            assert f"`{target.__name__}`" in str(caught.value)
            assert system[Store] is old
            assert system[ByAttribute]._store is old
        # A start that ends well after it was given up is stopped at once.
        deadline = time.monotonic() + 5
        while "stop Hangs" not in Life.log and time.monotonic() < deadline:
            time.sleep(0.01)
        assert Life.log == [
            "start Store",
            "start Ill",
            "stop Ill",
            "start IllError",
            "stop IllError",
            "start Hangs",
            "stop Hangs",
        ]
        assert system.health().state == "healthy"
        del old
        assert system.swap(Store, Better).drained


def test_a_consumer_that_refuses_the_new_one_undoes_the_swap():
    class Strict:
        def __init__(self, store: Store) -> None:
            self.store = store

        def __setattr__(self, name: str, value: object) -> None:
            if isinstance(value, Better):
                raise TypeError("refused")
            super().__setattr__(name, value)

    with boot(components=[Store, ByAttribute, Strict]) as system:
        old = system[Store]
        with pytest.raises(TypeError, match="refused"):
            system.swap(Store, Better)
        assert system[ByAttribute]._store is system[Strict].store is system[Store] is old
        assert Life.log == ["start Store", "start Better", "stop Better"]
    assert Life.log[3:] == ["stop Store"]


def test_what_the_new_one_needs_is_checked_before_it_is_built():
    class Unknown:
        pass

    class Needs(Better):
        def __init__(self, unknown: Unknown) -> None: ...

    class Ring(Better):
        def __init__(self, user: ByAttribute) -> None: ...

    class Wraps(Better):
        def __init__(self, store: Store) -> None: ...

    with boot(components=[Store, ByAttribute]) as system:
        with pytest.raises(MissingDependencyError) as missing:
            system.swap(Store, Needs)
        (fault,) = missing.value.diagnostics
        assert fault.message == "`Needs` needs `Unknown`, and nobody provides it"
        assert fault.hint == "only what was there at boot can be injected; add it to `components`"
        assert missing.value.diagnostics[0].line == line_of(Needs, "def __init__")
        with pytest.raises(CycleError, match="`Ring` -> `ByAttribute` -> `Ring`"):
            system.swap(Store, Ring)
        with pytest.raises(CycleError, match="`Wraps` -> `Wraps`"):
            system.swap(Store, Wraps)
        assert Life.log == ["start Store"]


def test_what_does_not_keep_the_contract_is_refused():
    class Named(Protocol):
        def name(self) -> str: ...

    @component(provides=Named)
    class First:
        def name(self) -> str:
            return "first"

    class Unnamed:
        pass

    class Wanting:
        def name(self, language: str) -> str:
            return language

    with boot(components=[First]) as system:
        for new in (Unnamed, Unnamed(), Wanting):
            with pytest.raises(PlanError) as caught:
                system.swap(Named, new)
            assert caught.value.code == "contract-mismatch"
            assert "name" in str(caught.value)
            with pytest.raises(PlanError):
                system.override(Named, new).__enter__()
        assert system[Named].name() == "first"


def test_what_cannot_be_swapped_is_refused(workshop):
    class Mine:
        def __init__(self, store: Store) -> None: ...

    with boot(conductor=Mine, components=[Store]) as system:
        with pytest.raises(InvalidValueError) as caught:
            system.swap(Pit, Better)
        assert caught.value.code == "invalid-value"
        assert "swap one of the Pit's members by its type" in caught.value.hints[0]
        with pytest.raises(ComponentNotFoundError):
            system.swap("outline", "somewhere")
        with pytest.raises(InvalidValueError, match="the Conductor `Mine`"):
            system.swap(Mine, Better)
        with pytest.raises(ComponentNotFoundError):
            system.swap(ByAttribute, Better)
        with pytest.raises(InvalidValueError, match="`drain`"):
            system.swap(Store, Better, drain=-1)
    with pytest.raises(StoppedError):
        system.swap(Store, Better)
    assert Life.log == ["start Store", "stop Store"]


def test_a_component_of_the_main_thread_is_swapped_there_alone():
    threads: list[int] = []

    @component(main_thread=True)
    class OnMain:
        def start(self) -> None:
            threads.append(_thread.get_ident())

        stop = start

    @component(phase="pit")
    class Early:
        pass

    with boot(components=[OnMain, Early]) as system:
        failed: list[BaseException] = []

        def elsewhere() -> None:
            try:
                system.swap(OnMain, OnMain)
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join(10)
        assert isinstance(failed[0], WrongThreadError)
        assert system.swap(OnMain, OnMain).drained
        with pytest.raises(PhaseOrderError):
            system.swap(Early, OnMain)
    assert threads == [_thread.get_ident()] * 4
