"""What a Conductor and a component get for their annotations."""

# The annotations themselves are what is tested, so they stay as they are.
# ruff: noqa: UP037, UP045

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Optional, Protocol

import pytest
import symphony
from symphony import (
    ArtifactStore,
    Conductor,
    Handle,
    IpcBus,
    Late,
    LateBindingError,
    OrchestraKit,
    Pit,
    StoppedError,
    boot,
    component,
)

if TYPE_CHECKING:
    from decimal import Decimal as Money

pytestmark = pytest.mark.usefixtures("nothing_left")


class Index:
    pass


class Planner:
    def __init__(self, index: Index) -> None:
        self.index = index


class Absent:
    pass


class Speaker(Protocol):
    def speak(self) -> str: ...


@component(provides=Speaker)
class Dog:
    def speak(self) -> str:
        return "woof"


def boots(conductor, *components, **more):
    """Boots, and gives what the conductor's factory made of what it got."""
    with boot(conductor, components=components, **more) as system:
        return system.conductor


def test_a_conductor_gets_the_core_by_type():
    def make(
        kit: OrchestraKit, pit: Pit, bus: IpcBus, store: ArtifactStore, grants: Handle[Pit]
    ) -> dict:
        assert store.get(pit.artifacts.put(b"x")) == b"x"
        return {"kit": kit.pit is pit, "bus": kit.bus is bus, "handle": grants.value is pit}

    made = boots(make)
    assert made["kit"]
    assert made["handle"]


def test_a_conductor_class_is_injected_and_from_components_is_cls_of_kit():
    class Mine(Conductor):
        pass

    with boot(Mine) as system:
        assert type(system.conductor) is Mine
        assert system.conductor.kit is system.kit
        assert type(Mine.from_components(system.kit)) is Mine
    with boot() as system:
        assert type(system.conductor) is Conductor


def test_classes_functions_generators_and_coroutines_are_built_by_their_annotations():
    seen = []

    class FromFunction(Planner):
        pass

    class FromGenerator(Planner):
        pass

    class FromCoroutine(Planner):
        pass

    class FromAsyncGenerator(Planner):
        pass

    def function(index: Index) -> FromFunction:
        return FromFunction(index)

    def generator(index: Index) -> Iterator[FromGenerator]:
        seen.append("generator starts")
        yield FromGenerator(index)
        seen.append("generator stops")

    async def coroutine(index: Index) -> FromCoroutine:
        return FromCoroutine(index)

    async def async_generator(index: Index) -> AsyncIterator[FromAsyncGenerator]:
        seen.append("async generator starts")
        yield FromAsyncGenerator(index)
        seen.append("async generator stops")

    kinds = (Planner, FromFunction, FromGenerator, FromCoroutine, FromAsyncGenerator)
    components = [Index, Planner, function, generator, coroutine, async_generator]
    with boot(components=components) as system:
        index = system[Index]
        for kind in kinds:
            assert type(system[kind]) is kind
            assert system[kind].index is index
        assert sorted(seen) == ["async generator starts", "generator starts"]
    assert sorted(seen[2:]) == ["async generator stops", "generator stops"]


def test_a_generator_that_yields_twice_is_told_as_a_fault_of_its_stop():
    def twice() -> Iterator[Index]:
        yield Index()
        yield Index()

    def fails(index: Index) -> Planner:
        raise OSError("no disk")

    with pytest.raises(symphony.BootError) as caught:
        boot(components=[twice, fails])
    (error,) = caught.value.rollback_errors
    assert "yield once" in str(error)


def test_provides_and_structure():
    def make(speaker: Speaker, dog: Dog) -> list:
        return [speaker, dog]

    speaker, dog = boots(make, Dog)
    assert speaker is dog


def test_optional_and_defaults():
    class Wants:
        def __init__(
            self,
            gone: Optional[Absent],
            bar: "Absent | None",
            there: "Index | None",
            plain: Absent = "default",  # type: ignore[assignment]
            limit: int = 3,
            *,
            only: Optional[Absent] = "kept",  # type: ignore[assignment]
            free=7,
        ) -> None:
            self.got = (gone, bar, there, plain, limit, only, free)

    with boot(components=[Wants, Index]) as system:
        expected = (None, None, system[Index], "default", 3, "kept", 7)
        assert system[Wants].got == expected


def test_positional_only_parameters():
    class Positional:
        def __init__(self, index: Index, /, *, other: Index) -> None:
            self.same = index is other

    with boot(components=[Positional, Index]) as system:
        assert system[Positional].same


def test_late_edges_are_bound_before_boot_returns():
    early = []

    class Left:
        def __init__(self, right: Right) -> None:
            self.right = right

    class Right:
        def __init__(self, left: Late[Left]) -> None:
            self.left = left
            try:
                early.append(left.value)
            except LateBindingError as error:
                early.append(error.code)

    with boot(components=[Left, Right]) as system:
        assert early == ["late-binding"]
        late = system[Right].left
        assert late.value is system[Left]
        assert system[Left].right is system[Right]
    with pytest.raises(StoppedError):
        _ = late.value


