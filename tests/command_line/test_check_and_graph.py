"""`symphony check` and `symphony graph`: everything is read, nothing is imported or run."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

ECHO = """
@extension.operation
def echo(value):
    return value
"""
SIDE_EFFECT = "open({!r}, 'w').close()\n"
MELODY = """
    [melody]
    name = "m"
    inputs = ["x"]
    [[node]]
    id = "a"
    call = "echo.echo"
    with = {with_}
"""


def one_melody(workshop, with_='{ value = "${inputs.x}" }', call="echo.echo", more=""):
    workshop.extension("echo", ECHO)
    text = MELODY.replace("{with_}", with_).replace("echo.echo", call)
    return workshop.melody(text + more)


def faults_of(ended, keys):
    document = ended.document
    assert set(document) == {"ok", "diagnostics"}
    for fault in document["diagnostics"]:
        assert set(fault) == keys["fault"]
        assert fault["severity"] in ("error", "warning", "note")
        assert isinstance(fault["path"], list)
        assert fault["file"] is None or fault["file"].startswith("/")
    return document["ok"], document["diagnostics"]


def test_a_good_folder_is_ok_and_nothing_in_it_runs(workshop, cli, keys):
    mark = workshop.folder / "ran"
    one_melody(workshop)
    extension = workshop.folder / "extensions" / "echo" / "echo.py"
    effect = SIDE_EFFECT.format(str(mark))
    extension.write_text(effect + extension.read_text())
    (workshop.folder / "app.py").write_text(
        effect
        + "from symphony import boot, component\n\n@component\nclass Index: ...\n\n"
        + "@component\nclass Planner:\n    def __init__(self, index: Index): ...\n"
    )
    ended = cli("check")
    counts = "looked at 5 files: 2 components, 1 extension and 1 Melody"
    assert (ended.code, ended.out, ended.err) == (0, f"no faults found\n{counts}\n", "")
    ended = cli("check", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert faults_of(ended, keys) == (True, [])
    assert not mark.exists()
    assert not list(workshop.folder.rglob("__pycache__"))
    assert not (workshop.folder / ".symphony").exists()


MELODY_FAULTS = {
    "an unknown operation": (
        {"call": "echo.ecko"},
        "unknown-operation",
        "`a` calls `echo.ecko`, and `echo` has no operation `ecko`",
        6,
        "did you mean `echo.echo`?",
    ),
    "an unknown extension": (
        {"call": "ecko.echo"},
        "unknown-operation",
        "`a` calls `ecko.echo`, and there is no `ecko`",
        6,
        "did you mean `echo.echo`?",
    ),
    "an unknown node": (
        {"with_": '{ value = "${b}" }'},
        "melody-invalid",
        "`a` needs `b`, and nobody provides it",
        7,
        None,
    ),
    "its own output": (
        {"with_": '{ value = "${a}" }'},
        "melody-invalid",
        "`a` uses its own output",
        7,
        None,
    ),
    "an input that it lacks": (
        {"with_": "{}"},
        "melody-invalid",
        "`a` lacks the input `value` of `echo.echo`",
        6,
        "add `value = …` to `with`",
    ),
    "an input of the run that there is not": (
        {"with_": '{ value = "${inputs.y}" }'},
        "melody-invalid",
        "`a` uses the input `y`, which the Melody does not have",
        7,
        "`inputs` of `[melody]`",
    ),
    "a ring": (
        {
            "with_": '{ value = "${b}" }',
            "more": '\n    [[node]]\n    id = "b"\n    call = "echo.echo"\n'
            '    with = { value = "${c}" }\n'
            '    [[node]]\n    id = "c"\n    call = "echo.echo"\n    with = { value = "${a}" }\n',
        },
        "melody-invalid",
        "dependency cycle: `a` -> `b` -> `c` -> `a`",
        7,
        "take one of these references out",
    ),
}


@pytest.mark.parametrize("fault", MELODY_FAULTS.values(), ids=MELODY_FAULTS)
def test_a_melody_at_fault_is_refused_by_check_and_by_run_alike(
    fault, workshop, cli, form, error_document, keys
):
    options, code, message, line, hint = fault
    one_melody(workshop, **options)
    ok, (found, *rest) = faults_of(cli("check", "--json"), keys)
    assert (ok, rest) == (False, [])
    assert (found["code"], found["message"], found["line"]) == (code, message, line)
    assert found["file"] == str(workshop.folder / "melody.toml")
    assert found["column"] >= 1
    assert hint is None or hint in found["hint"]
    arguments = ("run", "--melody", "melody.toml", "--input", "x=1")
    checked, ran = cli("check"), cli(*arguments)
    assert (checked.code, ran.code) == (1, 1), ran
    form(checked.err)
    form(ran.err)
    assert checked.err.strip() == ran.err.strip()
    assert f"error: {message}\n  melody.toml:{line}" in ran.err
    document = cli(*arguments, "--json").document
    error_document(document)
    assert message in document["error"]["message"]
    assert document["runs"]["count"] == 0


RING = """
from symphony import component

