"""Native extensions of the example behind the same handle: a program, and a library in here."""

from __future__ import annotations

import ast
import asyncio
import subprocess

import pytest
from kit_processes import running
from symphony.exceptions import RemoteError, UnknownOperationError
from workshop import IDE, descendants, run_python, write

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
        handle.call(operation, source=object())
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


SIGNALS = """
import os
import signal
import subprocess
import sys

@extension.operation
def own() -> list:
    return [line.split()[1] for line in open("/proc/self/status") if line.startswith(("SigIgn", "SigBlk"))]

@extension.operation
def of_a_program() -> list:
    done = subprocess.run(["/bin/cat", "/proc/self/status"], capture_output=True, text=True, restore_signals=True)
    return [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("SigIgn", "SigBlk"))]

@extension.operation
def after_ctrl_c() -> bool:
    os.kill(os.getpid(), signal.SIGINT)
    return True
"""
IGNORING = """
    import signal, sys

    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGALRM})
    from symphony import boot
    from symphony.exceptions import ExtensionError

    with boot(config=sys.argv[1]) as system:
        python = system.kit.extension("python")
        print([python.call(asked) for asked in ("own", "of_a_program", "after_ctrl_c")])
        try:
            system.kit.extension("native").call("any")
        except ExtensionError:
            pass
"""
NATIVE_LOOK = """#!/bin/sh
while read -r line; do
    case "$line" in Sig[IB]*) echo "$line" >> "$(dirname "$0")/signals" ;; esac
done < /proc/self/status
exit 1
"""


def masks(words):
    """The signals of these lines, but for the two that are the C library's own and that nobody can set."""
    return [int(word, 16) & ~(3 << 31) for word in words]


def test_whoever_starts_begins_with_its_signals_at_their_defaults(workshop):
    workshop.extension(
        "python", SIGNALS, '[extension.permissions]\nrun = ["cat"]\nread = ["/proc"]\n'
    )
    folder = workshop.folder / "extensions" / "native"
    program = write(folder / "look", NATIVE_LOOK)
    program.chmod(0o755)
    write(
        folder / "Symphony.toml",
        '[extension]\nname = "native"\nversion = "0.1.0"\ncommand = ["./look"]\noperations = ["any"]\n'
        '[extension.permissions]\nrun = ["dirname"]\nwrite = ["signals"]\n',
    )
    write(folder / "signals", "")
    done = run_python(IGNORING, str(workshop.config))
    assert done.returncode == 0, done.stderr
    own, of_a_program, survived = ast.literal_eval(done.stdout)
    assert masks(own) == [0, (1 << 12) | (1 << 24)]
    assert masks(of_a_program) == [0, 0]
    assert survived
    told = (folder / "signals").read_text().splitlines()
    assert masks(line.split()[1] for line in told) == [0, 0]
