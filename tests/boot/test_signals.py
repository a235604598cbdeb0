"""Ctrl-C and SIGTERM in the middle of a boot: it rolls back, and leaves nothing."""

from __future__ import annotations

import os
import signal

import boot_scripts
import pytest
from workshop import ECHO

SCRIPT = """
import signal
where, how = sys.argv[1].split("-")
held = threading.Lock(); held.acquire()
# A signal that comes just before a call that blocks is seen after it (CPython's own gap): what is waited for is short.
def sleep():
    while True: time.sleep(0.01)
def loop():
    while True: pass
def lock():
    while True: held.acquire(timeout=0.01)
def hang():
    say("inside"); globals()[how]()
class Base:
    def stop(self):
        say("stopping")
        if slow: time.sleep(0.3)
        say("base stopped")
class Slow:
    def __init__(self, base: Base): hang()
class Start:
    def __init__(self, base: Base): pass
    def start(self): hang()
def make(base: Base): hang()
slow = len(sys.argv) > 2
before = [signal.getsignal(number) for number in range(1, signal.NSIG)]
def same(): return [signal.getsignal(number) for number in range(1, signal.NSIG)] == before
settings = dict(config="Symphony.toml")
try:
    if where == "worker": boot(components=[Base, Slow], **settings)
    elif where == "start": boot(components=[Base, Start], **settings)
    elif where == "factory": boot(make, components=[Base], **settings)
    elif where == "prepare": boot(components=[Base], prepare=hang, **settings)
    elif where == "nested": boot(lambda: boot(make, components=[Base]), **settings)
    else:
        open("hanging.py", "w").write("import __main__; __main__.hang()")
        boot("hanging:make", components=[Base], **settings)
except KeyboardInterrupt:
    say("interrupt", same(), *everything_below())
    sys.exit(9)
except SystemExit as error:
    say("exit", error.code, same(), *everything_below())
    raise
"""

CASES = [
    f"{where}-sleep" for where in ("worker", "start", "factory", "prepare", "import", "nested")
]
CASES += ["worker-loop", "factory-loop", "factory-lock"]
LAST = {signal.SIGINT: (9, "interrupt True"), signal.SIGTERM: (143, "exit 143 True")}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_rolls_back(case, number, workshop, tmp_path):
    workshop.extension("echo", ECHO, 'activation = "eager"')
    process = boot_scripts.start(SCRIPT, tmp_path, case)
    try:
        boot_scripts.until_line(process, "inside")
        below = boot_scripts.children(process.pid)
        assert below
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    lines = out.splitlines()
    assert (process.returncode, lines[-1]) == LAST[number], err
    assert err == ""
    # While `prepare` and the import run, nothing that needs them has begun; what has is the core's.
    if not case.startswith(("prepare", "import")):
        assert "base stopped" in lines
    assert boot_scripts.gone(below)


@pytest.mark.parametrize("case", ["worker-sleep", "factory-loop"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_another_signal_does_not_disturb_the_rollback(case, number, workshop, tmp_path):
    workshop.extension("echo", ECHO, 'activation = "eager"')
    process = boot_scripts.start(SCRIPT, tmp_path, case, "slow")
    try:
        boot_scripts.until_line(process, "inside")
        below = boot_scripts.children(process.pid)
        process.send_signal(number)
        boot_scripts.until_line(process, "stopping")
        for again in (number, signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            os.kill(process.pid, again)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    # The first of them is the one that is raised.
    assert (process.returncode, err) == (LAST[number][0], ""), (out, err)
    assert out.splitlines() == ["base stopped", LAST[number][1]]
    assert boot_scripts.gone(below)


def test_a_handler_of_the_user_stays(tmp_path):
    ended = boot_scripts.run(
        """
        import signal
        mine = lambda number, frame: say("mine")
        signal.signal(signal.SIGTERM, mine)
        def make():
            os.kill(os.getpid(), signal.SIGTERM); time.sleep(0.1); return 1
        with boot(make) as system:
            say(system.conductor, signal.getsignal(signal.SIGTERM) is mine)
        """,
        tmp_path,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "mine\n1 True\n", "")


def test_a_factory_that_exits_is_a_failure_of_it(tmp_path):
    ended = boot_scripts.run(
        """
        def make(): sys.exit(3)
        try: boot(make)
        except BootError as error: say(error.code, type(error.__cause__).__name__)
        """,
        tmp_path,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "start-failed SystemExit\n", "")
