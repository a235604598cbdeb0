"""What finds no memory costs the call that asked for it: a `MemoryError`, and the lane and the system go on."""

from __future__ import annotations

import pytest
from workshop import Workshop, run_python

GUEST = """
import resource


@extension.operation
def big(n: int) -> bytes:
    return b"x" * n


@extension.operation
def text(n: int) -> str:
    return "x" * n


@extension.operation
def length(v: bytes) -> int:
    return len(v)


@extension.operation
def pieces(n: int):
    yield b"1"
    yield b"x" * n


@extension.operation
def tell(n: int) -> None:
    extension.publish("told", b"x" * n)


@extension.operation
def limited(room: int) -> int:
    with open("/proc/self/statm") as status:
        used = int(status.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))
    return used
"""
BEGIN = """
import contextlib
import resource

from symphony import boot

SIZE = 60 << 20
# More than the allocator keeps aside for another thread.
MORE = 100 << 20
NONE = resource.RLIM_INFINITY


@contextlib.contextmanager
def room(bytes):
    with open("/proc/self/statm") as status:
        used = int(status.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + bytes, NONE))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (NONE, NONE))


def outcome(call):
    try:
        call()
    except BaseException as error:
        return type(error).__name__
    return "done"
"""
IN_THE_ROOT = (
    BEGIN
    + """
import sys

with boot(config="Symphony.toml") as system:
    guest = system.kit.extension("guest")
    artifact = system.pit.artifacts.put(b"y" * MORE)
    assert guest.call("length", v=b"12") == 2
    assert outcome(lambda: system.pit.artifacts.get("0" * 64)) == "NotFoundError"
    buffer, more = bytearray(SIZE), bytearray(MORE)
    file = system.pit.artifacts.open(artifact)
    call = {
        "result": lambda: guest.call("big", n=SIZE),
        "text": lambda: guest.call("text", n=SIZE),
        "items": lambda: list(guest.stream("pieces", n=SIZE)),
        "get": lambda: system.pit.artifacts.get(artifact),
        "read": file.read,
        "put": lambda: system.pit.artifacts.put(more),
        "send": lambda: guest.call("length", v=buffer),
        "loan": lambda: system.bus.loan(MORE),
    }[sys.argv[1]]
    for space in (4 << 20, 24 << 20, 40 << 20):
        with room(space):
            found = outcome(call)
        # What the allocator kept of the first attempt may be enough for a later one.
        assert found == "MemoryError" or space > 4 << 20, (space, found)
        assert guest.call("length", v=b"123") == 3, space
    assert outcome(call) == "done"
    assert guest.state == "ready"
"""
)
AN_EVENT = (
    BEGIN
    + """
with boot(config="Symphony.toml") as system:
    guest = system.kit.extension("guest")
    told = system.bus.topic("told").subscribe()
    guest.call("tell", n=1)
    assert next(told) == b"x"
    with room(8 << 20):
        guest.call("tell", n=SIZE)
    guest.call("tell", n=3)
    assert next(told) == b"xxx"
"""
)
IN_THE_GUEST = (
    BEGIN
    + """
with boot(config="Symphony.toml") as system:
    guest = system.kit.extension("guest")
    guest.call("limited", room=8 << 20)
    pid = guest.pid
    for _ in range(3):
        try:
            guest.call("length", v=b"x" * SIZE)
        except BaseException as error:
            print(type(error).__name__, error.type_name)
        assert guest.call("length", v=b"123") == 3
    assert outcome(lambda: guest.call("big", n=SIZE)) == "RemoteError"
    assert guest.pid == pid
"""
)


@pytest.fixture
def folder(workshop: Workshop):
    workshop.extension("guest", GUEST)
    return workshop.folder


@pytest.mark.timeout(120)
@pytest.mark.parametrize("what", ["result", "text", "items", "get", "read", "put", "send", "loan"])
def test_what_finds_no_memory_in_the_root_is_a_memory_error(folder, what):
    run = run_python(IN_THE_ROOT, what, cwd=folder)
    assert run.returncode == 0, run.stderr


@pytest.mark.timeout(120)
def test_an_event_that_finds_no_memory_is_lost_and_the_next_one_comes(folder):
    run = run_python(AN_EVENT, cwd=folder)
    assert run.returncode == 0, run.stderr


@pytest.mark.timeout(120)
def test_inputs_that_find_no_memory_in_an_extension_fail_that_call(folder):
    run = run_python(IN_THE_GUEST, cwd=folder)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == ["RemoteError MemoryError"] * 3
