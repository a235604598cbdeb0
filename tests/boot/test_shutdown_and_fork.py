"""The end of a system: twice, from anywhere, at exit; and its handles in a forked child."""

from __future__ import annotations

import threading
import time

import boot_scripts
import pytest
from symphony import IpcBus, Pit, StoppedError, boot
from workshop import ECHO


def test_twice_and_from_another_thread(nothing_left):
    stops = []

    class Once:
        def stop(self) -> None:
            stops.append(1)

    system = boot(components=[Once])
    threads = [threading.Thread(target=system.shutdown) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    system.shutdown()
    assert stops == [1]


def test_handles_raise_afterwards(workshop, nothing_left):
    workshop.extension("echo", ECHO)
    with boot(config=str(workshop.config)) as system:
        echo, pit, bus, kit = system.kit.extension("echo"), system.pit, system.bus, system.kit
        assert echo.call("echo", value=1) == 1
        handle = system.handle(Pit)
    for use in (
        lambda: echo.call("echo", value=1),
        lambda: pit.artifacts.put(b"x"),
        lambda: pit.dag.submit({"a": []}),
        lambda: bus.topic("t").publish(1),
        lambda: kit.extension("echo").call("echo", value=1),
        lambda: handle.value,
        lambda: system[IpcBus],
        lambda: system.get(Pit, None),
        system.health,
        system.run,
    ):
        with pytest.raises(StoppedError):
            use()


def test_two_systems_do_not_see_each_other(workshop, nothing_left):
    class Thing:
        pass

    with boot(components=[Thing]) as first, boot(components=[Thing]) as second:
        assert first[Thing] is not second[Thing]
        kept = first.pit.artifacts.put(b"mine")
        assert not second.pit.artifacts.exists(kept)
        first.shutdown()
        assert second.pit.artifacts.get(second.pit.artifacts.put(b"yours")) == b"yours"


def test_a_system_that_is_never_shut_down_ends_at_exit(workshop, tmp_path):
    workshop.extension("echo", ECHO, 'activation = "eager"')
    ended = boot_scripts.run(
        """
        class Base:
            def stop(self): say("stopped")
        system = boot(components=[Base], config="Symphony.toml")
        print(*below())
        sys.exit(6)
        """,
        tmp_path,
    )
    pids, stopped = ended.stdout.splitlines()
    assert (ended.returncode, stopped, ended.stderr) == (6, "stopped", "")
    assert pids
    assert boot_scripts.gone([int(pid) for pid in pids.split()])


def test_a_forked_child_may_not_use_it_and_harms_nothing(workshop, tmp_path):
    workshop.extension("echo", ECHO, 'activation = "eager"')
    ended = boot_scripts.run(
        """
        system = boot(config="Symphony.toml")
        echo = system.kit.extension("echo")
        import warnings
        # From 3.12 on Python warns of a fork beside threads; what a child may do all the same is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if not child:
            refused = []
            for use in (lambda: echo.call("echo", value=1), lambda: system.pit.artifacts.put(b"x"),
                        lambda: system.health(), lambda: system.bus.topic("t").publish(1),
                        lambda: boot()):
                try: use()
                except symphony.ForkedError: refused.append(1)
            system.shutdown()
            sys.exit(40 + len(refused))
        say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        say(echo.call("echo", value="alive"), system.health().state)
        system.shutdown()
        """,
        tmp_path,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "45\nalive healthy\n", "")


def test_whoever_waits_for_the_shutdown_of_another_sees_its_end(nothing_left):
    for _ in range(30):
        ended = threading.Event()

        class Slow:
            def stop(self) -> None:
                time.sleep(0.02)
                ended.set()  # noqa: B023 - it is stopped in this turn.

        system = boot(components=[Slow])
        bus = system.bus
        seen = []

        def shut_down() -> None:
            system.shutdown()  # noqa: B023
            try:
                bus.topic("t")  # noqa: B023
            except StoppedError:
                seen.append(ended.is_set())  # noqa: B023

        threads = [threading.Thread(target=shut_down) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == [True] * 3


@pytest.mark.parametrize("timeout", ["3.0", "math.inf"])
def test_a_handler_that_shuts_down_in_the_middle_of_a_shutdown_does_not_wait_for_itself(
    tmp_path, timeout
):
    ended = boot_scripts.run(
        f"""
        import math, signal, threading
        signal.signal(signal.SIGUSR1, lambda *_: system.shutdown({timeout}))

        @symphony.component(main_thread=True)
        class Last:
            def stop(self):
                say("stopped")

        @symphony.component
        class Slow:
            def __init__(self, last: Last): pass
            def stop(self):
                os.kill(os.getpid(), signal.SIGUSR1)
                time.sleep(0.3)

        system = boot(components=[Last, Slow])
        system.shutdown({timeout})
        say("down")
        """,
        tmp_path,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "stopped\ndown\n", "")


def test_a_child_that_is_forked_while_given_up_work_goes_on_keeps_no_lock(workshop, tmp_path):
    ended = boot_scripts.run(
        """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        text = open("Symphony.toml").read()
        with boot(config="Symphony.toml") as system:
            for number in range(80_000):
                system.pit.artifacts.put(b"%d" % number, name=f"file-{number}")
        os.unlink(".symphony/artifact-store/index.redb")
        open("Symphony.toml", "w").write(text + '[system.phases.pit]\\ntimeout = "20ms"\\n')
        try: boot(config="Symphony.toml")
        except symphony.BootTimeoutError: pass
        open("Symphony.toml", "w").write(text)
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
        refused = 0
        end = time.monotonic() + 30
        while True:
            try:
                boot(config="Symphony.toml").shutdown()
                break
            except symphony.StateLockedError:
                refused += 1
                assert time.monotonic() < end, "the child keeps the lock"
                time.sleep(0.02)
        say(refused > 0)
        os.kill(child, 9)
        os.waitpid(child, 0)
        """,
        tmp_path,
    )
    assert (ended.returncode, ended.stdout) == (0, "True\n"), ended.stderr


@pytest.mark.parametrize("where", ["stop", "async stop", "health"])
def test_a_step_that_shuts_its_system_down_does_not_wait_for_itself(where, tmp_path):
    ended = boot_scripts.run(
        """
        class Base:
            def stop(self): say("base stopped")
        class Ends:
            def __init__(self, base: Base): pass
        def end():
            system.shutdown(float("inf"))
            say("back")
        async def end_later(self): end()
        if sys.argv[1] == "async stop": Ends.stop = end_later
        else: setattr(Ends, sys.argv[1], lambda self: end())
        asked = []
        if sys.argv[1] == "health":
            # The boot asks as well, before there is a system.
            Ends.health = lambda self: end() if asked else asked.append(1)
        system = boot(components=[Base, Ends])
        if sys.argv[1] == "health": system.health()
        system.shutdown(float("inf"))
        try: system.health()
        except symphony.StoppedError: say("stopped")
        """,
        tmp_path,
        where,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "back\nbase stopped\nstopped\n"


@pytest.mark.parametrize("seconds", ["float('inf')", "20"])
def test_a_shutdown_that_a_step_began_is_served_by_whoever_comes_next(seconds, tmp_path):
    ended = boot_scripts.run(
        f"""
        asked = []
        class Ends:
            def health(self):
                if asked:
                    time.sleep(0.6)
                    system.shutdown({seconds})
                asked.append(1)
        class Mine(symphony.Conductor):
            def stop(self): say("the Conductor's stop")
        system = boot(Mine, components=[Ends])
        # It ends before that step does: what the Conductor has to stop is then served by nobody.
        system.health(timeout=0.1)
        time.sleep(1.5)
        system.shutdown({seconds})
        try: system.health()
        except symphony.StoppedError: say("stopped")
        """,
        tmp_path,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "the Conductor's stop\nstopped\n"
