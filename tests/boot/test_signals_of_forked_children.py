"""A child that is forked while we handle signals ends by them as a child of any program does, at once too."""

from __future__ import annotations

import pytest
from kit_processes import running
from workshop import run_python, symphony, write

pytestmark = pytest.mark.timeout(120)

FORKS = """
import os, signal, time
def ends_of(number, count=150, after=0):
    ends = []
    for _ in range(count):
        child = os.fork()
        if child == 0:
            try:
                time.sleep(60)
            finally:
                os._exit(1)
        time.sleep(after)
        os.kill(child, number)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return set(ends)
"""

RUNS = (
    FORKS
    + """
import threading
from symphony import boot
def work():
    try:
        while signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            time.sleep(0.01)
        said.append(ends_of(signal.SIGTERM))
    finally:
        system.shutdown()
said = []
with boot() as system:
    threading.Thread(target=work).start()
    system.run(forever=True)
print(said)
"""
)

BOOTS = (
    FORKS
    + """
from symphony import boot
class Base:
    def __init__(self):
        assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
        self.ends = ends_of(signal.SIGTERM)
with boot(components=[Base]) as system:
    print([system[Base].ends])
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    print([ends_of(signal.SIGTERM)])
"""
)

COMMAND = (
    FORKS
    + """
from symphony import component
@component(main_thread=True)
class Base:
    def __init__(self):
        from pathlib import Path
        Path("said").write_text(f"{ends_of(signal.SIGTERM)} {ends_of(signal.SIGINT, 3, 0.3)}")
"""
)


def test_while_a_conductor_runs_for_ever():
    done = run_python(RUNS, timeout=100)
    assert (done.stdout, done.returncode) == ("[{-15}]\n", 0), done.stderr


def test_while_a_boot_is_under_way_and_after_it():
    done = run_python(BOOTS, timeout=100)
    assert (done.stdout, done.returncode) == ("[{-15}]\n[{-15}]\n", 0), done.stderr


def test_while_a_command_runs(tmp_path):
    write(tmp_path / "parts.py", COMMAND)
    write(tmp_path / "Symphony.toml", '[system]\nname = "t"\ncomponents = ["parts"]\n')
    done = symphony("run", cwd=tmp_path)
    assert (tmp_path / "said").read_text() == "{-15} {1}", done.stderr


def test_of_an_operation(workshop):
    source = FORKS + (
        "@extension.operation\ndef ends(number: int, count: int, after: float) -> list:\n"
        "    return sorted(ends_of(number, count, after))\n"
    )
    workshop.extension("forks", source, '[extension.permissions]\nrun = ["*"]')
    with running(workshop) as system:
        handle = system.kit.extension("forks").options(timeout=60)
        assert handle.call("ends", number=15, count=150, after=0) == [-15]
        # Python's own handler raises.
        assert handle.call("ends", number=2, count=3, after=0.3) == [1]
