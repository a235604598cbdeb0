"""`symphony new extension`: what it writes is clean and answers, and what it refuses leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from workshop import write

TOOLS = {"python": sys.executable, "c": "make", "rust": "cargo"}
LANGUAGES = [language for language, tool in TOOLS.items() if shutil.which(tool)]


def tree(folder):
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if ".symphony" not in path.parts
    )


@pytest.fixture
def empty(cli, tmp_path):
    """A folder without a system, and the command line in it."""
    folder = tmp_path / "empty"
    folder.mkdir()

    def run(*arguments, **more):
        return cli(*arguments, cwd=folder, **more)

    run.folder = folder
    return run


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_extension_answers_without_an_edit(empty, language):
    made = empty("new", "extension", "first-one", "--language", language, timeout=110)
    assert (made.code, made.err) == (0, ""), made
    checked = empty("check")
    assert checked.code == 0, checked
    assert checked.out.startswith("no faults found\nlooked at "), checked
    called = empty("call", "first-one.hello", "who=x")
    assert (called.code, called.out) == (0, "Hello, x!\n"), called
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "first-one"],
        cwd=empty.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_it_goes_where_the_system_finds_it(cli, workshop):
    made = cli("new", "extension", "hello")
    assert made.code == 0, made
    assert (workshop.folder / "extensions" / "hello" / "hello.py").is_file()
    assert cli("call", "hello.hello").out == "Hello, world!\n"


def test_it_goes_into_a_folder_that_a_system_above_finds(cli, workshop):
    inside = workshop.folder / "extensions"
    inside.mkdir()
    made = cli("new", "extension", "hello", cwd=inside)
    assert made.code == 0, made
    assert (inside / "hello" / "Symphony.toml").is_file()
    assert not (inside / "Symphony.toml").exists()
    assert "symphony call hello.hello who=you .." in made.out


def test_a_system_that_lists_its_folders_is_told_and_left_alone(cli, workshop):
    workshop.system("", extensions='["a", "b*/c"]')
    before = workshop.config.read_text()
    made = cli("new", "extension", "hello")
    assert made.code == 0
    assert 'add "hello" there' in made.err
    assert workshop.config.read_text() == before
    assert (workshop.folder / "hello" / "hello.py").is_file()


def test_the_document_says_what_was_written(empty):
    made = empty("new", "extension", "hello", "--json")
    document = made.document
    assert (document["ok"], document["error"], document["built"]) == (True, None, None)
    assert document["language"] == "python"
    assert all(os.path.isfile(path) for path in document["files"])
    assert document["system"] == str(empty.folder / "Symphony.toml")
    assert document["next"][0] == "symphony call hello.hello who=you"


@pytest.mark.parametrize(
    "name", ["a.b", "a/b", "../up", "..", "", "-x y", "artifact-store", "größe", 'a"b', "a\nb"]
)
def test_a_name_that_manifests_refuse_writes_nothing(empty, name, form):
    before = tree(empty.folder.parent)
    refused = empty("new", "extension", "--json", "--", name)
    assert refused.code == 2, refused
    form(refused.err)
    assert refused.document["ok"] is False
    assert refused.document["error"]["message"]
    assert tree(empty.folder.parent) == before


@pytest.mark.parametrize("there", ["file", "empty folder", "full folder", "dangling link"])
def test_nothing_is_overwritten(empty, there, form):
    place = empty.folder / "hello"
    if there == "file":
        place.write_text("mine")
    elif there == "dangling link":
        place.symlink_to("nowhere")
    else:
        place.mkdir()
    if there == "full folder":
        (place / "mine").write_text("mine")
    before = tree(empty.folder)
    refused = empty("new", "extension", "hello")
    assert refused.code == 2
    assert "exists" in refused.err
    form(refused.err)
    assert tree(empty.folder) == before


def test_a_name_that_the_system_has_is_refused(cli, workshop):
    folder = workshop.extension("other", "", "")
    manifest = folder / "Symphony.toml"
    manifest.write_text(manifest.read_text().replace('"other"', '"hello"'))
    refused = cli("new", "extension", "hello")
    assert refused.code == 2
    assert "extensions/other/Symphony.toml" in refused.err
    assert not (workshop.folder / "extensions" / "hello").exists()


def test_a_full_disk_leaves_nothing(empty, form):
    """A file that cannot be written whole: the limit ends every write behind the first bytes."""
    script = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\n"
        "from symphony._cli import main\n"
        "sys.dont_write_bytecode = True\n"
        "sys.exit(main(['new', 'extension', 'hello']))\n"
    )
    refused = subprocess.run(
        [sys.executable, "-B", "-c", script],
        cwd=empty.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert refused.returncode == 1, refused
    form(refused.stderr)
    assert tree(empty.folder) == []


@pytest.mark.parametrize("name", ["json", "symphony", "class", "3d", "test", "numpy_like"])
def test_a_module_hides_no_other(empty, name):
    assert empty("new", "extension", name).code == 0
    assert empty("call", f"{name}.hello", "who=x").out == "Hello, x!\n"


def test_a_program_that_exists_needs_a_manifest_only(empty):
    write(empty.folder / "server.sh", "#!/bin/sh\n").chmod(0o755)
    made = empty("new", "extension", "mine", "--command", "./server.sh --flag 'two words'")
    assert made.code == 0, made
    assert tree(empty.folder / "mine") == ["Symphony.toml"]
    text = (empty.folder / "mine" / "Symphony.toml").read_text()
    words = [str(empty.folder / "server.sh"), "--flag", "two words"]
    assert f"command = {json.dumps(words)}" in text
    refused = empty("new", "extension", "other", "--command", "./absent")
    assert refused.code == 2
    assert "absent" in refused.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--protocol", "lsp"],
        ["--protocol", "mcp", "--language", "rust"],
        ["--command", "x", "--language", "c"],
        ["--command", ""],
        ["--command", "'open"],
        ["--language", "cobol"],
        ["--protocol", "dbus", "--command", "x"],
    ],
)
def test_arguments_that_do_not_go_together_are_refused(empty, arguments, form):
    refused = empty("new", "extension", "hello", *arguments)
    assert refused.code == 2
    form(refused.err)
    assert tree(empty.folder) == []


@pytest.mark.parametrize("protocol", ["lsp", "mcp"])
def test_a_server_is_written_as_manifests_know_it(empty, protocol):
    made = empty("new", "extension", "server", "--protocol", protocol, "--command", "pylsp -v")
    assert made.code == 0, made
    text = (empty.folder / "server" / "Symphony.toml").read_text()
    assert f'protocol = "{protocol}"' in text
    assert 'command = ["pylsp", "-v"]' in text
    assert ('languages = ["python"]' in text) == (protocol == "lsp")
    assert empty("check").code == 0


def test_what_is_built_by_hand_is_told(empty):
    made = empty("new", "extension", "hello", "--language", "c", "--no-build", "--json")
    assert made.document["built"] is False
    assert made.document["next"][0] == "cd hello && make"
    assert not (empty.folder / "hello" / "extension-hello").exists()


def test_a_missing_tool_is_told_and_takes_nothing_back(empty, cli):
    cli.environment["PATH"] = ""
    made = empty("new", "extension", "hello", "--language", "rust", "--json")
    assert made.code == 0, made
    assert "`cargo` is not installed" in made.err
    assert made.document["next"][0] == "cd hello && cargo build --target-dir target"
    assert (empty.folder / "hello" / "src" / "main.rs").is_file()


@pytest.mark.parametrize(
    "arguments", [["extension"], ["extension", "a", "--language", "cobol"], ["nothing", "a"], []]
)
def test_a_wrong_call_is_2_and_still_one_document(empty, arguments):
    whole = empty("new", "extension", "a/b", "--json").document
    told = empty("new", *arguments, "--json")
    assert told.code == 2, told
    assert set(told.document) == set(whole)
    assert (told.document["ok"], told.document["error"]["code"]) == (False, "invalid-value")
    assert told.err.startswith("error: "), told
    assert tree(empty.folder) == []


@pytest.mark.parametrize("name", ["test-runner", "speed-test", "conftest", "test_x"])
def test_a_name_like_a_tests_gives_no_module_like_one(empty, name):
    assert empty("new", "extension", name).code == 0
    module = name.replace("-", "_") + "_extension"
    assert (empty.folder / name / f"{module}.py").is_file(), tree(empty.folder)
    called = empty("call", f"{name}.hello", "who=x")
    assert (called.code, called.out) == (0, "Hello, x!\n"), called
