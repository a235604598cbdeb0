"""A step that hangs: the error names it with its stack, and the process ends by itself."""

from __future__ import annotations

import time

import boot_scripts
import pytest

SCRIPT = """
where, how = sys.argv[1].split("-")
held = threading.Lock(); held.acquire()
def sleep(): time.sleep(60)
def loop():
    while True: pass
def lock(): held.acquire()
def swallow():
    while True:
        try:
            while True: pass
        except BaseException: pass
hang = globals()[how]
class Base:
    def stop(self): say("base stopped")
@component(timeout=0.3)
class Init:
    def __init__(self, base: Base): hang()
@component(timeout=0.3)
class Start:
    def __init__(self, base: Base): pass
    def start(self): hang()
@component(timeout=0.3)
class Async:
    def __init__(self, base: Base): pass
    async def start(self):
        import asyncio
        await asyncio.sleep(60) if how == "sleep" else hang()
def make(kit: symphony.OrchestraKit, base: Base): hang()
began = time.monotonic()
try:
    if where == "factory":
        boot(make, components=[Base], timeout=0.6)
    elif where == "prepare":
        boot(components=[Base], timeout=0.6, prepare=hang)
    elif where == "import":
        open("hanging.py", "w").write("import __main__; __main__.hang()")
        boot("hanging:make", components=[Base], timeout=0.6)
    elif where == "thread":
        caught = []
        def work():
            try: boot(make, components=[Base], timeout=0.6)
            except BootTimeoutError as error: caught.append(error)
        thread = threading.Thread(target=work); thread.start(); thread.join()
        raise caught[0]
    else:
        boot(components=[Base, globals()[where]])
except BootTimeoutError as error:
    say("after", time.monotonic() - began)
    say(error.code, error.component, isinstance(error, TimeoutError), error.report is not None)
    say(error)
say("end", time.monotonic())
sys.exit(7)
"""

CASES = [
    f"{where}-{how}" for where in ("Init", "Start") for how in ("sleep", "loop", "lock", "swallow")
]
CASES += [
    f"{where}-{how}" for where in ("factory", "import", "prepare") for how in ("sleep", "loop")
]
CASES += ["factory-lock", "thread-loop", "Async-sleep", "Async-loop"]


@pytest.mark.parametrize("case", CASES)
def test_a_step_that_hangs(case, tmp_path):
    ended = boot_scripts.run(SCRIPT, tmp_path, case)
    over = time.monotonic()
    where, how = case.split("-")
    words = dict(line.split(" ", 1) for line in ended.stdout.splitlines() if " " in line)
    assert ended.returncode == 7, (ended.stdout, ended.stderr)
    assert ended.stderr == ""
    assert "base stopped" in ended.stdout
    deadline = 0.3 if where in ("Init", "Start", "Async") else 0.6
    # The rollback of a step that swallows everything may take its own half second.
    assert float(words["after"]) < deadline + 4 * 0.25 + 0.5
    assert over - float(words["end"]) < 4 * 1.0
    name = {"thread": "make", "factory": "make", "prepare": "Conductor", "import": "make"}
    assert f"start-timeout {name.get(where, where)} True True" in ended.stdout
    assert "was still in its start after" in ended.stdout
    place = "start" if case == "Async-sleep" else how
    assert f"script.py:{line_of(place, where)} in {place}" in ended.stdout
    assert "/symphony/_" not in ended.stdout
    if where in ("prepare", "import"):
        assert (
            "the calling thread is in `" + ("prepare" if where == "prepare" else "import")
            in ended.stdout
        )


def line_of(name: str, where: str) -> int:
    """The line at which a hanging function stands, as near as it can be told."""
    lines = (boot_scripts.PREAMBLE + SCRIPT).splitlines()
    found = {
        "sleep": "def sleep",
        "lock": "def lock",
        "loop": "while True: pass",
        "swallow": "            while True: pass",
        "start": "        await asyncio",
    }
    return next(number for number, line in enumerate(lines, 1) if found[name] in line)


def test_a_main_thread_stop_that_hangs_does_not_keep_the_shutdown(tmp_path):
    ended = boot_scripts.run(
        """
        @component(main_thread=True)
        class Main:
            def stop(self):
                say("stopping"); time.sleep(60)
        system = boot(components=[Main])
        began = time.monotonic()
        system.shutdown(timeout=0.9)
        say("down", time.monotonic() - began < 4 * 0.9)
        sys.exit(4)
        """,
        tmp_path,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (4, "stopping\ndown True\n", "")


def test_the_message_says_what_had_finished_and_the_hint_what_to_do(tmp_path):
    ended = boot_scripts.run(
        SCRIPT.replace("say(error)", "say(error); say(*error.hints)"), tmp_path, "Init-sleep"
    )
    assert "had started by then" in ended.stdout
    assert "`Base`" in ended.stdout
    assert "give `Init` a longer `timeout` if it needs more than 300 ms" in ended.stdout
