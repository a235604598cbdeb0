"""Native extensions of the example behind the same handle: a program, and a library in here."""

from __future__ import annotations

import asyncio
import subprocess

import pytest
from kit_processes import running
from symphony.exceptions import RemoteError, UnknownOperationError
from workshop import IDE, descendants

NATIVE = {"lines": "count", "words": "words"}
BUILT = (IDE / "extensions/lines/lines", IDE / "extensions/words/libwords.so")


@pytest.fixture(scope="module")
def system(shared_workshop):
    if not all(file.exists() for file in BUILT):
        subprocess.run(["sh", str(IDE / "build.sh")], check=True)
    folders = [f'"{IDE}/extensions/{name}"' for name in NATIVE]
    shared_workshop.system("", f"[{', '.join(folders)}]")
    with running(shared_workshop) as system:
        yield system


def test_only_the_program_has_a_process(system):
    before = len(descendants())
    assert system.kit.extension("words").call("words", source="a b a")["distinct"] == 2
    assert system.kit.extension("words").pid is None
    assert len(descendants()) == before
    assert system.kit.extension("lines").call("count", source="a\n\nb")["total"] == 3
    assert system.kit.extension("lines").pid in descendants()


@pytest.mark.parametrize("name", NATIVE)
def test_the_handle_is_the_same(system, name):
    handle, operation = system.kit.extension(name), NATIVE[name]
    value = handle.call(operation, source="a b")
    assert list(handle.stream(operation, source="a b")) == [value]
    first, second = handle.call_many(operation, [{"source": "a b"}, {"source": 1}])
    assert first == value
    assert isinstance(second, RemoteError)

    async def gathered():
        return await asyncio.gather(
            *[handle.call_async(operation, source="a b") for _ in range(50)]
        )

    assert asyncio.run(gathered()) == [value] * 50
    with pytest.raises(RemoteError):
        handle.call(operation)
    with pytest.raises(TypeError):
        handle.call(operation, source={1})
    with pytest.raises(UnknownOperationError) as caught:
        handle.call(operation[:-1], source="a")
    assert caught.value.hints == (f"did you mean `{operation}`?",)
    assert handle.call(operation, source="abc " * 1_250_000)
    assert handle.call(operation, source="a b") == value


def test_a_library_is_restarted_like_a_process(system):
    words = system.kit.extension("words")
    words.restart()
    assert words.state == "ready"
    assert words.call("words", source="a")["names"] == 1
