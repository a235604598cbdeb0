"""A step is awaited where it returns an awaitable, whatever its method is, and never dropped in silence."""

from __future__ import annotations

import asyncio
import functools

import pytest
from symphony import BootError, Health, UnhealthyError, boot, component
from workshop import run_python

pytestmark = [pytest.mark.usefixtures("nothing_left"), pytest.mark.timeout(60)]


class Decorated:
    """A decorator that makes no function, and one whose objects are called through instances only."""

    def __init__(self, function) -> None:
        self.function = function

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self.function, instance)


class Callable(Decorated):
    def __call__(self, *arguments):
        return self.function(*arguments)


async def noted(self, step: str = "start") -> None:
    await asyncio.sleep(0)
    self.done.append(step)


class Delegates:
    def start(self):
        return noted(self, "start")

    def health(self):
        return noted(self, "health")

    def stop(self):
        return noted(self, "stop")


class OfObjects:
    start = Decorated(noted)
    health = Decorated(functools.partial(noted, step="health"))
    stop = Decorated(functools.partial(noted, step="stop"))


class OfCallables:
    start = Callable(noted)
    health = Callable(functools.partial(noted, step="health"))
    stop = Callable(functools.partial(noted, step="stop"))


class OfPartials:
    start = functools.partialmethod(noted, "start")
    health = functools.partialmethod(noted, "health")
    stop = functools.partialmethod(noted, "stop")


@pytest.mark.parametrize("base", [Delegates, OfObjects, OfCallables, OfPartials])
def test_every_step_that_returns_an_awaitable_is_awaited(base):
    done = []

    class Part(base):
        def __init__(self) -> None:
            self.done = done

    with boot(components=[Part]):
        assert done == ["start", "health"]
    assert done == ["start", "health", "stop"]


def test_what_a_function_made_is_awaited_too():
    done = []

    class Part(Delegates):
        pass

    def part() -> Part:
        made = Part()
        made.done = done
        return made

    with boot(components=[part]):
        pass
    assert done == ["start", "health", "stop"]


def test_what_the_awaitable_gives_is_the_health():
    class Poor:
        def health(self):
            async def asked() -> Health:
                return Health.unhealthy("on purpose")

            return asked()

    with pytest.raises(UnhealthyError, match="on purpose"):
        boot(components=[Poor])


def test_on_the_thread_that_boots_it_is_an_error_that_says_what_to_do():
    done = []

    @component(main_thread=True)
    class Part(Delegates):
        def __init__(self) -> None:
            self.done = done

    with pytest.raises(BootError) as raised:
        boot(components=[Part])
    text = str(raised.value.__cause__)
    assert "its `start()` returned an awaitable" in text
    assert "leave out `main_thread=True`" in text
    assert done == []


def test_values_that_are_called_as_the_steps_are_no_steps():
    class Span:
        stop: int = 5

        @property
        def start(self) -> int:
            raise AssertionError("a property is read by nobody")

        @functools.cached_property
        def health(self) -> int:
            raise AssertionError("a property is read by nobody")

    with boot(components=[Span]) as system:
        assert system[Span].stop == 5


class Anything:
    """As proxies and mocks are: whatever it is asked for, it has."""

    def __getattr__(self, name: str):
        return lambda *arguments: None


def test_what_has_any_attribute_is_not_awaited_for_that():
    class Fluent(Anything):
        def start(self):
            return self

        def health(self):
            return True

        def stop(self):
            return self

    with boot(components=[Fluent]) as system:
        assert system[Fluent].start() is system[Fluent]


def test_a_shortage_at_the_first_awaitable_costs_that_step_and_leaves_nothing():
    done = run_python(
        """
        import asyncio, gc, os, resource, sys, time, warnings
        from symphony import BootError, boot
        told = []
        warnings.simplefilter("error", RuntimeWarning)
        sys.unraisablehook = lambda about: told.append(str(about.exc_value))

        class Greedy:
            def start(self):
                self.held = []
                try:
                    while True:
                        self.held.append(os.open("/dev/null", os.O_RDONLY))
                except OSError:
                    return self.later()

            async def later(self):
                pass

        def kept():
            return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        greedy, counts = Greedy(), []
        for _ in range(3):
            try:
                boot(components=[greedy])
            except BootError as error:
                assert isinstance(error.__cause__, OSError), error.__cause__
            for number in greedy.held:
                os.close(number)
            counts.append(kept())
        end = time.monotonic() + 20
        while kept() > min(counts) and time.monotonic() < end:
            time.sleep(0.02)
        gc.collect()
        assert kept() <= min(counts), counts
        assert not [text for text in told if "never awaited" in text], told
        print("fine")
        """
    )
    assert done.stdout == "fine\n", done.stderr
