"""SIGHUP, as it comes when a terminal goes: an orderly end with 129, as SIGTERM's with 143; `nohup` keeps it away."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

_PATIENCE = 30
PARTS = """
import os
import signal
import sys
import time
from symphony import component

@component
class Slow:
    def start(self):
        open("begun", "w").close()
        time.sleep(float(os.environ.get("SLOW", "0")))

    def stop(self):
        print("stops")
        open("stopped", "w").close()
"""
PROGRAM = """
import sys
from symphony import boot
sys.path.insert(0, ".")
with boot(components=["parts"]) as system:
    open("up", "w").close()
    print(system.run(forever=True))
"""


@pytest.fixture(autouse=True)
def _heard():
    """What the tests start hears of SIGHUP, also where they are themselves run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def parts(workshop):
    """A system with a component that leaves files when it starts and stops."""
    (workshop.folder / "parts.py").write_text(PARTS)
    workshop.system('components = ["parts"]\n')
    return workshop.folder


def _wait_for(path):
    end = time.monotonic() + _PATIENCE
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert path.exists()


def _wait_until_handled(pid):
    """Waits until a process has a handler for SIGHUP."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        with open(f"/proc/{pid}/status") as status:
            caught = next(line.split()[1] for line in status if line.startswith("SigCgt"))
        if int(caught, 16) >> (signal.SIGHUP - 1) & 1:
            return
        time.sleep(0.01)
    pytest.fail("SIGHUP is not handled")


@pytest.mark.parametrize(("name", "code"), [("SIGHUP", 129), ("SIGTERM", 143)])
def test_a_command_that_runs_for_ever_shuts_down(parts, cli, name, code):
    process = cli.start("run", "--forever", "--json")
    _wait_for(parts / "begun")
    time.sleep(0.3)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=_PATIENCE)
    assert process.returncode == code, err
    assert (parts / "stopped").exists()
    assert '"code": "interrupted"' in out


def test_a_boot_is_rolled_back(parts, cli):
    cli.environment["SLOW"] = "60"
    process = cli.start("run")
    _wait_for(parts / "begun")
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=_PATIENCE)
    assert process.returncode == 129, err
    assert "Traceback" not in err


def test_where_it_is_ignored_it_stays_ignored(parts, cli):
    process = cli.start(
        "run", "--forever", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    _wait_for(parts / "begun")
    time.sleep(0.3)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=_PATIENCE)
    assert process.returncode == 143


@pytest.mark.parametrize("flags", ["", "--json"], ids=["text", "json"])
def test_a_terminal_that_is_gone_keeps_nothing_from_being_stopped(parts, cli, flags):
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _LEAD, "run", "--forever", *flags.split()],
        cwd=parts,
        env=cli.environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        _wait_for(parts / "begun")
        time.sleep(0.3)
        os.close(master)
        assert process.wait(_PATIENCE) == 129
        assert (parts / "stopped").exists()
    finally:
        process.kill()


_LEAD = (
    "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "from symphony._cli import main; raise SystemExit(main())"
)


def test_a_program_that_runs_for_ever_comes_to_its_end(parts):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=parts, stdout=subprocess.PIPE, text=True
    )
    _wait_for(parts / "up")
    _wait_until_handled(process.pid)
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(timeout=_PATIENCE)
    assert process.returncode == 0
    assert "RunSummary" in out
    assert (parts / "stopped").exists()
