"""`system.override()`: consumers that exist already see it, and get back exactly what they had."""

# The annotations are read at run time.

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from container_lives import Better, ByAttribute, BySlot, Life, Store
from symphony import ArtifactStore, Handle, boot, component, factory
from symphony.exceptions import (
    BootError,
    InvalidValueError,
    StoppedError,
    WrongThreadError,
)


@pytest.fixture(autouse=True)
def _empty_log():
    Life.log.clear()


class Fake(Life):
    pass


class Other(Fake):
    pass


class Third(Fake):
    pass


class Every:
    def __init__(self, stores: Sequence[Store]) -> None:
        self.stores = stores


def seen(system) -> list[object]:
    """What every consumer sees."""
    slots = system[BySlot]
    return [
        system[ByAttribute]._store,
        slots.plain,
        slots._BySlot__hidden,
        slots.handle.value,
        slots.late.value,
        system[Every].stores[0],
        system[Store],
        system.get(Store),
        system.handle(Store).value,
    ]


@pytest.fixture
def system(nothing_left):
    with boot(components=[Store, ByAttribute, BySlot, Every]) as running:
        yield running


def test_every_consumer_sees_it_and_gets_back_what_it_had(system):
    before = seen(system)
    lists = system[Every].stores
    fake = Fake()
    with system.override(Store, fake) as entered:
        assert entered is fake
        assert all(one is fake for one in seen(system))
        assert system[Every].stores is lists
        assert Life.log == ["start Store", "start Fake"]
    assert [id(one) for one in seen(system)] == [id(one) for one in before]
    assert Life.log == ["start Store", "start Fake", "stop Fake"]
    assert seen(system)[0].name() == "Store"


@pytest.mark.parametrize("new", [Fake, factory(lambda: Fake())])
def test_it_is_built_as_for_a_swap(system, new):
    with system.override(Store, new) as fake:
        assert type(fake) is Fake
    with system.override(Store, new) as again:
        assert again is not fake
    assert Life.log[1:] == ["start Fake", "stop Fake"] * 2


def test_a_generator_runs_to_its_end(system):
    def lent() -> Iterator[Better]:
        Life.log.append("lent")
        yield Better()
        Life.log.append("taken back")

    with system.override(Store, lent):
        assert seen(system)[0].name() == "Better"
    assert Life.log == ["start Store", "lent", "taken back"]


