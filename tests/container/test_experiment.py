"""`system.experiment()`: shares, stickiness, counts, and that nothing of it is left afterwards."""

# The annotations are read at run time.

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from symphony import Handle, InvalidValueError, Late, StoppedError, boot


class Model:
    log: list[str] = []

    def start(self) -> None:
        self.log.append(f"start {type(self).__name__}")

    def stop(self) -> None:
        self.log.append(f"stop {type(self).__name__}")

    def answer(self, user: object = None) -> str:
        return type(self).__name__

    def fail(self, user: object = None) -> str:
        raise LookupError(type(self).__name__)

    async def later(self, user: object = None) -> str:
        await asyncio.sleep(0)
        return type(self).__name__


class Second(Model):
    def answer(self, user: object = None) -> str:
        time.sleep(0.002)
        return "Second"


class User:
    def __init__(self, model: Model, handle: Handle[Model], late: Late[Model]) -> None:
        self.model = model
        self.handle = handle
        self.late = late


@pytest.fixture(autouse=True)
def _empty_log():
    Model.log.clear()


@pytest.fixture
def system():
    with boot(components=[Model, User]) as system:
        yield system


def by_user(user: object = None) -> object:
    return user


def test_calls_are_split_and_counted_for_each_variant(system):
    user = system[User]
    experiment = system.experiment(
        Model, {"a": Model, "b": Second}, split={"a": 0.75, "b": 0.25}, key=by_user
    )
    answers = [user.model.answer(number) for number in range(400)]
    for number in range(40):
        with pytest.raises(LookupError):
            user.model.fail(number)
    report = experiment.report()
    assert report["a"].calls + report["b"].calls == 440
    assert report["a"].errors + report["b"].errors == 40
    assert answers.count("Second") == report["b"].calls - report["b"].errors
    assert 60 <= answers.count("Second") <= 140
    assert report["b"].errors > 0 < report["a"].errors
    assert report["b"].p95 >= report["b"].p50 >= 0.002 > report["a"].p50
    text = str(report).splitlines()
    assert text[0] == "experiment on `Model`"
    assert text[1].split()[:4] == ["a", "75.0%", str(report["a"].calls), "calls,"]
    experiment.stop()


def test_one_key_goes_to_one_variant_everywhere_and_another_seed_moves_it(system):
    user = system[User]

    def asked(seed: int) -> list[str]:
        with system.experiment(Model, {"a": Model, "b": Second}, key=by_user, seed=seed):
            first = [user.model.answer(f"user {number}") for number in range(60)]
            again = [user.handle.value.answer(f"user {number}") for number in range(60)]
            late = [user.late.value.answer(f"user {number}") for number in range(60)]
            looked = [system[Model].answer(f"user {number}") for number in range(60)]
        assert first == again == late == looked
        assert set(first) == {"Model", "Second"}
        return first

    assert asked(1) == asked(1)
    assert asked(1) != asked(2)


def test_after_stop_the_sites_hold_the_real_object_again(system):
    user = system[User]
    real = id(user.model)
    experiment = system.experiment(Model, {"old": system[Model], "new": Second})
    assert isinstance(user.model, Model)
    assert id(user.model) != real
    assert Model.log == ["start Model", "start Second"]
    leaked = user.model.answer
    report = experiment.stop()
    assert report is not None
    assert report.rewritten == (("User", "model"),)
    assert (report.handles, report.drained) == (2, True)
    assert id(user.model) == id(user.handle.value) == id(user.late.value) == real
    assert id(system[Model]) == real
    assert Model.log == ["start Model", "start Second", "stop Second"]
    # Who kept a method of the router calls what stands there now, uncounted.
    assert leaked() == "Model"
    assert sum(one.calls for one in experiment.report().variants.values()) == 0
    assert experiment.stop() is report
    with pytest.raises(InvalidValueError, match="is over"):
        experiment.promote("new")


def test_what_is_promoted_stays_and_is_stopped_once():
    with boot(components=[Model, User]) as system:
        experiment = system.experiment(Model, {"a": Model, "b": Second, "c": Second})
        report = experiment.promote("b")
        assert report.drained, str(report)
        assert (report.old, report.new) == ("Model", "Second")
        user = system[User]
        assert type(user.model) is type(user.handle.value) is type(system[Model]) is Second
        assert Model.log[3:] == ["stop Model", "stop Second"]
        assert system.swap(Model, Model).drained
        assert Model.log[5:] == ["start Model", "stop Second"]
    assert Model.log[7:] == ["stop Model"]


def test_a_shutdown_in_the_middle_stops_every_variant_once(nothing_left):
    with boot(components=[Model, User]) as system:
        experiment = system.experiment(Model, {"a": Model, "b": Second, "c": Second})
    assert sorted(Model.log[3:]) == ["stop Model", "stop Second", "stop Second"]
    assert experiment.stop() is None
    with pytest.raises(StoppedError):
        experiment.promote("b")


def test_a_variant_that_fails_leaves_nothing_behind(system):
    class Broken(Model):
        def start(self) -> None:
            raise ValueError("no")

    user = system[User]
    with pytest.raises(Exception, match="`Broken`"):
        system.experiment(Model, {"a": Model, "b": Second, "c": Broken})
    assert type(user.model) is Model
    assert Model.log == ["start Model", "start Second", "stop Second"]
    assert system.swap(Model, Second).drained


def test_a_second_experiment_and_a_swap_are_refused_meanwhile(system):
    with system.experiment(Model, {"a": Model, "b": Second}):
        for act in (
            lambda: system.swap(Model, Second),
            lambda: system.experiment(Model, {"a": Model}),
        ):
            with pytest.raises(InvalidValueError, match="an experiment runs on `Model`"):
                act()
    assert system.swap(Model, Second).drained


@pytest.mark.parametrize(
    ("variants", "split", "text"),
    [
        ({}, None, "needs variants"),
        ({"a": Model}, {"b": 1.0}, "does not name the variants"),
        ({"a": Model, "b": Second}, {"a": 1.0, "b": -1.0}, "the shares of `split` are not lawful"),
        ({"a": Model}, {"a": 0.0}, "the shares of `split` are not lawful"),
        (
            {"a": Model, "b": Second},
            {"a": 1.0, "b": float("nan")},
            "the shares of `split` are not lawful",
        ),
    ],
)
def test_a_split_that_is_none_is_refused(system, variants, split, text):
    with pytest.raises(InvalidValueError, match=text):
        system.experiment(Model, variants, split=split)
    assert Model.log == ["start Model"]


def test_an_async_call_ends_when_it_was_awaited(system):
    user = system[User]
    experiment = system.experiment(Model, {"b": Second})
    coroutine = user.model.later()
    assert experiment.report()["b"].calls == 0
    assert asyncio.run(coroutine) == "Second"
    assert experiment.report()["b"].calls == 1
    experiment.stop()


def test_eight_threads_call_while_experiments_come_and_go(system):
    user = system[User]
    ended = threading.Event()
    failed: list[BaseException] = []

    class Careful(Model):
        def __init__(self) -> None:
            self.open = True

        def stop(self) -> None:
            self.open = False

        def answer(self, user: object = None) -> str:
            assert self.open, "called after its stop"
            return "Careful"

    def work() -> None:
        try:
            while not ended.is_set():
                assert user.model.answer() in ("Model", "Careful")
                time.sleep(0)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            assert system.experiment(Model, {"a": Model, "b": Careful}).stop().drained
    finally:
        ended.set()
    for thread in threads:
        thread.join(30)
    assert failed == []
    assert type(user.model) is Model
