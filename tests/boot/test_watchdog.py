"""A calling thread that cannot be freed: told, and with `on_hang="abort"` ended with exit 70."""

from __future__ import annotations

import subprocess
import sys

import boot_scripts
import pytest
from workshop import ECHO

SCRIPT = """
def hang():
    say("below", *everything_below())
    return {how}
def swallows():
    while True:
        try: time.sleep(0.01)
        except BaseException: pass
def holds():
    import re
    re.match("(a*)*b", "a" * 60)
def make(kit: symphony.OrchestraKit):
    hang()
def work():
    boot(make, config="Symphony.toml", timeout=1.0, on_hang={on_hang!r})
{where}
"""

# What an asynchronous exception cannot reach: only a loop of Python is freed on a thread that is not the main one.
WAYS = {
    "swallows": ("swallows()", "work()"),
    "holds the interpreter": ("holds()", "work()"),
    "sleeps on another thread": (
        "time.sleep(60)",
        "thread = threading.Thread(target=work); thread.start(); thread.join()",
    ),
}
LINES = {"swallows": "in swallows", "holds the interpreter": "in holds"}


def script(way, on_hang):
    how, where = WAYS[way]
    return SCRIPT.format(how=how, where=where, on_hang=on_hang)


def below(out):
    return [int(pid) for pid in out.splitlines()[0].split()[1:]]


@pytest.mark.parametrize("way", WAYS)
def test_a_thread_that_cannot_be_freed_ends_the_process_with_70(way, workshop):
    workshop.extension("echo", ECHO, 'activation = "eager"')
    ended = boot_scripts.run(script(way, "abort"), workshop.folder)
    assert ended.returncode == 70, ended.stderr
    assert "the boot was not done within 1 s" in ended.stderr
    assert "`make` was still in its start" in ended.stderr
    assert ended.stderr.count("the thread that called `boot()` cannot be freed") == 1
    # The stacks of all threads, by `faulthandler`: no thread needs the interpreter for them.
    assert LINES.get(way, "in hang") in ended.stderr.partition("cannot be freed")[2]
    assert len(below(ended.stdout)) == 2
    assert boot_scripts.gone(below(ended.stdout))


def test_a_thread_that_cannot_be_freed_is_told_of_and_nothing_is_left(workshop):
    workshop.extension("echo", ECHO, 'activation = "eager"')
    process = boot_scripts.start(script("swallows", "report"), workshop.folder)
    try:
        assert process.stdout is not None
        pids = below(process.stdout.readline())
        assert len(pids) == 2
        assert process.stderr is not None
        told = [next(line for line in process.stderr if "cannot be freed" in line)]
        # The stack of the calling thread ends with the script's own frame.
        for line in process.stderr:
            told.append(line)
            if "script.py" in line and "in <module>" in line:
                break
        # The supervisor has ended the tree; this process is its user's, and lives.
        assert boot_scripts.gone(pids)
        assert process.poll() is None
    finally:
        process.kill()
        _, err = process.communicate()
    assert "in swallows" in "".join(told)
    assert "cannot be freed" not in err


COMMAND = """
import re, sys, time
from symphony import OrchestraKit

def make(kit: OrchestraKit):
    print("inside", flush=True)
    {how}
"""


@pytest.mark.parametrize(
    ("how", "code"),
    [('re.match("(a*)*b", "a" * 60)', 70), ("time.sleep(60)", 1)],
    ids=["holds the interpreter", "sleeps"],
)
def test_symphony_run_ends_a_factory_that_hangs(how, code, workshop):
    workshop.system("phases.conductor.timeout = '400ms'")
    workshop.extension("echo", ECHO, 'activation = "eager"')
    (workshop.folder / "hanging.py").write_text(COMMAND.format(how=how), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "symphony", "run", "--conductor", "hanging:make"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=workshop.folder,
    )
    try:
        boot_scripts.until_line(process, "inside")
        pids = boot_scripts.children(process.pid)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == code, (out, err)
    assert "phase `conductor` was not done within 400 ms" in err
    assert "`make` was still in its start" in err
    place = 'hanging.py", line 7 in make' if code == 70 else "hanging.py:7 in make"
    assert place in err
    assert ("cannot be freed" in err) == (code == 70)
    assert len(pids) == 2
    assert boot_scripts.gone(pids)


def test_a_handler_of_the_user_for_the_signal_of_the_stacks_stays(tmp_path):
    ended = boot_scripts.run(
        """
        import signal
        seen = []
        signal.signal(signal.SIGURG, lambda *_: seen.append(1))
        with boot():
            os.kill(os.getpid(), signal.SIGURG); time.sleep(0.01)
        say(len(seen))
        signal.signal(signal.SIGURG, signal.SIG_DFL)
        def make(): os.kill(os.getpid(), signal.SIGURG)
        boot(make).shutdown()
        os.kill(os.getpid(), signal.SIGURG)
        """,
        tmp_path,
    )
    assert (ended.returncode, ended.stdout) == (0, "1\n")
    # Once, in the middle of the second boot; after it the signal is nobody's again.
    assert ended.stderr.count(" in make") == 1