@component
class Planner:
    def __init__(self, index: "Index"): ...

@component
class Index:
    def __init__(self, store: "Store"): ...

@component
class Store:
    def __init__(self, planner: Planner): ...
"""


def test_a_ring_of_three_components_is_found_in_source(workshop, cli, form, keys):
    workshop.config.unlink()
    (workshop.folder / "app.py").write_text(RING)
    ended = cli("check")
    assert ended.code == 1, ended
    form(ended.err)
    assert ended.err.startswith(
        "error: dependency cycle: `Planner` -> `Index` -> `Store` -> `Planner`\n"
        "  app.py:6   `Planner` needs `Index`\n"
        "  app.py:10  `Index` needs `Store`\n"
        "  app.py:14  `Store` needs `Planner`\n"
        "hint: declare "
    )
    _, (fault,) = faults_of(cli("check", "--json"), keys)
    assert fault["code"] == "dependency-cycle"
    assert sorted(fault["path"]) == ["Index", "Planner", "Store"]


@pytest.mark.parametrize(
    ("source", "code", "line"),
    [
        (
            (
                "from symphony import component\nclass Index: ...\n\n@component\nclass Planner:\n"
                "    def __init__(self, index: Index): ...\n"
            ),
            "missing-dependency",
            6,
        ),
        (
            (
                "from symphony import component\n@component\nclass Planner:\n"
                "    def __init__(self, index: Nowhere): ...\n"
            ),
            "unresolved-annotation",
            4,
        ),
        (
            (
                "from symphony import component\n\n@component(name='one')\nclass A: ...\n\n"
                "@component(name='one')\nclass B: ...\n"
            ),
            "duplicate-component",
            None,
        ),
        ("import symphony\ndef broken(:\n", "source-invalid", 2),
    ],
)
def test_faults_of_components_are_found_in_source(workshop, cli, keys, source, code, line):
    workshop.config.unlink()
    (workshop.folder / "app.py").write_text(source)
    ended = cli("check", "--json")
    assert ended.code == 1, ended
    _, faults = faults_of(ended, keys)
    (fault,) = faults
    assert fault["code"] == code
    assert fault["file"] == str(workshop.folder / "app.py")
    assert line is None or fault["line"] == line


def test_all_faults_of_all_kinds_are_told_at_once_sorted_by_place(workshop, cli, keys):
    one_melody(workshop, call="echo.ecko")
    workshop.system("slotss = 1\n")
    (workshop.folder / "app.py").write_text(RING)
    ok, faults = faults_of(cli("check", "--json"), keys)
    assert not ok
    codes = [fault["code"] for fault in faults]
    assert {"dependency-cycle", "manifest-invalid"} <= set(codes)
    places = [(fault["file"], fault["line"]) for fault in faults]
    assert places == sorted(places)
    text = cli("check")
    counts = "looked at 5 files: 3 components, 2 extensions and 1 Melody"
    assert text.out == f"{len(faults)} errors\n{counts}\n"
    assert len(re.findall(r"^error: ", text.err, re.MULTILINE)) == len(faults)


def test_notes_and_warnings_do_not_fail(workshop, cli, keys):
    folder = workshop.extension("native", "")
    (folder / "Symphony.toml").write_text(
        '[extension]\nname = "native"\nversion = "1.0.0"\ncommand = ["true"]\n'
    )
    workshop.melody('[melody]\nname = "m"\n[[node]]\nid = "a"\ncall = "native.do"\n')
    ended = cli("check", "--json")
    assert ended.code == 0, ended
    ok, faults = faults_of(ended, keys)
    assert ok
    assert [(fault["code"], fault["severity"]) for fault in faults] == [("unverified", "note")]


def test_a_path_that_is_not_there_is_a_wrong_call(cli, form, keys):
    ended = cli("check", "no-such-folder", "--json")
    assert ended.code == 2, ended
    ok, (fault,) = faults_of(ended, keys)
    assert (ok, fault["message"]) == (False, "no such file or folder: `no-such-folder`")
    ended = cli("check", "no-such-folder")
    assert ended.code == 2
    form(ended.err)
    ended = cli("check", "--no-such-flag", "--json")
    assert ended.code == 2
    assert ended.document["ok"] is False


def test_several_paths_and_single_files_can_be_named(workshop, cli, keys):
    one_melody(workshop, with_='{ value = "${b}" }')
    (workshop.folder / "app.py").write_text(RING)
    _, faults = faults_of(cli("check", "melody.toml", "app.py", "--json"), keys)
    assert {fault["code"] for fault in faults} >= {"melody-invalid", "dependency-cycle"}
    ended = cli("check", "Symphony.toml", "extensions")
    assert ended.code == 0, ended


def test_the_graph_has_every_component_in_its_phase(workshop, cli):
    workshop.extension("eager-one", ECHO, 'activation = "eager"\n')
    ended = cli("graph", "Symphony.toml", "--format", "json")
    assert (ended.code, ended.err) == (0, "")
    graph = ended.document
    phases = {entry["name"]: entry["phase"] for entry in graph["components"]}
    assert phases["supervisor"] == "foundation"
    assert phases["ipc-bus"] == "ipc_bus"
    assert phases["artifact-store"] == "pit"
    assert phases["orchestra-kit"] == phases["eager-one"] == "orchestra_kit"
    text = cli("graph", "--format", "text").out
    assert cli("graph").out == text
    places = [text.index(f"\n{phase}\n") for phase in ("ipc_bus", "pit", "orchestra_kit")]
    assert places == sorted(places)
    for name in phases:
        assert f"  {name}" in text
    mermaid = cli("graph", "--format", "mermaid").out
    assert mermaid.startswith("flowchart ")
    assert mermaid.count('"]') == len(phases)
    dot = cli("graph", "--format", "dot").out
    assert dot.startswith("digraph symphony {")
    assert dot.rstrip().endswith("}")
    edges = sum(len(entry["needs"]) for entry in graph["components"])
    assert dot.count(" -> ") == mermaid.count(" --> ") == edges
    picture = ET.fromstring(cli("graph", "--format", "svg").out)
    space = "{http://www.w3.org/2000/svg}"
    titles = {title.text for title in picture.iter(f"{space}title")}
    assert titles == set(phases)
    assert len(list(picture.iter(f"{space}path"))) == edges
    assert not (workshop.folder / ".symphony").exists()


def test_the_graph_of_a_faulty_system_is_its_faults(workshop, cli, form):
    workshop.system("memmbers = []\n")
    ended = cli("graph", "Symphony.toml")
    assert (ended.code, ended.out) == (1, "")
    form(ended.err)
    assert "did you mean `members`?" in ended.err
    ended = cli("graph", "nowhere.toml")
    assert ended.code == 1
    form(ended.err)
    assert cli("graph", "--format", "png").code == 2


def test_the_graph_without_a_manifest_is_that_of_the_core(workshop, cli):
    workshop.config.unlink()
    graph = json.loads(cli("graph", "--format", "json").out)
    assert "orchestra-kit" in {entry["name"] for entry in graph["components"]}


@pytest.mark.parametrize(
    "name", ["pipe.py", "pipe.toml", "pipe.json", "Symphony.toml", "__init__.py"]
)
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_check_waits_for_no_pipe_and_no_socket(name, kind, tmp_path, monkeypatch):
    (tmp_path / "app.py").write_text("from symphony import component\n@component\nclass A: ...\n")
    odd = tmp_path / name
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            monkeypatch.chdir(tmp_path)  # A socket's path has 108 bytes at most.
            listener.bind(name)
    told = subprocess.run(
        [sys.executable, "-m", "symphony", "check", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if name == "Symphony.toml":
        assert told.returncode == 1
        assert "is not a regular file" in told.stderr + told.stdout
    else:
        assert told.returncode == 0, told
