"""Ctrl-C and SIGTERM in the middle of a boot: it rolls back, and leaves nothing."""

from __future__ import annotations

import signal

import boot_scripts
import pytest
from workshop import ECHO

SCRIPT = """
import signal
class Base:
    def stop(self): say("base stopped")
class Slow:
    def __init__(self, base: Base): say("inside"); time.sleep(30)
def make(base: Base):
    say("inside"); time.sleep(30)
where = sys.argv[1]
before = signal.getsignal(signal.SIGTERM)
try:
    if where == "worker": boot(components=[Base, Slow], config="Symphony.toml")
    elif where == "factory": boot(make, components=[Base], config="Symphony.toml")
    else: boot(components=[Base], prepare=lambda: make(None), config="Symphony.toml")
except KeyboardInterrupt:
    say("interrupt", signal.getsignal(signal.SIGTERM) == before)
    sys.exit(9)
except SystemExit as error:
    say("exit", error.code, signal.getsignal(signal.SIGTERM) == before)
    raise
"""


@pytest.mark.parametrize("where", ["worker", "factory", "prepare"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_rolls_back(where, number, workshop, tmp_path):
    workshop.extension("echo", ECHO, 'activation = "eager"')
    process = boot_scripts.start(SCRIPT, tmp_path, where)
    boot_scripts.until_line(process, "inside")
    below = boot_scripts.children(process.pid)
    assert below
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    lines = out.splitlines()
    if number == signal.SIGINT:
        assert (process.returncode, lines[-1]) == (9, "interrupt True"), err
    else:
        assert (process.returncode, lines[-1]) == (143, "exit 143 True"), err
    assert err == ""
    if where != "prepare":
        assert "base stopped" in lines
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
