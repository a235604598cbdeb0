"""`symphony trust`: extensions of an opened project start as they were trusted, and not otherwise."""

from __future__ import annotations

import json
import os
import py_compile
import subprocess
import sys

import pytest
from workshop import write

EXTENSION = """
from symphony.extension import Extension
import pathlib
extension = Extension("theirs")
pathlib.Path({mark!r}).write_text("it ran")
@extension.operation
def hello():
    return {answer!r}
"""


class Opened:
    """A system, and beside it a project that brings an extension of its own."""

    def __init__(self, workshop, cli, data):
        self.workshop, self.cli = workshop, cli
        self.project = data.parent / "project"
        self.folder = self.project / "tools" / "theirs"
        self.mark = data.parent / "marks" / "mark"
        self.mark.parent.mkdir()
        self.lock = data / "symphony" / "trust.json"
        cli.environment["XDG_DATA_HOME"] = str(data)
        workshop.system(f'workspace = "{self.project}"\n', extensions=f'["{self.project}/tools/*"]')
        write(
            self.folder / "Symphony.toml",
            '[extension]\nname = "theirs"\nentry = "theirs:extension"\nactivation = "eager"\n'
            f'permissions.write = ["{self.mark.parent}"]\n',
        )
        self.edit("first")

    def edit(self, answer):
        source = EXTENSION.format(mark=str(self.mark), answer=answer)
        return write(self.folder / "theirs.py", source)

    def call(self):
        return self.cli("call", "theirs.hello")

    def trust(self, *arguments):
        return self.cli("trust", *arguments)


@pytest.fixture
def opened(tmp_path_factory, cli, workshop):
    return Opened(workshop, cli, tmp_path_factory.mktemp("outside") / "data")


def refused(opened, form, *words):
    """What a call, a run and a check say of it; and nothing of it ran."""
    opened.mark.unlink(missing_ok=True)
    called = opened.cli("call", "theirs.hello", "--json")
    assert called.code == 1, called
    # After the warning that the boot goes on without it.
    form(called.err[called.err.index("error: ") :])
    error = called.document["error"]
    assert error["code"] == "untrusted", error
    assert f"`symphony trust {opened.folder}`" in " ".join(error["hints"])
    ran = opened.cli("run", "--json")
    assert ran.code == 0, ran
    component = next(one for one in ran.document["components"] if one["name"] == "theirs")
    assert component["status"] != "ready"
    checked = opened.cli("check", "--json")
    assert checked.code == 0, checked
    told = [one for one in checked.document["diagnostics"] if one["code"] == "untrusted"]
    assert [one["severity"] for one in told] == ["warning"], checked
    for word in words:
        assert word in error["message"], error
        assert word in told[0]["message"]
    assert not opened.mark.exists(), "code of the project ran"


def test_it_starts_only_when_trusted_and_only_as_it_was(opened, form):
    refused(opened, form, "is not trusted")
    trusted = opened.trust(opened.project)
    assert trusted.code == 0, trusted
    assert "2 files" in trusted.out
    assert opened.call().out == "first\n"
    # What an interpreter might cache is no part of it, and nothing was cached.
    assert opened.call().out == "first\n"
    assert not (opened.folder / "__pycache__").exists()
    opened.edit("other")
    refused(opened, form, "`theirs.py` was changed")
    assert opened.trust(opened.folder).code == 0
    assert opened.call().out == "other\n"
    write(opened.folder / "more.py", "")
    refused(opened, form, "`more.py` is new")
    (opened.folder / "more.py").unlink()
    assert opened.call().out == "other\n"


def test_trust_is_taken_back_also_of_what_is_gone(opened, form):
    assert opened.trust(opened.folder).code == 0
    listed = opened.trust("--list", "--json").document
    assert [(one["folder"], one["trusted"]) for one in listed["extensions"]] == [
        (str(opened.folder), True)
    ]
    taken = opened.trust("--remove", opened.folder)
    assert "is trusted no more" in taken.out
    refused(opened, form, "is not trusted")
    assert opened.trust(opened.folder).code == 0
    moved = opened.folder.rename(opened.project / "moved")
    refused_at_the_new_place = opened.trust("--list").out
    assert str(opened.folder) in refused_at_the_new_place
    assert opened.trust("--remove", opened.folder).code == 0
    assert opened.trust("--list").out == "nothing is trusted\n"
    assert moved.exists()


