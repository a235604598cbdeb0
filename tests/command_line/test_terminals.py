"""What is drawn on a terminal: colours as people expect them, and no codes where the terminal has none."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading

import pytest
from workshop import ECHO

# Colours and styles; `0` ends them.
_STYLES = re.compile(rb"\x1b\[(?!0?m)[0-9;]+m")
_MELODY = '[melody]\nname = "m"\n[[node]]\nid = "a"\ncall = "echo.echo"\nwith = { value = 1 }\n'
_VARIABLES = ("NO_COLOR", "FORCE_COLOR", "TERM", "COLORTERM", "CI")


def on_terminal(folder, *arguments: str, **variables: str) -> bytes:
    """What a command writes to a terminal that is stdout and stderr both."""
    ours, theirs = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in _VARIABLES}
    told: list[bytes] = []

    def read() -> None:
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                return
            if not part:
                return
            told.append(part)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    process = subprocess.Popen(
        [sys.executable, "-m", "symphony", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**kept, "TERM": "xterm-256color", **variables},
    )
    os.close(theirs)
    try:
        process.wait(60)
    finally:
        process.kill()
        process.wait()
        reader.join(10)
        os.close(ours)
    return b"".join(told)


@pytest.fixture
def folder(workshop):
    workshop.extension("echo", ECHO)
    workshop.melody(_MELODY)
    (workshop.folder / "faulty.py").write_text(
        "from symphony import component\n@component\nclass A:\n    def __init__(self, b: 'B'): ...\n"
    )
    return workshop.folder


COMMANDS = {
    "run": ["run", "--melody", "melody.toml", "--runs", "3"],
    "check": ["check", "."],
    "graph": ["graph"],
    "doctor": ["doctor", "--boots", "1"],
    "top": ["top", "--once"],
    "help": ["run", "--help"],
    "error": ["run", "nowhere.toml"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_colour_is_written_where_none_is_wanted(folder, command):
    told = on_terminal(folder, *COMMANDS[command], NO_COLOR="1")
    assert told
    assert not _STYLES.search(told), told[:2000]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_terminal_without_codes_gets_none(folder, command):
    told = on_terminal(folder, *COMMANDS[command], TERM="dumb")
    assert told
    assert b"\x1b" not in told, told[:2000]


@pytest.mark.parametrize("command", ["run", "check", "doctor"])
@pytest.mark.parametrize("forced", [{}, {"FORCE_COLOR": "1"}], ids=["as it is", "FORCE_COLOR"])
def test_what_is_no_terminal_gets_no_line_that_is_drawn_again(folder, command, forced):
    ended = subprocess.run(
        [sys.executable, "-m", "symphony", *COMMANDS[command]],
        check=False,
        cwd=folder,
        capture_output=True,
        timeout=60,
        env={**os.environ, **forced},
    )
    told = ended.stdout + ended.stderr
    assert told
    assert b"\x1b[K" not in told
    assert b"\r" not in told


def test_a_terminal_shows_the_boot_while_it_goes_on(folder):
    assert b"\r\x1b[K" in on_terminal(folder, *COMMANDS["run"])
