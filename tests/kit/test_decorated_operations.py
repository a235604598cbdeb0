"""What is called says whether an operation is awaited or streamed; what it wraps says which inputs it takes."""

from __future__ import annotations

import pytest
from kit_processes import running
from symphony.exceptions import RemoteError
from symphony.extension import OperationDescription
from workshop import Workshop

pytestmark = pytest.mark.timeout(120)

SOURCE = """
import asyncio, contextlib, functools

def wrapping(kind):
    def decorate(f):
        if kind == "plain":
            def wrapper(*args, **kwargs): return f(*args, **kwargs)
        elif kind == "runs":
            def wrapper(*args, **kwargs): return asyncio.run(f(*args, **kwargs))
        elif kind == "thread":
            async def wrapper(*args, **kwargs): return await asyncio.to_thread(f, *args, **kwargs)
        elif kind == "lists":
            def wrapper(*args, **kwargs): return {"all": list(f(*args, **kwargs))}
        elif kind == "streams":
            def wrapper(*args, **kwargs): yield from f(*args, **kwargs)
        elif kind == "async-streams":
            async def wrapper(*args, **kwargs):
                async for value in f(*args, **kwargs): yield value * 10
        return functools.wraps(f)(wrapper)
    return decorate

@extension.operation
@wrapping("plain")
@wrapping("plain")
async def awaited(x: int) -> int:
    await asyncio.sleep(0)
    return x + 1
@extension.operation
@wrapping("runs")
@wrapping("thread")
def ran(x: int) -> int: return x + 1
@extension.operation
@wrapping("plain")
def generated(x: int):
    yield x + 1
    yield x + 2
@extension.operation
@wrapping("plain")
async def generated_later(x: int):
    yield x + 1
    yield x + 2
@extension.operation
@wrapping("async-streams")
async def tenfold(x: int):
    yield x + 1
    yield x + 2
@extension.operation
@wrapping("lists")
def listed(x: int):
    yield x + 1
@extension.operation
@wrapping("streams")
def streamed(x: int): return [x + 1]
@extension.operation
@functools.lru_cache
def cached(x: int) -> int: return x + 1
@contextlib.contextmanager
def around(): yield
@extension.operation
@around()
def managed(x: int) -> int: return x + 1
async def raised(y: int, x: int) -> int: return x + y
extension.operation(name="part")(functools.partial(raised, 1))
extension.operation(name="preset")(functools.partial(raised, y=1))
class Adds:
    def __init__(self, y): self.y = y
    async def __call__(self, x: int) -> int: return x + self.y
    @wrapping("plain")
    def method(self, x: int) -> int: return x + self.y
extension.operation(name="object")(Adds(1))
extension.operation(Adds(1).method)
class Fault(Exception): pass
@extension.operation
@wrapping("plain")
async def fails(x: int) -> int: raise Fault("of the coroutine")
@extension.operation
def a_future(x: int): return asyncio.sleep(0, x + 1)
"""

CALLED = {
    "awaited": 2,
    "ran": 2,
    "generated": [2, 3],
    "generated_later": [2, 3],
    "tenfold": [20, 30],
    "listed": {"all": [2]},
    "streamed": [2],
    "cached": 2,
    "managed": 2,
    "part": 2,
    "preset": 2,
    "object": 2,
    "method": 2,
    "a_future": 2,
}


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    workshop = Workshop(tmp_path_factory.mktemp("decorated"))
    workshop.extension("sample", SOURCE)
    with running(workshop) as system:
        yield system.kit.extension("sample").options(timeout=20)


@pytest.mark.parametrize("operation", CALLED)
def test_it_is_called_as_python_calls_it(handle, operation):
    right = CALLED[operation]
    assert handle.call(operation, x=1) == right
    assert list(handle.stream(operation, x=1)) == (right if isinstance(right, list) else [right])


@pytest.mark.parametrize("operation", CALLED)
def test_its_inputs_are_those_of_what_it_wraps(handle, operation):
    with pytest.raises(RemoteError, match=r"lacks `x`.*does not know `z`"):
        handle.call(operation, z=1)


def test_a_preset_input_may_be_given(handle):
    assert handle.call("preset", x=1, y=5) == 6


def test_what_a_wrapped_coroutine_raises_is_its_answer(handle):
    with pytest.raises(RemoteError, match="of the coroutine"):
        handle.call("fails", x=1)


def test_a_signature_that_a_decorator_wrote_is_the_one_that_counts():
    import inspect

    def written(**inputs):
        return inputs

    written.__signature__ = inspect.signature(lambda first, *, second=2: None)
    description = OperationDescription("written", written)
    assert (description.required, description.optional) == (("first",), ("second",))
    assert not description.takes_any