def test_code_that_is_cached_beside_it_is_not_run(opened):
    """A compiled file that says it needs no check would be taken before the source that is pinned."""
    assert opened.trust(opened.folder).code == 0
    source = opened.edit("from the cache")
    tag = sys.implementation.cache_tag
    target = opened.folder / "__pycache__" / f"theirs.{tag}.pyc"
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(source), cfile=str(target), invalidation_mode=mode)
    opened.edit("first")
    assert opened.call().out == "first\n"


def test_an_interpreter_of_the_project_is_not_asked(opened):
    interpreter = write(opened.folder / "python", f"#!/bin/sh\ntouch {opened.mark}\n")
    interpreter.chmod(0o755)
    manifest = opened.folder / "Symphony.toml"
    manifest.write_text(manifest.read_text() + 'python = "./python"\n')
    checked = opened.cli("check")
    assert "is not trusted" in checked.err, checked
    opened.cli("run")
    assert not opened.mark.exists()


def test_a_project_whose_manifest_is_at_fault_does_not_keep_a_system_from_booting(opened):
    manifest = opened.folder / "Symphony.toml"
    manifest.write_text(manifest.read_text() + "nonsense = true\nrequired = true\n")
    ran = opened.cli("run")
    assert ran.code == 0, ran


def test_a_system_that_lies_in_the_project_needs_no_trust_for_its_own(cli, workshop, tmp_path):
    cli.environment["XDG_DATA_HOME"] = str(tmp_path / "data")
    workshop.extension("own", "@extension.operation\ndef hello():\n    return 1\n")
    workshop.system('workspace = ".."\n')
    assert cli("call", "own.hello").out == "1\n"


def test_what_cannot_be_trusted_is_told(opened, form, tmp_path):
    for arguments in (["nowhere"], []):
        told = opened.trust(*arguments)
        assert told.code == 2, told
        form(told.err)
    empty = tmp_path / "nothing"
    empty.mkdir()
    told = opened.trust(empty, "--json")
    assert told.code == 1
    form(told.err)
    assert told.document["error"]["code"] == "invalid-value"
    os.mkfifo(opened.folder / "pipe")
    told = opened.trust(opened.folder)
    assert told.code == 1
    assert "is neither a file nor a folder" in told.err
    assert not opened.lock.exists()
    opened.cli.environment["XDG_DATA_HOME"] = str(opened.folder)
    (opened.folder / "pipe").unlink()
    assert "would lie in the folder" in opened.trust(opened.folder).err
    del opened.cli.environment["XDG_DATA_HOME"]
    opened.cli.environment["HOME"] = ""
    assert "no data folder" in opened.trust(opened.folder).err


def test_a_lock_file_that_is_damaged_trusts_nothing(opened, form):
    assert opened.trust(opened.folder).code == 0
    pinned = json.loads(opened.lock.read_text())
    assert list(pinned["folders"]) == [str(opened.folder)]
    assert oct(opened.lock.stat().st_mode & 0o777) == "0o600"
    opened.lock.write_text("{")
    refused(opened, form, "cannot be understood")


@pytest.mark.parametrize("arguments", [[], ["--no-such"], ["a", "b"], ["nope"]])
def test_a_wrong_call_is_2_and_still_one_document(opened, arguments):
    told = opened.trust(*arguments, "--json")
    assert told.code == 2, told
    assert set(told.document) == {"ok", "extensions", "error"}
    assert (told.document["ok"], told.document["error"]["code"]) == (False, "invalid-value")
    assert told.err.startswith("error: "), told


@pytest.mark.parametrize(
    ("raised", "code"),
    [("KeyboardInterrupt()", 130), ("Terminated(143)", 143), ("RecursionError()", 1)],
)
def test_whatever_ends_it_there_is_one_document(opened, raised, code):
    program = (
        "import sys\nfrom symphony._boot.threads import Terminated\nfrom symphony._cli import _main, _trust\n"
        f"def ended(*_): raise {raised}\n"
        f"_trust._changed = ended\nsys.exit(_main.main(['trust', '--json', 'x']))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert told.returncode == code, told
    assert json.loads(told.stdout)["ok"] is False
