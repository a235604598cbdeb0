"""`symphony.testing.extension`: an extension in the test's process, behind a real lane."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
import time
import types

import pytest
from symphony import (
    BootError,
    CallTimeoutError,
    ComponentNotFoundError,
    ExtensionError,
    InvalidValueError,
    RemoteError,
    SymphonyError,
    SystemConfig,
)
from symphony.extension import Extension
from symphony.testing import RunningExtension, extension, no_leaks


def module_of(source: str, name: str = "lab") -> types.ModuleType:
    """A module with an extension of that name."""
    module = types.ModuleType(f"{name}_module")
    begin = f"from symphony.extension import Extension\nextension = Extension({name!r})\n"
    exec(compile(begin + textwrap.dedent(source), f"{name}.py", "exec"), vars(module))
    return module


LAB = """
import asyncio, os, threading
log = []

@extension.on_start
def up():
    log.append("up")

@extension.on_stop
async def down():
    log.append("down")

@extension.operation
def where(words: list) -> list:
    return [os.getpid(), threading.current_thread() is threading.main_thread(), words]

@extension.operation
async def later(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "later"

@extension.operation
def count(to: int):
    yield from range(to)

@extension.operation
async def count_later(to: int):
    for number in range(to):
        await asyncio.sleep(0)
        yield number

@extension.operation
def bad(word: str):
    raise KeyError(word)

@extension.operation
def keep(text: str) -> str:
    return extension.call("artifact-store.put", data=text)

@extension.operation
def tell(topic: str) -> None:
    extension.publish(topic, {"told": 1})
"""


def test_operations_of_every_kind_run_in_the_process_of_the_test():
    lab = module_of(LAB)
    with no_leaks():
        with extension(lab) as running:
            assert isinstance(running, RunningExtension)
            # A tuple arrives as a list: it went over a lane.
            assert running.call("where", words=(1, (2,))) == [os.getpid(), False, [1, [2]]]
            assert running.call("later", seconds=0.0) == "later"
            assert asyncio.run(running.call_async("later", seconds=0.01)) == "later"
            assert list(running.stream("count", to=300)) == list(range(300))
            assert list(running.stream("count_later", to=3)) == [0, 1, 2]
            assert running.call_many("count", [{"to": 2}, {"to": 0}]) == [[0, 1], []]
            assert (running.state, lab.log) == ("ready", ["up"])
            assert running.operations() == list(lab.extension.operations)
        assert lab.log == ["up", "down"]
        running.close()
    with pytest.raises(RuntimeError, match="not served"):
        lab.extension.call("artifact-store.get", id="x")


def test_errors_come_as_from_a_process_and_cost_one_call():
    with extension(module_of(LAB)) as running:
        with pytest.raises(RemoteError, match="no such word") as caught:
            running.call("bad", word="no such word")
        assert caught.value.type_name == "KeyError"
        assert "lab.py" in caught.value.traceback
        with pytest.raises(RemoteError, match="does not know `too`"):
            running.call("count", to=1, too=2)
        with pytest.raises(TypeError):
            running.call("where", words=object())
        with pytest.raises(CallTimeoutError):
            running.options(timeout=0.05).call("later", seconds=5.0)
        assert running.call("later", seconds=0.0) == "later"


def test_an_unhandled_exit_ends_the_extension_and_not_the_test():
    lab = module_of(
        """
        import sys
        log = []
        extension.on_stop(lambda: log.append("down"))

        @extension.operation
        def leave(code: int):
            sys.exit(code)

        @extension.operation
        async def leave_later(code: int):
            sys.exit(code)

        @extension.operation
        def hello() -> str:
            return "hello"
        """
    )
    with extension(lab) as running:
        for operation in ("leave", "leave_later"):
            with pytest.raises(ExtensionError):
                running.call(operation, code=3)
            # It is started again.
            assert running.call("hello") == "hello"
        assert lab.log == ["down", "down"]


def test_it_reaches_the_pit_and_the_bus_of_its_system():
    with extension(module_of(LAB)) as running:
        kept = running.call("keep", text="a text")
        assert running.system.pit.artifacts.get(kept) == b"a text"
        values = running.system.bus.topic("news").subscribe()
        running.call("tell", topic="news")
        assert next(values) == {"told": 1}
        values.close()
    with extension(module_of(LAB), calls=["artifact-store.get"]) as running:
        with pytest.raises(RemoteError, match="may not call"):
            running.call("keep", text="a text")


def test_a_start_that_fails_is_raised_with_what_the_hook_raised(capfd):
    lab = module_of(
        """
        @extension.on_start
        def up():
            raise OSError("no model")

        @extension.operation
        def hello() -> str:
            return "hello"
        """
    )
    with no_leaks():
        with pytest.raises(ExtensionError, match="no model"):
            extension(lab)
    assert "OSError: no model" in capfd.readouterr().err


def test_a_stop_that_fails_is_told_and_hides_nothing(capfd):
    lab = module_of(
        """
        @extension.on_stop
        def down():
            raise OSError("no room")

        @extension.operation
        def hello() -> str:
            return "hello"
        """
    )
    with pytest.raises(ExtensionError, match="on_stop"), extension(lab) as running:
        running.call("hello")
    assert "OSError: no room" in capfd.readouterr().err
    with pytest.raises(ZeroDivisionError), extension(lab):
        _ = 1 / 0


def test_an_operation_that_does_not_end_is_left_by_the_stop():
    begun = threading.Event()
    lab = module_of("")

    @lab.extension.operation
    def spin():
        begun.set()
        while True:
            time.sleep(0.001)

    def call(running):
        with pytest.raises(SymphonyError):
            running.call("spin")

    with no_leaks():
        with extension(lab) as running:
            caller = threading.Thread(target=call, args=(running,))
            caller.start()
            assert begun.wait(10)
        caller.join(10)
        assert not caller.is_alive()


def test_restart_runs_the_hooks_again():
    lab = module_of(LAB)
    with extension(lab) as running:
        running.restart()
        assert lab.log == ["up", "down", "up"]
        assert running.call("later", seconds=0.0) == "later"


def test_the_module_is_given_as_it_is_or_by_name(tmp_path, monkeypatch):
    (tmp_path / "named.py").write_text(
        "from symphony.extension import Extension\n"
        "one = Extension('one')\ntwo = Extension('two')\n"
        "@one.operation\ndef a() -> int: return 1\n"
        "@two.operation\ndef b() -> int: return 2\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with extension("named:one") as running:
        assert running.call("a") == 1
    with extension(sys.modules["named"].two) as running:
        assert running.call("b") == 2
    for wrong in ("named", "named:nobody", types.ModuleType("empty"), 7):
        with pytest.raises((InvalidValueError, AttributeError)):
            extension(wrong)


def test_the_manifest_beside_the_module_holds(workshop):
    workshop.extension(
        "noted",
        """
        @extension.operation
        def keep(text: str) -> str:
            return extension.call("artifact-store.put", data=text)

        @extension.operation
        def ask(text: str) -> str:
            return extension.call("other.echo", value=text)
        """.replace("\n        ", "\n"),
        '[extension.permissions]\ncalls = ["other.*"]\n',
    )
    workshop.extension("other", "@extension.operation\ndef echo(value):\n    return value\n")
    folder = workshop.folder / "extensions" / "noted"
    sys.path.insert(0, str(folder))
    try:
        with extension("noted") as running:
            with pytest.raises(RemoteError, match="may not call"):
                running.call("keep", text="a")
        # The other one is called where it is in the system, and runs in a process of its own.
        with extension("noted", config=workshop.config) as running:
            assert running.call("ask", text="b") == "b"
            assert running.system.kit.extension("other").pid != os.getpid()
            assert running.handle.pid == os.getpid()
        with pytest.raises(ComponentNotFoundError):
            extension(module_of(LAB, "absent"), config=workshop.config)
        # What a configuration says of the artifact store is its own too.
        limits = SystemConfig(workshop.config, store={"keep": "30"})
        with pytest.raises(BootError, match=r"system\.store"):
            extension("noted", config=limits)
        (folder / "Symphony.toml").write_text('[extension]\nname = "noted"\nentri = "x"\n')
        with pytest.raises(ExtensionError, match="entri"):
            extension("noted")
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("noted", None)


def test_a_process_that_never_closes_it_ends_by_itself(tmp_path):
    script = (
        "from symphony.extension import Extension\nfrom symphony.testing import extension\n"
        "e = Extension('lab')\n@e.operation\ndef hello() -> str: return 'hello'\n"
        "running = extension(e)\nprint(running.call('hello'))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "hello\n"), ran.stderr
    assert not list(tmp_path.iterdir())


def test_an_extension_without_operations_is_refused():
    with pytest.raises(InvalidValueError, match="no operations"):
        extension(Extension("empty"))
