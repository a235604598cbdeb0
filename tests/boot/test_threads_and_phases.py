"""In which phase, and on which thread, a Python component lives."""

from __future__ import annotations

import _thread
import json
import threading
import time
import warnings

import pytest
import symphony
from symphony import Pit, boot, component
from symphony._boot import threads as python_threads

pytestmark = pytest.mark.usefixtures("nothing_left")


class Notes:
    """Remembers on which thread each step ran."""

    def __init__(self) -> None:
        self.built = threading.get_ident()
        self.threads = {"init": self.built}

    def start(self) -> None:
        self.threads["start"] = threading.get_ident()

    def health(self) -> None:
        self.threads["health"] = threading.get_ident()

    def stop(self) -> None:
        self.threads["stop"] = threading.get_ident()


def test_a_component_starts_in_the_phase_that_it_names():
    order = []

    @component(phase="pit")
    class Early:
        def __init__(self, pool: symphony.PoolManager) -> None:
            order.append("early")

    @component(phase="foundation")
    class First:
        def __init__(self) -> None:
            order.append("first")

    class Last:
        def __init__(self, pit: Pit, early: Early) -> None:
            order.append("last")

    with boot(components=[Last, Early, First]) as system:
        assert order == ["first", "early", "last"]
        entries = json.loads(system.report.to_json())["components"]
        phases = {entry["name"]: entry["phase"] for entry in entries}
        assert (phases["First"], phases["Early"], phases["Last"]) == (
            "foundation",
            "pit",
            "conductor",
        )


def test_needing_a_later_phase_is_refused():
    class Late:
        pass

    @component(phase="pit")
    class Early:
        def __init__(self, late: Late) -> None: ...

    with pytest.raises(symphony.PhaseOrderError) as caught:
        boot(components=[Early, Late])
    (fault,) = caught.value.diagnostics
    assert fault.code == "phase-order"
    assert (fault.file, fault.line) == (__file__, Early.__init__.__code__.co_firstlineno)


def test_a_component_with_steps_has_a_thread_of_its_own_for_all_of_them():
    class Other(Notes):
        pass

    with boot(components=[Notes, Other]) as system:
        first, second = system[Notes].threads, system[Other].threads
        system.health()
    for threads in (first, second):
        assert set(threads) == {"init", "start", "health", "stop"}
        assert len(set(threads.values())) == 1
    assert len({first["init"], second["init"], threading.get_ident()}) == 3


def test_constructions_share_a_thread():
    idents = []

    def make(name):
        return type(name, (), {"__init__": lambda _self: idents.append(threading.get_ident())})

    with boot(components=[make(f"Plain{number}") for number in range(20)]):
        assert len(idents) == 20
        assert len(set(idents)) < 10
        assert threading.get_ident() not in idents


def test_a_construction_that_takes_long_does_not_hold_up_the_others():
    both = threading.Barrier(2, timeout=10)

    class One:
        def __init__(self) -> None:
            both.wait()

    class Two:
        def __init__(self) -> None:
            both.wait()

    with boot(components=[One, Two]) as system:
        assert system.report.ok


def test_main_thread_components_run_where_boot_was_called():
    @component(main_thread=True)
    class Main(Notes):
        pass

    with boot(components=[Main]) as system:
        threads = system[Main].threads
        system.health()
    assert set(threads) == {"init", "start", "health", "stop"}
    assert set(threads.values()) == {threading.get_ident()}


@pytest.mark.parametrize("phase", ["foundation", "ipc_bus", "pit", "orchestra_kit"])
def test_main_thread_is_lawful_in_the_last_phase_only(phase):
    @component(main_thread=True, phase=phase)
    class Main:
        pass

    with pytest.raises(symphony.PhaseOrderError, match="main_thread"):
        boot(components=[Main])


def test_an_async_step_on_the_main_thread_is_refused():
    @component(main_thread=True)
    class Main:
        async def start(self) -> None: ...

    with pytest.raises(symphony.PlanError) as caught:
        boot(components=[Main])
    assert caught.value.code == "wrong-thread"


def on_another_thread(work):
    """Runs work on another thread; gives what it raised, else its result."""
    outcome = []

    def body():
        try:
            outcome.append(work())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    return outcome[0]


