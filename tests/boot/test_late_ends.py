"""A step that ends after it was given up and its boot has failed: what started is stopped, and nothing is left."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import boot_scripts
import pytest
from symphony import BootTimeoutError, boot, component
from symphony.testing import MockComponent, no_leaks
from workshop import wait_until


class Held:
    """What the steps of one test wait for, and what they did."""

    def __init__(self):
        self.free = threading.Event()
        self.calls = []
        self.objects = []

    def wait(self):
        assert self.free.wait(30)

    async def wait_stubbornly(self):
        """Waits, whatever it is told."""
        import asyncio

        while not self.free.is_set():
            try:
                await asyncio.sleep(0.005)
            except asyncio.CancelledError:
                self.calls.append("cancelled")


def on_its_own_thread(held):
    @component(timeout=0.05)
    class Late:
        def start(self):
            held.objects.append(weakref.ref(self))
            held.wait()
            held.calls.append("started")

        def stop(self):
            held.calls.append("stopped")

    return Late


def built_late(held):
    """What has no `start` has started once it is built."""

    @component(timeout=0.05)
    class Late:
        def __init__(self):
            held.objects.append(weakref.ref(self))
            held.wait()
            held.calls.append("started")

        def stop(self):
            held.calls.append("stopped")

    return Late


def generator(held):
    class Made:
        pass

    @component(timeout=0.05)
    def late():
        held.wait()
        made = Made()
        held.objects.append(weakref.ref(made))
        held.calls.append("started")
        yield made
        held.calls.append("stopped")

    from collections.abc import Iterator

    late.__annotations__["return"] = Iterator[Made]
    return late


def asynchronous(held):
    @component(timeout=0.05)
    class Late:
        async def start(self):
            held.objects.append(weakref.ref(self))
            await held.wait_stubbornly()
            held.calls.append("started")

        async def stop(self):
            import asyncio

            await asyncio.sleep(0)
            held.calls.append("stopped")

    return Late


def blocking_its_loop(held):
    @component(timeout=0.05)
    class Late:
        async def start(self):
            held.objects.append(weakref.ref(self))
            held.wait()
            held.calls.append("started")

        async def stop(self):
            held.calls.append("stopped")

    return Late


def async_generator(held):
    class Made:
        pass

    @component(timeout=0.05)
    async def late():
        await held.wait_stubbornly()
        made = Made()
        held.objects.append(weakref.ref(made))
        held.calls.append("started")
        yield made
        held.calls.append("stopped")

    from collections.abc import AsyncIterator

    late.__annotations__["return"] = AsyncIterator[Made]
    return late


KINDS = [
    on_its_own_thread,
    built_late,
    generator,
    asynchronous,
    blocking_its_loop,
    async_generator,
]


@pytest.mark.parametrize("make", KINDS)
def test_a_start_that_ends_after_the_boot_has_failed_is_stopped_once(make):
    held = Held()
    with no_leaks():
        with pytest.raises(BootTimeoutError):
            boot(components=[make(held)])
        assert "started" not in held.calls
        held.free.set()
        assert wait_until(lambda: "stopped" in held.calls)
    assert [call for call in held.calls if call != "cancelled"] == ["started", "stopped"]
    assert wait_until(lambda: (gc.collect(), held.objects[0]())[1] is None), "it is held for ever"


def test_what_was_being_built_is_neither_started_nor_stopped():
    slow = MockComponent("Slow", hang="init", timeout=0.05)
    with no_leaks():
        with pytest.raises(BootTimeoutError):
            boot(components=[slow])
        slow.release()
    assert slow.calls == ["init"]


def test_a_start_that_fails_after_the_boot_has_failed_leaves_nothing():
    slow = MockComponent("Slow", hang="start", fail="start", timeout=0.05)
    with no_leaks():
        with pytest.raises(BootTimeoutError):
            boot(components=[slow])
        slow.release()
    assert slow.calls == ["init", "start"]


def test_an_optional_start_that_ends_after_the_shutdown_is_stopped():
    slow = MockComponent("Slow", hang="start", timeout=0.05, required=False)
    with no_leaks():
        system = boot(components=[slow])
        system.shutdown()
        del system
        slow.release()
        assert wait_until(lambda: "stop" in slow.calls)
    assert slow.calls == ["init", "start", "stop"]


def test_a_stop_that_ends_after_the_shutdown_leaves_nothing():
    slow = MockComponent("Slow", hang="stop")
    with no_leaks():
        system = boot(components=[slow])
        system.shutdown(timeout=0.3)
        del system
        slow.release()


def test_a_start_on_the_calling_thread_that_ends_late_is_stopped_there():
    calls = []

    @component(main_thread=True, timeout=0.05)
    class Late:
        def start(self):
            end = time.monotonic() + 0.4
            while time.monotonic() < end:
                try:
                    time.sleep(0.4)
                except BaseException:
                    calls.append("interrupted")
            calls.append("started")

        def stop(self):
            calls.append(threading.current_thread() is threading.main_thread())

    with no_leaks(), pytest.raises(BootTimeoutError):
        boot(components=[Late])
    # It may be interrupted more than once.
    assert calls[0] == "interrupted"
    assert [call for call in calls if call != "interrupted"] == ["started", True]


@pytest.mark.parametrize("left", ["start", "init", "stop", "async"])
def test_a_process_with_a_step_that_never_ends_ends_by_itself(left, tmp_path):
    ended = boot_scripts.run(
        """
        from symphony.testing import MockComponent
        left = sys.argv[1]
        if left == "async":
            @component(timeout=0.05)
            class Slow:
                async def start(self):
                    while True:
                        try: time.sleep(60)
                        except BaseException: pass
        else:
            Slow = MockComponent("Slow", hang=left, timeout=0.05)
        try:
            boot(components=[Slow]).shutdown(timeout=0.3)
        except BootTimeoutError:
            say("failed")
        say("end", time.monotonic())
        sys.exit(7)
        """,
        tmp_path,
        left,
    )
    over = time.monotonic()
    told = "symphony: `Slow` did not stop: it did not end within 100 ms\n" if left == "stop" else ""
    assert (ended.returncode, ended.stderr) == (7, told)
    assert ("failed" in ended.stdout) == (left != "stop")
    assert over - float(ended.stdout.split()[-1]) < 4 * 1.0


@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
@pytest.mark.parametrize("kind", ["async", "thread"])
def test_what_a_start_raises_that_was_given_up_is_told_with_its_traceback(kind, required, tmp_path):
    ended = boot_scripts.run(
        """
        class Late:
            async def start(self):
                import asyncio
                try: await asyncio.sleep(60)
                except asyncio.CancelledError: raise ValueError("my own cleanup failed") from None
        class Held:
            def start(self):
                time.sleep(0.4)
                raise ValueError("my own cleanup failed")
        late = symphony.component(required=sys.argv[2] == "True")
        try: boot(components=[late(Late if sys.argv[1] == "async" else Held)], timeout=0.2)
        except symphony.BootTimeoutError as error: say(error.rollback_errors)
        time.sleep(0.5)
        """,
        tmp_path,
        kind,
        str(required),
    )
    assert (ended.returncode, ended.stdout) == (0, "()\n"), ended.stderr
    assert ended.stderr.count("ValueError: my own cleanup failed") == 1
    assert "raised in its start\nTraceback" in ended.stderr


def test_a_start_that_only_ends_when_it_is_given_up_says_nothing(tmp_path):
    ended = boot_scripts.run(
        """
        class Late:
            async def start(self):
                import asyncio
                await asyncio.sleep(60)
        try: boot(components=[Late], timeout=0.2)
        except symphony.BootTimeoutError: say("late")
        """,
        tmp_path,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "late\n", "")
