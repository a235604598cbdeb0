"""Stdout of a command that writes a document there: the document alone, whatever a system prints, and when."""

from __future__ import annotations

import json
import os
import sys

import pytest
from symphony._cli import main
from symphony._cli._stdout import KeptStdout, give_back_all

NOISY = """
import atexit
import os
import subprocess
import sys
import threading
from sys import stdout

from symphony import component

print("noise: import")
# In one piece: a thread prints beside it.
atexit.register(print, "noise: at exit\\n", end="")

def outlive():
    threading.main_thread().join()
    print("noise: after the main thread\\n", end="")

@component
class A:
    def start(self):
        print("noise: start")
        stdout.write("noise: a stream that was kept\\n")
        os.write(1, b"noise: descriptor 1\\n")
        subprocess.run(["echo", "noise: another process"], check=True)
        if os.fork() == 0:
            os.write(1, b"noise: a fork\\n")
            os._exit(0)
        os.wait()
        threading.Thread(target=outlive, daemon=False).start()

    def stop(self):
        print("noise: stop")
"""
ECHO = """
print("noise: extension")

@extension.operation
def echo(value):
    print("noise: operation")
    return value
"""
PLACES = {
    "import", "start", "a stream that was kept", "descriptor 1", "another process", "a fork", "stop", "at exit",
    "after the main thread",
}  # fmt: skip


@pytest.fixture
def noisy(workshop):
    """A system that prints wherever it can."""
    (workshop.folder / "noisy.py").write_text(NOISY)
    workshop.extension("echo", ECHO)
    workshop.system('components = ["noisy"]\n')
    return workshop


def _places(text):
    return {
        line.removeprefix("noise: ") for line in text.splitlines() if line.startswith("noise: ")
    }


@pytest.mark.parametrize(
    "arguments", [("run",), ("call", "echo.echo", "value=3")], ids=["run", "call"]
)
def test_the_document_stands_alone_and_what_is_printed_is_on_stderr(noisy, cli, arguments):
    ended = cli(*arguments, "--json")
    assert ended.code == 0, ended
    assert ended.document["ok"] is True
    assert _places(ended.err) == PLACES, ended


def test_the_result_of_a_call_stands_alone(noisy, cli):
    ended = cli("call", "echo.echo", "value=3")
    assert (ended.code, ended.out) == (0, "3\n"), ended
    assert _places(ended.err) == PLACES, ended


def test_what_several_boots_wrote_is_a_baseline_although_they_print(noisy, cli):
    ended = cli("run", "--boots", "2", "--json")
    (noisy.folder / "b.json").write_text(ended.out)
    ended = cli("run", "--baseline", "b.json", "--boots", "1", "--threshold", "10000%")
    assert ended.code == 0, ended


def test_without_a_document_what_is_printed_is_where_it_was_printed(noisy, cli):
    ended = cli("run")
    assert (ended.code, _places(ended.out)) == (0, PLACES), ended


def test_a_system_that_fails_has_its_document_alone(workshop, cli):
    (workshop.folder / "noisy.py").write_text("print('noise: import')\nraise OSError('no room')\n")
    workshop.system('components = ["noisy"]\n')
    ended = cli("run", "--json")
    assert (ended.code, ended.document["ok"]) == (1, False), ended
    assert _places(ended.err) == {"import"}


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_stream_that_is_closed_costs_the_command_nothing(workshop, cli, closed):
    number = {"stdout": 1, "stderr": 2}[closed]
    (workshop.folder / "noisy.py").write_text("print('noise: import')\n")
    workshop.system('components = ["noisy"]\n')
    ended = cli("run", "--json", preexec_fn=lambda: os.close(number))
    assert ended.code == 0, ended
    assert closed == "stdout" or ended.document["ok"] is True


def test_a_document_that_nobody_reads_is_no_traceback(noisy, cli):
    reads, writes = os.pipe()
    os.close(reads)
    ended = cli("run", "--json", preexec_fn=lambda: os.dup2(writes, 1))
    os.close(writes)
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert "BrokenPipe" not in ended.err


def test_whoever_calls_main_has_stdout_back(workshop, capsys, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "prints_here", raising=False)
    (workshop.folder / "prints_here.py").write_text("print('noise: import')\n")
    workshop.system('components = ["prints_here"]\n')
    assert main(["run", "--json", str(workshop.config)]) == 0
    print("mine")
    told = capsys.readouterr()
    document, end = json.JSONDecoder().raw_decode(told.out)
    assert document["ok"] is True
    assert told.out[end:] == "\nmine\n"
    assert told.err == "noise: import\n"


def test_descriptor_1_is_given_back(capfd, monkeypatch):
    with capfd.disabled():
        before = os.fstat(1)
        stream = open(1, "w", closefd=False)  # noqa: SIM115
        monkeypatch.setattr(sys, "stdout", stream)
        kept = KeptStdout()
        assert os.fstat(1).st_ino == os.fstat(2).st_ino
        assert os.fstat(kept.fileno()).st_ino == before.st_ino
        give_back_all()
        assert sys.stdout is stream
        assert os.fstat(1).st_ino == before.st_ino