def test_another_thread_may_not_ask_main_thread_components():
    @component(main_thread=True)
    class Main(Notes):
        pass

    with boot(components=[Main]) as system:
        error = on_another_thread(system.health)
        assert isinstance(error, symphony.WrongThreadError)
        assert "Main" in str(error)
        assert system.health().state == "healthy"


def test_shutdown_on_another_thread_stops_there_and_warns():
    @component(main_thread=True)
    class Main(Notes):
        pass

    system = boot(components=[Main])
    threads = system[Main].threads

    def stop():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            system.shutdown()
        return [str(warning.message) for warning in caught]

    (warning,) = on_another_thread(stop)
    assert "`Main`" in warning
    assert threads["stop"] not in (threads["start"], None)


def test_booting_on_another_thread():
    @component(main_thread=True)
    class Main(Notes):
        pass

    def work():
        with boot(components=[Main]) as system:
            threads = system[Main].threads
        return set(threads.values()) == {threading.get_ident()}

    assert on_another_thread(work) is True


def test_async_steps_run_on_one_loop():
    import asyncio

    loops = {}

    class One:
        async def start(self) -> None:
            loops["one"] = (asyncio.get_running_loop(), threading.get_ident())
            await asyncio.sleep(0.01)

        async def health(self) -> bool:
            loops["health"] = (asyncio.get_running_loop(), threading.get_ident())
            return True

        async def stop(self) -> None:
            loops["stop"] = (asyncio.get_running_loop(), threading.get_ident())

    async def two(one: One) -> symphony.Health:
        loops["two"] = (asyncio.get_running_loop(), threading.get_ident())
        return symphony.Health()

    with boot(components=[One, two]):
        pass
    assert set(loops) == {"one", "health", "two", "stop"}
    assert len(set(loops.values())) == 1
    assert threading.get_ident() not in {thread for _, thread in loops.values()}


def test_a_loop_that_hangs_is_left_behind_and_its_spare_goes_on():
    free = threading.Event()
    ended = []

    @component(required=False, timeout=0.1)
    class Hangs:
        async def start(self) -> None:
            while not free.is_set():
                time.sleep(0.005)  # noqa: ASYNC251 - it is to hang.

    class After:
        def __init__(self, hangs: Hangs | None) -> None: ...

        async def start(self) -> None:
            ended.append("started")

        async def stop(self) -> None:
            ended.append("stopped")

    with boot(components=[Hangs, After]):
        assert ended == ["started"]
    assert ended == ["started", "stopped"]
    free.set()


def test_waiting_for_the_conductors_import_does_not_count(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "slow_conductor.py").write_text(
        "import time\ntime.sleep(0.5)\nfrom symphony import Conductor\n"
    )

    @component(main_thread=True, timeout=0.2)
    class Main:
        pass

    with boot("slow_conductor:Conductor", components=[Main]) as system:
        assert system[Main]


def test_where_no_more_threads_can_be_started_the_keeper_does_the_steps(monkeypatch):
    class Thread:
        """`_thread`, in a process that has its keeper and may have no thread more."""

        get_ident = staticmethod(_thread.get_ident)
        allocate_lock = staticmethod(_thread.allocate_lock)
        refused = 0

        @classmethod
        def start_new_thread(cls, function, arguments):
            if function.__name__ != "_keep":
                cls.refused += 1
                raise RuntimeError("can't start new thread")
            return _thread.start_new_thread(function, arguments)

    class Trivial:
        def __init__(self) -> None:
            self.thread = threading.get_ident()

    class Second:
        def __init__(self, trivial: Trivial, notes: Notes) -> None:
            self.threads = [trivial.thread, *notes.threads.values(), threading.get_ident()]

    monkeypatch.setattr(python_threads, "_thread", Thread)
    with boot(components=[Trivial, Notes, Second], timeout=10) as system:
        seen, notes = system[Second].threads, system[Notes]
        assert Thread.refused > 0
        assert len(set(seen)) == 1
        assert set(notes.threads) == {"init", "start", "health"}
    assert set(notes.threads) == {"init", "start", "health", "stop"}
