"""Boots in which one step hangs, each in a process of its own, and what is promised of every one of them.

`test_deadlines` holds them with four times slack, several at a time; `tests/soak/test_hangs.py` one by one and exactly.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boot_scripts
from workshop import ECHO, Workshop

SCRIPT = """
import socket as sockets, subprocess, typing
where, how = sys.argv[1].split("-")
held = threading.Lock(); held.acquire()
near, far = sockets.socketpair()
kept = []
def sleep(): time.sleep(60)
def loop():
    while True: pass
def lock(): held.acquire()
def socket(): near.recv(1)
def child():
    kept.append(subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    try: kept[0].wait()
    finally: kept[0].kill()
def swallow():
    while True:
        try:
            while True: pass
        except BaseException: pass
def hang():
    # The whole system is up by now, or soon: what it consists of has to be gone afterwards.
    while len(found := everything_below()) < 2: time.sleep(0.01)
    say("below", *found)
    began["step"] = time.monotonic()
    globals()[how]()
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
class Generator:
    pass
@component(timeout=0.3, name="Generator")
def generator(base: Base) -> typing.Iterator[Generator]:
    hang()
    yield Generator()
@component(timeout=0.3)
class Async:
    def __init__(self, base: Base): pass
    async def start(self):
        import asyncio
        if how == "loop": hang()
        began["step"] = time.monotonic()
        say("below", *everything_below())
        while True:
            try: await asyncio.sleep(60)
            except BaseException:
                if how == "sleep": raise
@component(timeout=0.3, main_thread=True)
class Main:
    def __init__(self, base: Base): pass
    def start(self): hang()
def make(kit: symphony.OrchestraKit, base: Base): hang()
def inner(base: Base):
    # A boot of its own, which would wait for far longer than the outer one may take.
    say("below", *everything_below())
    try: boot(**{"conductor": within} if how != "worker" else {"components": [Stubborn]}, timeout=60)
    except BootError:
        if how != "caught": raise
        while True: time.sleep(0.01)
def within(): time.sleep(60)
@component(timeout=60)
class Stubborn:
    def __init__(self): time.sleep(60)
LIMIT = 2.5
began = {"boot": time.monotonic()}
settings = dict(config="Symphony.toml", timeout=LIMIT)
try:
    if where == "factory":
        boot(make, components=[Base], **settings)
    elif where == "nested":
        boot(inner, components=[Base], **settings)
    elif where == "prepare":
        boot(components=[Base], prepare=hang, **settings)
    elif where == "import":
        open("hanging.py", "w").write("import __main__; __main__.hang()")
        boot("hanging:make", components=[Base], **settings)
    elif where == "thread":
        caught = []
        def work():
            try: boot(make, components=[Base], **settings)
            except BootTimeoutError as error: caught.append(error)
        thread = threading.Thread(target=work); thread.start(); thread.join()
        raise caught[0]
    else:
        chosen = generator if where == "Generator" else globals()[where]
        boot(components=[Base, chosen], config="Symphony.toml")
except BootTimeoutError as error:
    at = time.monotonic()
    own = where in ("Init", "Start", "Generator", "Async", "Main")
    say("late", at - (began["step"] + 0.3 if own else began["boot"] + LIMIT))
    say("error", error.code, error.component, isinstance(error, TimeoutError))
    import json
    document = json.loads(error.report.to_json())
    say("stopped", *(one["name"] for one in document["components"] if one["status"] == "stopped"))
    say("rollback", error.rollback_errors)
    say(error, *error.hints)
if how == "child":
    # On the main thread the interrupt came through its `finally`; on a worker nothing can, and it is nobody's but ours.
    say("child", "runs" if kept[0].poll() is None else "ended")
    kept[0].kill(); kept[0].wait()
import gc
gc.collect()  # What hangs may be closed by it, and must not hang whoever collects.
say("end", time.monotonic())
sys.exit(7)
"""

WORKERS, CALLING = ("Init", "Start"), ("factory", "import", "prepare")
FREED = ("sleep", "loop", "lock", "socket", "child")
CASES = [f"{where}-{how}" for where in WORKERS for how in (*FREED, "swallow")]
CASES += [f"{where}-{how}" for where in CALLING for how in FREED]
CASES += [f"Main-{how}" for how in ("sleep", "loop")]
CASES += [f"Async-{how}" for how in ("sleep", "loop", "swallow")]
CASES += ["Generator-sleep", "thread-loop", "nested-worker", "nested-factory", "nested-caught"]

# What a boot may take past its deadline.
GRACE = 0.25
# In what time a process must be gone after its last line.
EXIT = 1.0


class Seen:
    """What was seen of one case."""

    def __init__(self, case: str, folder: Path) -> None:
        self.where, self.how = case.split("-")
        temporary = folder / "temporary"
        temporary.mkdir(parents=True)
        Workshop(folder).extension("echo", ECHO, 'activation = "eager"')
        environment = {**os.environ, "TMPDIR": str(temporary)}
        self.ended = boot_scripts.run(SCRIPT, folder, case, env=environment)
        self.over = time.monotonic()
        self.left = os.listdir(temporary)
        self.text = f"{self.ended.stdout}\n{self.ended.stderr}"
        lines = self.ended.stdout.splitlines()
        self.words = dict(line.split(" ", 1) for line in lines if " " in line)
        below = [int(pid) for pid in self.words.get("below", "").split()]
        self.gone = boot_scripts.gone(below)
        self.below = len(below)

    def check(self, slack: float) -> None:
        """Holds everything that is promised of a step that hangs.

        Args:
            slack: By how much what is promised in seconds is stretched.
        """
        where, how, words, text = self.where, self.how, self.words, self.text
        assert (self.ended.returncode, self.ended.stderr) == (7, ""), text
        assert float(words["late"]) < GRACE * slack, text
        assert self.over - float(words["end"]) < EXIT * slack, text
        # The supervisor, its extension, and every file of theirs.
        assert self.below >= 2, text
        assert self.gone, text
        assert not self.left, text
        # The error: the step, how long it was in it, its Python stack, what had finished, what was rolled back.
        name = {"import": "make", "factory": "make", "thread": "make", "prepare": "Conductor"}
        name |= {"nested": "inner"}
        assert words["error"] == f"start-timeout {name.get(where, where)} True", text
        assert "was still in its start after" in text
        assert f"script.py:{self.line()}" in text, (self.line(), text)
        assert "/symphony/_" not in text
        assert "had started by then" in text
        assert "base stopped" in text.splitlines()
        assert {"Base", "echo", "orchestra-kit", "pit", "ipc-bus"} <= set(
            words["stopped"].split()
        ), text
        assert words["rollback"] == "()", text
        if where in ("prepare", "import"):
            word = "prepare" if where == "prepare" else "import hanging"
            assert f"the calling thread is in `{word}`" in text
        if how == "child":
            assert words["child"] == ("runs" if where in WORKERS else "ended"), text

    def line(self) -> str:
        """`LINE in FUNCTION` of the place at which the case hangs."""
        found = {
            "sleep": "def sleep",
            "lock": "def lock",
            "loop": "    while True: pass",
            "swallow": "            while True: pass",
            "socket": "def socket",
            "child": "    try: kept[0].wait()",
        }
        start, function = found.get(self.how, ""), self.how
        if self.where == "nested":
            found |= {"worker": "    try: boot(**", "factory": "def within", "caught": "def within"}
            start = found[self.how]
            function = "inner" if self.how == "worker" else "within"
        if self.where == "Async" and self.how != "loop":
            start, function = "            try: await", "start"
        lines = (boot_scripts.PREAMBLE + SCRIPT).splitlines()
        number = next(number for number, line in enumerate(lines, 1) if line.startswith(start))
        return f"{number} in {function}"


class Side:
    """Cases that run side by side, each when it is asked for or a place is free."""

    def __init__(self, cases: list[str], folder: Path, width: int) -> None:
        self._pool = ThreadPoolExecutor(width)
        self._runs = {case: self._pool.submit(Seen, case, folder / case) for case in cases}

    def __getitem__(self, case: str) -> Seen:
        return self._runs[case].result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
