"""The end of a system: twice, from anywhere, at exit; and its handles in a forked child."""

from __future__ import annotations

import threading

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
