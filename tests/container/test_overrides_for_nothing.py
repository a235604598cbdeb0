"""Overrides that reach nothing are told: no test goes on with the real thing in silence."""

from __future__ import annotations

import functools
import warnings
from typing import NewType, Protocol

import pytest
from symphony import Conductor, OrchestraKit, PlanError, boot, component


class Clock:
    def now(self) -> str:
        return "real"


class Quartz(Clock):
    pass


class Fake:
    def now(self) -> str:
        return "fake"


class Reader:
    def __init__(self, clock: Quartz) -> None:
        self.clock = clock


class ReaderOfAny:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock


Port = NewType("Port", int)


def quartz() -> Quartz:
    return Quartz()


@pytest.mark.parametrize(
    ("components", "key"),
    [([Quartz, Reader], Clock), ([Clock], Quartz), ([quartz, Reader], Clock)],
    ids=["the base of what is there", "what inherits from it", "the base of a factory's result"],
)
def test_an_override_beside_what_it_was_meant_for_is_a_fault_of_the_plan(components, key):
    with pytest.raises(PlanError, match="which nobody provides and nobody needs") as told:
        boot(components=components, overrides={key: Fake()})
    (fault,) = told.value.diagnostics
    assert fault.code == "missing-dependency"
    assert fault.hint.startswith("override `")


def test_what_a_consumer_needs_may_come_by_an_override_alone():
    fake = Fake()
    with boot(components=[Quartz, ReaderOfAny], overrides={Clock: fake}) as system:
        assert system[ReaderOfAny].clock is fake

    class Brain(Conductor):
        def __init__(self, kit: OrchestraKit, clock: Clock) -> None:
            super().__init__(kit)
            self.clock = clock

    with boot(Brain, components=[Quartz], overrides={Clock: fake}) as system:
        assert system.conductor.clock is fake


def test_what_is_like_nothing_that_is_there_may_be_brought_in():
    fake = Fake()
    with boot(components=[Reader, Quartz], overrides={Fake: fake, Port: 80}) as system:
        assert system[Fake] is fake
        assert system[Port] == 80


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("Clock", "is a type, not `'Clock'`"),
        (5, "is a type, not `5`"),
        (None, "is a type, not `None`"),
        ((Clock, Quartz), "one type: write an entry for each"),
        (quartz, "is a function: name the type that it makes"),
    ],
)
def test_a_key_that_is_no_type_is_refused(key, told):
    with pytest.raises(TypeError, match=told):
        boot(components=[Quartz, quartz], overrides={key: Fake()})


class Brain(Conductor):
    pass


@pytest.mark.parametrize("conductor", [Brain, None, Conductor])
@pytest.mark.parametrize("key", [Brain, Conductor])
def test_the_conductor_is_given_and_not_overridden(conductor, key):
    with pytest.raises(TypeError, match="give another as `conductor=`"):
        boot(conductor, overrides={key: Fake()})


class Sender(Protocol):
    def now(self) -> str: ...


class Asker(Protocol):
    def now(self) -> str: ...


@component(provides=(Sender, Asker))
class Both:
    def now(self) -> str:
        return "real"


class Needs:
    def __init__(self, sender: Sender, asker: Asker, both: Both) -> None:
        self.all = [sender.now, asker.now, both.now]
        self.sender, self.asker, self.both = sender, asker, both


@pytest.mark.parametrize("key", [Sender, Asker, Both])
def test_an_override_of_one_type_stands_for_all_that_its_component_provides(key):
    with boot(components=[Both, Needs], overrides={key: Fake()}) as system:
        needs = system[Needs]
        assert [needs.sender.now(), needs.asker.now(), needs.both.now()] == ["fake"] * 3


class InList:
    def __init__(self, clock: Quartz) -> None:
        self.kept = [clock]

    def use(self) -> str:
        return self.kept[0].now()


class InDict(InList):
    def __init__(self, clock: Quartz) -> None:
        self.kept = {0: clock}


class InClosure(InList):
    def __init__(self, clock: Quartz) -> None:
        self.use = lambda: clock.now()


class InMethod(InList):
    def __init__(self, clock: Quartz) -> None:
        self.use = clock.now


class InPartial(InList):
    def __init__(self, clock: Quartz) -> None:
        self.use = functools.partial(Quartz.now, clock)


class Helper:
    def __init__(self, clock: Quartz) -> None:
        self.clock = clock


class InHelper(InList):
    def __init__(self, clock: Quartz) -> None:
        self.helper = Helper(clock)

    def use(self) -> str:
        return self.helper.clock.now()


@pytest.mark.parametrize("consumer", [InList, InDict, InClosure, InMethod, InPartial, InHelper])
def test_a_consumer_that_goes_on_with_the_real_one_is_named_with_the_edit(consumer):
    with boot(components=[Quartz, consumer]) as system:
        with pytest.warns(RuntimeWarning, match="`Quartz` is overridden, and goes on") as told:
            with system.override(Quartz, Fake):
                assert system[consumer].use() == "real"
        assert "declare `clock: Handle[Quartz]`" in str(told[0].message)
        assert told[0].filename == __file__


def test_where_warnings_are_errors_nothing_is_overridden():
    with boot(components=[Quartz, InList, Reader]) as system:
        real = system[Quartz]
        with pytest.raises(RuntimeWarning, match="is overridden"):
            with system.override(Quartz, Fake):
                pytest.fail("it was entered")
        assert system[Quartz] is real is system[Reader].clock
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with system.override(Quartz, Fake) as fake:
                assert system[Reader].clock is fake
        assert system[Reader].clock is real


def test_an_override_that_reaches_everybody_says_nothing():
    with boot(components=[Quartz, Reader]) as system:
        # The test's own variable is nobody's consumer.
        real = system[Quartz]
        with system.override(Quartz, Fake):
            assert system[Reader].clock.now() == "fake"
        assert system[Reader].clock is real
