"""`symphony run` that lasts, or is ended: what is known is told when it is known, and is not lost."""

from __future__ import annotations

import contextlib
import json
import selectors
import signal
import time

import pytest

GATE = """
import os
import time

@extension.operation
def pass_on(value):
    return os.path.basename(value)

@extension.operation
def hold(value):
    print(f"has {value}", flush=True)
    while value.endswith("held.txt"):
        time.sleep(0.01)
    return os.path.basename(value)
"""
MELODY = """
    [melody]
    name = "notes"
    inputs = ["value"]
    [[node]]
    id = "note"
    call = "gate.OPERATION"
    with = { value = "${inputs.value}" }
"""
_PATIENCE = 30


@pytest.fixture
def start(workshop, cli):
    """Starts the command; what it left running after the test is ended."""
    processes = []

    def begin(operation, *arguments):
        workshop.extension("gate", GATE)
        workshop.system('[system.budgets]\nready = "1us"\n')
        workshop.melody(MELODY.replace("OPERATION", operation))
        processes.append(cli.start("run", "--melody", "melody.toml", *arguments))
        return processes[-1]

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        with contextlib.suppress(ValueError):
            process.communicate(timeout=_PATIENCE)


def _read_until(process, stream, word):
    """What comes out of a stream until a word has come; the command goes on."""
    text = ""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        end = time.monotonic() + _PATIENCE
        while word not in text and time.monotonic() < end:
            if process.poll() is not None:
                return text + stream.read()
            if selector.select(0.1):
                text += stream.buffer.read1(65536).decode()
    return text


def test_results_and_warnings_are_told_before_it_lasts(start):
    process = start("pass_on", "--input", "value=x", "--forever")
    out = _read_until(process, process.stdout, "runs/s")
    assert '  note = "x"' in out.splitlines()
    assert "1 run: 1 ok, 0 failed" in out
    assert "warning: budget `ready` exceeded" in _read_until(process, process.stderr, "\n")
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    rest, err = process.communicate(timeout=_PATIENCE)
    assert (process.returncode, rest) == (143, "")
    assert "budget" not in err


@pytest.mark.parametrize("form", ["text", "json"])
def test_runs_that_had_ended_when_it_was_ended_are_told(start, workshop, form):
    names = ["a.txt", "b.txt", "held.txt"]
    for name in names:
        (workshop.folder / name).write_text("")
    flags = ["--json"] if form == "json" else []
    process = start("hold", "--each", "value=*.txt", "-v", *flags)
    # The operations stand in line: the one that is held is the last. Ends are looked for every 50 ms.
    told = _read_until(process, process.stderr, "held.txt\n")
    assert "held.txt" in told
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=_PATIENCE)
    assert process.returncode == 143
    if form == "text":
        assert [line for line in out.splitlines() if line.startswith("  note")] == [
            '  note = "a.txt"',
            '  note = "b.txt"',
        ]
        assert "2 runs: 2 ok, 0 failed" in out
        return
    document = json.loads(out)
    assert [one["name"] for one in document["results"]] == names[:2]
    counted = document["runs"]
    assert (counted["count"], counted["ok"], counted["failed"]) == (2, 2, 0)
    assert document["error"]["code"] == "interrupted"