def test_a_block_that_raises_restores_too(system):
    before = seen(system)
    with pytest.raises(KeyError, match="mine"), system.override(Store, Fake):
        raise KeyError("mine")
    assert seen(system) == before
    assert Life.log == ["start Store", "start Fake", "stop Fake"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_overrides_of_one_component_may_end_in_any_order(system, order):
    before = seen(system)
    overrides = [system.override(Store, kind) for kind in (Fake, Other, Third)]
    fakes = [override.__enter__() for override in overrides]
    assert all(one is fakes[2] for one in seen(system))
    left = [0, 1, 2]
    for place in order:
        overrides[place].__exit__(None, None, None)
        left.remove(place)
        wanted = fakes[left[-1]] if left else before[0]
        assert all(one is wanted for one in seen(system))
    assert Life.log.count("stop Store") == 0
    for name in ("Fake", "Other", "Third"):
        assert Life.log.count(f"start {name}") == Life.log.count(f"stop {name}") == 1


class Lower(Life):
    pass


class Upper(Life):
    def __init__(self, lower: Lower) -> None:
        super().__init__()
        self.lower = lower


class Top:
    def __init__(self, upper: Upper, lower: Lower) -> None:
        self.upper, self.lower = upper, lower


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("swapped", [False, True])
def test_overrides_of_two_components_may_cross(first, swapped):
    class FakeUpper(Upper):
        pass

    with boot(components=[Lower, Upper, Top]) as system:
        top, lower, upper = system[Top], system[Lower], system[Upper]
        pairs = [(Upper, FakeUpper), (Lower, Fake)]
        overrides = [system.override(*pair) for pair in (pairs[::-1] if swapped else pairs)]
        for override in overrides:
            override.__enter__()
        assert type(top.upper.lower) is type(top.lower) is Fake
        for place in (first, 1 - first):
            overrides[place].__exit__(None, None, None)
        assert (top.lower, top.upper, upper.lower) == (lower, upper, lower)
        assert type(system[Upper]) is Upper


def test_one_object_for_two_types_goes_back_to_each(nothing_left):
    class Both:
        def __init__(self, lower: Lower, store: Store) -> None:
            self.lower, self.store = lower, store

    with boot(components=[Lower, Store, Both]) as system:
        both = system[Both]
        lower, store = both.lower, both.store
        with system.override(Lower, store):
            assert both.lower is both.store is store
        assert both.lower is lower
        assert both.store is store


def test_what_is_built_meanwhile_gets_back_the_real_one(system):
    class Late:
        def __init__(self, store: Store) -> None:
            self.store = store

    with boot(components=[Store, Late]) as other:
        real = other[Store]
        with other.override(Store, Fake):
            other.swap(Late, Late)
            assert type(other[Late].store) is Fake
            made = other.handle(Store)
            assert type(made.value) is Fake
        assert other[Late].store is made.value is real


def test_a_swap_and_an_experiment_wait_for_its_end(system):
    with system.override(Store, Fake):
        with pytest.raises(InvalidValueError, match="`Store` is overridden at present"):
            system.swap(Store, Better)
        with pytest.raises(InvalidValueError, match="`Store` is overridden at present"):
            system.experiment(Store, {"a": Better})
    assert system.swap(Store, Better).drained


def test_what_fails_changes_nothing(system):
    class Sick(Life):
        def health(self) -> bool:
            return False

    before = seen(system)
    with pytest.raises(BootError, match="not well"), system.override(Store, Sick):
        raise AssertionError("never entered")
    for key in ("outline", system.kit):
        with pytest.raises(Exception, match=r"overridden|no component|cannot"):
            system.override(key, Fake).__enter__()
    override = system.override(Store, Fake)
    with override:
        pass
    with pytest.raises(InvalidValueError, match="entered once"):
        override.__enter__()
    assert seen(system) == before


def test_a_stop_that_fails_is_raised_where_the_block_was_well(system):
    class Bad(Life):
        def stop(self) -> None:
            raise OSError("disk")

    before = seen(system)
    with pytest.raises(OSError, match="disk"), system.override(Store, Bad):
        pass
    with pytest.raises(KeyError), system.override(Store, Bad):
        raise KeyError("first")
    assert seen(system) == before


def test_a_shutdown_inside_the_block_stops_both(nothing_left):
    with boot(components=[Store, ByAttribute]) as system, system.override(Store, Fake):
        system.shutdown()
        with pytest.raises(StoppedError):
            system.override(Store, Fake).__enter__()
    assert sorted(Life.log) == ["start Fake", "start Store", "stop Fake", "stop Store"]


def test_a_call_in_progress_ends_before_the_stop(system):
    inside, go = threading.Event(), threading.Event()

    class Slow(Life):
        def name(self) -> str:
            inside.set()
            assert go.wait(10)
            return super().name()

    user, answers = system[ByAttribute], []
    caller = threading.Thread(target=lambda: answers.append(user.name()))
    with system.override(Store, Slow, drain=10):
        caller.start()
        assert inside.wait(10)
        threading.Timer(0.1, go.set).start()
    caller.join(10)
    assert answers == ["Slow"]


MELODY = """
    [melody]
    name = "keep"
    [[node]]
    id = "put"
    call = "artifact-store.put"
    with = { data = "x" }
"""


def test_a_member_is_overridden_and_keeps_its_state(workshop, nothing_left):
    class Memory:
        def put(self, data: bytes) -> str:
            return "memory"

    class User:
        def __init__(self, store: ArtifactStore, handle: Handle[ArtifactStore]) -> None:
            self.store, self.handle = store, handle

    melody = workshop.melody(MELODY)

    def put(system) -> str:
        return system.submit(melody).result(10)["put"]

    with boot(config=workshop.config, components=[User]) as system:
        store, user = system.pit.artifacts, system[User]
        kept = store.put(b"kept")
        with system.override(ArtifactStore, Memory) as memory:
            assert user.store is user.handle.value is system.pit.artifacts is memory
            assert put(system) == "memory"
            assert store.get(kept) == b"kept"
            with system.override(ArtifactStore, Memory) as inner:
                assert system[ArtifactStore] is inner
            assert system[ArtifactStore] is memory
        assert user.store is user.handle.value is system.pit.artifacts is store
        assert system[ArtifactStore] is store
        assert len(put(system)) == 64
        assert system.pit.stale.evaluate(kept) == "keep"
        first, second = (
            system.override(ArtifactStore, Memory),
            system.override(ArtifactStore, Memory),
        )
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert put(system) == "memory"
        second.__exit__(None, None, None)
        assert user.store is store
        assert len(put(system)) == 64
        with system.override(ArtifactStore, Memory):
            system.shutdown()
    with boot(config=workshop.config) as system:
        assert system.pit.artifacts.get(kept) == b"kept"


def test_one_of_the_main_thread_is_overridden_there_within_its_deadline():
    @component(main_thread=True, timeout=0.3)
    class Hangs(Life):
        def start(self) -> None:
            time.sleep(30)

    @component(main_thread=True)
    class Mine(Life):
        def start(self) -> None:
            self.thread = threading.get_ident()

    with boot(components=[Store, ByAttribute]) as system:
        before = system[ByAttribute]._store
        began = time.monotonic()
        with pytest.raises(BootError) as caught:
            system.swap(Store, Hangs)
        assert caught.value.code == "start-timeout"
        assert time.monotonic() - began < 4 * 0.3 + 1
        assert system[ByAttribute]._store is before
        with system.override(Store, Mine) as mine:
            assert mine.thread == threading.get_ident()
        errors: list[BaseException] = []

        def elsewhere() -> None:
            try:
                system.override(Store, Mine).__enter__()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join(10)
        assert [type(error) for error in errors] == [WrongThreadError]
