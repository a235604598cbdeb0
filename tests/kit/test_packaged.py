"""Packaged programs: `sys.executable` is the application, which is started once, whatever its `main` forgets."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from symphony._guest import packaged
from workshop import ECHO, descendants, write

ASKING = """
import os
@extension.operation
def variables() -> dict:
    return dict(os.environ)
"""
BOOT = """
def main():
    from symphony import boot
    with boot(config="Symphony.toml") as system:
        print(system.kit.extension("echo").call("echo", value="answered"))
"""
FIRST = """
import symphony
symphony.freeze_support()
"""


def package(folder: Path, source: str) -> Path:
    """A program whose `sys.executable` is its own file, as packagers make it; each start leaves a line in `starts`."""
    program = write(
        folder / "application",
        f"#!{sys.executable}\n"
        + textwrap.dedent(
            """
            import os, sys
            sys.frozen, sys.executable = True, os.path.abspath(__file__)
            with open(os.path.join(os.path.dirname(sys.executable), "starts"), "a") as file:
                print(os.getpid(), *sys.argv[1:], file=file)
            """
        )
        + source,
    )
    program.chmod(0o755)
    return program


def start(program: Path, *arguments: str, **variables: str):
    return subprocess.run(
        [program, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=program.parent,
        timeout=60,
        env={**os.environ, **variables},
    )


def starts(program: Path) -> list[str]:
    """The arguments of each start."""
    lines = (program.parent / "starts").read_text().splitlines()
    return [line.partition(" ")[2] for line in lines]


@pytest.fixture
def folder(workshop):
    workshop.extension("echo", ECHO + ASKING)
    return workshop.folder


@pytest.mark.parametrize(
    "ending", ["main()", "import symphony\nmain()\nsymphony.freeze_support()"], ids=str.split
)
def test_a_program_without_freeze_support_is_started_once_and_told_the_line(folder, ending):
    program = package(folder, BOOT + ending)
    ended = start(program)
    assert ended.returncode == 1
    assert "BootError" in ended.stderr
    assert f"`{program}` is a packaged program in which `symphony.freeze_support()`" in ended.stderr
    assert "hint: call `symphony.freeze_support()` first" in ended.stderr
    assert starts(program) == [""]
    assert not (folder / ".symphony").exists()


def test_the_steps_of_the_decision_record_are_refused_likewise(folder):
    source = "from symphony import ConductorBootstrap\nConductorBootstrap('Symphony.toml')\n"
    program = package(folder, source)
    ended = start(program)
    assert "symphony.freeze_support()" in ended.stderr
    assert starts(program) == [""]


def test_a_packaged_program_serves_as_its_own_supervisor(folder):
    program = package(folder, FIRST + BOOT + "main()")
    ended = start(program)
    assert (ended.returncode, ended.stdout) == (0, "answered\n"), ended.stderr
    assert starts(program) == ["", packaged.SUPERVISOR_FLAG]


def test_without_extensions_nothing_is_started_again_and_nothing_is_asked_for(folder):
    program = package(folder, "from symphony import boot\nwith boot(): print('up')\n")
    ended = start(program)
    assert (ended.returncode, ended.stdout) == (0, "up\n"), ended.stderr
    assert starts(program) == [""]


def test_a_supervisor_that_begins_as_the_application_ends_at_its_boot(folder):
    # The line stands where the second start does not come by.
    program = package(
        folder, f"if len(sys.argv) == 1:{textwrap.indent(FIRST, '    ')}" + BOOT + "main()"
    )
    ended = start(program)
    assert ended.returncode == 1
    assert "was started to be Symphony's supervisor, and began as the application" in ended.stderr
    assert starts(program) == ["", packaged.SUPERVISOR_FLAG]


def test_a_child_of_a_packaged_program_boots_too(folder):
    # As a worker of `multiprocessing`, whose own `freeze_support()` comes first and does not return.
    child = "if sys.argv[1:] == ['worker']:\n    main()\n    sys.exit()\n"
    again = "import subprocess\nsubprocess.run([sys.executable, 'worker'], check=True)\n"
    program = package(folder, BOOT + child + FIRST + again)
    ended = start(program)
    assert (ended.returncode, ended.stdout) == (0, "answered\n"), ended.stderr
    assert starts(program) == ["", "worker", packaged.SUPERVISOR_FLAG]


@pytest.mark.parametrize("mark", ["1", "", "no number"])
def test_a_mark_that_is_of_another_process_is_none(folder, mark):
    # An application that is started below somebody else's supervisor.
    program = package(folder, FIRST + BOOT + "main()")
    ended = start(program, SYMPHONY_SUPERVISOR_OF=mark)
    assert (ended.returncode, ended.stdout) == (0, "answered\n"), ended.stderr


def test_guests_get_no_variable_of_the_bundle(folder):
    asked = """
        from symphony import boot
        with boot(config="Symphony.toml") as system:
            print(*sorted(system.kit.extension("echo").call("variables").items()), sep="\\n")
        """
    program = package(folder, FIRST + textwrap.dedent(asked))
    bundle = {"_PYI_APPLICATION_HOME_DIR": "/bundle", "_PYI_ARCHIVE_FILE": "/bundle/app"}
    ended = start(program, LD_LIBRARY_PATH="/bundle", LD_LIBRARY_PATH_ORIG="/own", **bundle)
    assert ended.returncode == 0, ended.stderr
    assert "'PATH'" in ended.stdout
    for name in ("bundle", "_PYI_", "SYMPHONY_SUPERVISOR_OF", "SYMPHONY_FREEZE_SUPPORT", "_ORIG"):
        assert name not in ended.stdout


def test_a_guest_that_is_granted_the_loaders_path_gets_the_users_own(workshop):
    manifest = '[extension.permissions]\nenv = ["LD_LIBRARY_PATH"]\n'
    workshop.extension("echo", ASKING, manifest)
    asked = """
        from symphony import boot
        with boot(config="Symphony.toml") as system:
            print(system.kit.extension("echo").call("variables").get("LD_LIBRARY_PATH"))
        """
    # The interpreter is its own program here: `python=` of an embedder.
    program = write(workshop.folder / "asks.py", asked)
    bundle = {"_PYI_APPLICATION_HOME_DIR": "/bundle", "LD_LIBRARY_PATH": "/bundle"}
    for own, expected in (({"LD_LIBRARY_PATH_ORIG": "/own"}, "/own"), ({}, "None")):
        ended = subprocess.run(
            [sys.executable, program],
            check=False,
            capture_output=True,
            text=True,
            cwd=workshop.folder,
            timeout=60,
            env={**os.environ, **bundle, **own},
        )
        assert (ended.returncode, ended.stdout.strip()) == (0, expected), ended.stderr


@pytest.mark.parametrize("frozen", [False, True])
def test_another_interpreter_serves_where_one_is_given(folder, frozen):
    source = f"""
        from symphony import SystemConfig, boot
        with boot(config=SystemConfig("Symphony.toml", python={sys.executable!r})) as system:
            print(system.kit.extension("echo").call("echo", value="answered"))
        """
    program = package(folder, textwrap.dedent(source))
    if not frozen:
        program.write_text(
            program.read_text().replace(
                "sys.frozen, sys.executable = True,", "_, sys.executable = 0,"
            )
        )
    ended = start(program)
    assert (ended.returncode, ended.stdout) == (0, "answered\n"), ended.stderr
    assert starts(program) == [""]


def test_a_program_of_nuitka_is_the_file_that_runs(monkeypatch):
    main = sys.modules["__main__"]
    assert packaged.program() is None
    monkeypatch.setattr(main, "__compiled__", object(), raising=False)
    monkeypatch.setattr(packaged.os, "readlink", lambda _path: "/opt/ide/ide.bin")
    assert packaged.program() == "/opt/ide/ide.bin"
    # A compiled module that an interpreter runs.
    monkeypatch.setattr(packaged.os, "readlink", lambda _path: "/usr/bin/python3.11")
    assert packaged.program() is None


def test_pyinstaller_finds_the_hook(tmp_path):
    del tmp_path
    from symphony._guest.pyinstaller import hook_folders

    (found,) = hook_folders()
    assert (Path(found) / "hook-symphony.py").is_file()
    assert not descendants()