def test_handles_are_ordinary_edges():
    class Reads:
        def __init__(self, index: Handle[Index]) -> None:
            self.at_once = index.value
            self.index = index

    with boot(components=[Reads, Index]) as system:
        reads = system[Reads]
        assert reads.at_once is system[Index]
        assert system.handle(Index) is reads.index
    with pytest.raises(StoppedError):
        _ = reads.index.value


def test_annotated_picks_by_name_and_sequence_takes_all():
    @component(name="main")
    def first() -> Index:
        return Index()

    @component(name="spare")
    def second() -> Index:
        return Index()

    class Takes:
        def __init__(
            self,
            main: Annotated[Index, "main"],
            every: Sequence[Index],
            nobody: Sequence[Absent],
            handle: Annotated[Handle[Index], "spare"],
        ) -> None:
            self.main, self.every, self.nobody, self.handle = main, every, nobody, handle

    with boot(components=[Takes, first, second]) as system:
        takes = system[Takes]
        assert takes.every[0] is takes.main
        assert takes.every[1] is takes.handle.value
        assert len(takes.every) == 2
        assert list(takes.nobody) == []
        with pytest.raises(symphony.ComponentNotFoundError, match="several"):
            system[Index]


def test_names_under_type_checking_are_looked_up_through_the_modules_imports():
    from decimal import Decimal

    def money() -> Decimal:
        return Decimal(5)

    class Purse:
        def __init__(self, money: Money, maybe: "Optional[Money]") -> None:
            self.money = money
            self.maybe = maybe

    with boot(components=[Purse, money]) as system:
        assert system[Purse].money == 5
        assert system[Purse].maybe is system[Purse].money


def test_getting_what_is_absent():
    with boot() as system:
        with pytest.raises(KeyError):
            system[Absent]
        with pytest.raises(symphony.ComponentNotFoundError):
            system.get(Absent)
        assert system.get(Absent, None) is None
        assert system.get(Pit) is system.pit
    with pytest.raises(StoppedError):
        system.get(Pit)


def test_unregistered_classes_are_not_built():
    with pytest.raises(symphony.MissingDependencyError) as caught:
        boot(components=[Planner])
    assert "`Planner` needs `Index`" in str(caught.value)
    assert caught.value.hints == ("add `Index` to `components`",)


def test_everything_registered_is_started_needed_or_not():
    started = []

    class Unneeded:
        def start(self) -> None:
            started.append("unneeded")

    with boot(components=[Unneeded]):
        assert started == ["unneeded"]


def test_two_components_of_one_name_are_told_by_their_module():
    def make_class():
        class Index:
            pass

        Index.__module__ = "elsewhere"
        return Index

    other = make_class()
    with boot(components=[Index, other]) as system:
        import json

        names = {entry["name"] for entry in json.loads(system.report.to_json())["components"]}
        assert {f"{__name__}.Index", "elsewhere.Index"} <= names
        assert type(system[Index]) is Index
        assert type(system[other]) is other


def test_what_is_no_component_is_refused():
    with pytest.raises(TypeError, match="not `int`"):
        boot(components=[3])
    with pytest.raises(TypeError, match="conductor"):
        boot(3)
    with pytest.raises(ValueError, match="on_hang"):
        boot(on_hang="never")
    with pytest.raises(symphony.InvalidValueError, match="timeout"):
        boot(timeout=-1)


IN_A_TEXT = """
from __future__ import annotations
from typing import Generic, TypeVar
Item = TypeVar("Item")
class Shelf(Generic[Item]):
    def __init__(self, item: Item) -> None: self.item = item
class IndexShelf(Shelf[Index]): pass
class Reader:
    def __init__(self, index: Index) -> None: self.item = index
class Named:
    index: Index
    def __init__(self, index: Index) -> None: self.item = index
def make(index: Index) -> list[Index]: return [index]
"""


@pytest.mark.parametrize("module", [None, "nowhere", __name__, "decimal"])
@pytest.mark.parametrize("file", ["<stdin>", "<user>", "lines.py"])
def test_what_was_executed_as_a_text_has_the_names_that_it_was_executed_with(module, file):
    names = {"Index": Index} if module is None else {"Index": Index, "__name__": module}
    exec(compile(IN_A_TEXT, file, "exec"), names)
    kinds = [names[one] for one in ("IndexShelf", "Reader", "Named")]
    with boot(components=[Index, *kinds, names["make"]]) as system:
        for kind in kinds:
            assert system[kind].item is system[Index]
        assert system[list[Index]] == [system[Index]]
