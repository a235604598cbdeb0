"""Extensions that are no Python module of this interpreter: programs, and other interpreters."""

from __future__ import annotations

import os
import stat
import sys

import pytest
from kit_processes import running
from symphony.exceptions import ExtensionError
from workshop import ECHO, write

PROGRAM = """
import os, sys
sys.path[:0] = {path!r}
from symphony.extension import serve
open("program.py", "w").write(
    "import os, sys\\n"
    "from symphony.extension import Extension\\n"
    "extension = Extension('program')\\n"
    "@extension.operation\\n"
    "def echo(value): return value\\n"
    "@extension.operation\\n"
    "def about(): return [sys.argv[1:], os.getcwd(), 'SYMPHONY_LANE' in os.environ]\\n"
)
sys.exit(serve("program:extension", os.getcwd(), int(os.environ["SYMPHONY_LANE"])))
"""


def program(workshop, command, name="program"):
    folder = workshop.folder / "extensions" / name
    write(
        folder / "Symphony.toml",
        f'[extension]\nname = "{name}"\nversion = "0.1.0"\ncommand = {command}\n'
        '[extension.permissions]\nwrite = ["program.py"]\n',
    )
    write(folder / "program.py", "")
    return folder


def test_a_program_that_speaks_the_protocol(workshop):
    folder = program(workshop, '["./run", "first", "second"]')
    script = write(folder / "run", f"#!{sys.executable}\n" + PROGRAM.format(path=sys.path).lstrip())
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    with running(workshop) as system:
        handle = system.kit.extension("program")
        assert handle.call("echo", value={"a": [1, b"x"]}) == {"a": [1, b"x"]}
        assert handle.call("about") == [["first", "second"], str(folder), True]


def test_a_command_that_nobody_has_says_so_at_its_call(workshop):
    program(workshop, '["a-command-that-nobody-has"]')
    workshop.extension("good", ECHO)
    with running(workshop) as system:
        with pytest.raises(ExtensionError) as caught:
            system.kit.extension("program").call("echo", value=1)
        told = str(caught.value) + " ".join(caught.value.hints)
        assert "cannot execute `a-command-that-nobody-has`: No such file" in told
        assert system.kit.extension("good").call("echo", value=1) == 1


def test_a_program_that_does_not_speak_the_protocol(workshop):
    program(workshop, '["true"]')
    with running(workshop) as system:
        with pytest.raises(ExtensionError, match="did not start: exit code 0"):
            system.kit.extension("program").call("echo", value=1)


def test_an_interpreter_of_its_own(workshop):
    interpreter = os.path.realpath(sys.executable)
    workshop.extension(
        "other",
        """
        import sys
        @extension.operation
        def interpreter():
            return [sys.executable, sys.version]
        """,
        f'python = "{interpreter}"\n',
    )
    with running(workshop) as system:
        executable, version = system.kit.extension("other").call("interpreter")
        assert os.path.realpath(executable) == interpreter
        assert version == sys.version


def test_an_interpreter_that_is_not_there(workshop):
    workshop.extension("other", ECHO, 'python = "no/python3"\n')
    with running(workshop) as system:
        with pytest.raises(ExtensionError, match="did not start"):
            system.kit.extension("other").call("echo", value=1)
