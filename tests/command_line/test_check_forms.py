"""What `symphony check` says of how much it looked at, and the forms that other programs read."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from urllib.parse import unquote, urlparse

import pytest
from workshop import ECHO, write

NEEDY = """
from symphony import component

class Clock: ...

@component
class Index:
    def __init__(self, clock: Clock) -> None: ...
"""


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        (".", "5 files: 1 component, 1 extension and 1 Melody"),
        ("extensions", "2 files: 0 components, 1 extension and 0 Melodies"),
        ("extensions/echo/echo.py", "1 file: 0 components, 0 extensions and 0 Melodies"),
        ("app.py", "1 file: 1 component, 0 extensions and 0 Melodies"),
    ],
)
def test_it_says_how_much_it_looked_at(workshop, cli, argument, told):
    workshop.extension("echo", ECHO)
    workshop.melody(
        '[melody]\nname = "review"\n[[node]]\nid = "a"\ncall = "echo.echo"\nwith = { value = 1 }\n',
        "review.toml",
    )
    write(workshop.folder / "app.py", "from symphony import component\n@component\nclass A: ...\n")
    ended = cli("check", argument)
    assert (ended.code, ended.out) == (0, f"no faults found\nlooked at {told}\n"), ended


def test_what_is_counted_twice_over_is_counted_once(workshop, cli):
    write(
        workshop.folder / "app.py",
        "from symphony import boot, component\n@component\nclass A: ...\n\n"
        "boot(components=[A])\nboot(components=[A])\n",
    )
    ended = cli("check", ".", "app.py")
    assert "looked at 2 files: 1 component, 0 extensions" in ended.out, ended


def github_fields(line):
    """What GitHub's runner reads of a workflow command: its name, its properties, its text."""
    command = re.fullmatch(r"::(error|warning|notice) (.*?)::(.*)", line)
    assert command, line
    properties = dict(part.split("=", 1) for part in command[2].split(","))

    def plain(text):
        for escaped, char in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n")):
            text = text.replace(escaped, char)
        return text.replace("%25", "%")

    return command[1], {key: plain(value) for key, value in properties.items()}, plain(command[3])


@pytest.mark.parametrize("folder", ["plain", "a,b:c%0A::error", "ö\nline"])
def test_annotations_are_whole_whatever_a_name_holds(workshop, cli, folder):
    workshop.config.unlink()
    write(workshop.folder / folder / "app.py", NEEDY)
    faults = cli("check", "--json").document["diagnostics"]
    ended = cli("check", "--format", "github")
    assert ended.code == 1
    *lines, counted, looked = ended.out.splitlines()
    assert (len(lines), counted) == (len(faults), "1 error")
    assert looked.startswith("looked at 1 file")
    (fault,) = faults
    command, properties, text = github_fields(lines[0])
    assert command == "error"
    assert properties == {
        "file": f"{folder}/app.py",
        "line": str(fault["line"]),
        "col": str(fault["column"]),
        "title": "missing-dependency",
    }
    assert text.startswith(fault["message"])
    assert text.endswith(f"hint: {fault['hint']}")


def test_a_note_is_a_notice_and_no_place_is_no_property(workshop, cli):
    workshop.config.unlink()
    write(
        workshop.folder / "app.py",
        "from symphony import boot\ndef run(parts):\n    boot(components=parts)\n",
    )
    ended = cli("check", "--format", "github")
    assert ended.code == 0
    assert ended.out.startswith("::notice file=app.py,line=3,"), ended
    ended = cli("check", "--format", "github", "no, such: place")
    assert ended.code == 2
    assert ended.out.startswith("::error title=invalid-value::no such file or folder: `no, such")


@pytest.mark.parametrize("folder", ["plain", "with space", "ü%20#x"])
def test_sarif_has_what_its_schema_requires(workshop, cli, folder):
    file = write(workshop.folder / folder / "app.py", NEEDY)
    workshop.extension("echo", ECHO, "activatoin = 1\n")
    faults = cli("check", "--json").document["diagnostics"]
    ended = cli("check", "--format", "sarif")
    assert (ended.code, ended.err) == (1, "")
    log = ended.document
    assert (log["version"], urlparse(log["$schema"]).scheme) == ("2.1.0", "https")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "symphony"
    rules = [rule["id"] for rule in driver["rules"]]
    assert len(rules) == len(set(rules))
    assert len(run["results"]) == len(faults) == 2
    base = urlparse(run["originalUriBaseIds"]["SRCROOT"]["uri"])
    assert (base.scheme, unquote(base.path)) == ("file", f"{workshop.folder}/")
    for result, fault in zip(run["results"], faults):
        assert rules[result["ruleIndex"]] == result["ruleId"] == fault["code"]
        assert result["level"] == fault["severity"]
        assert fault["message"] in result["message"]["text"]
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert place["artifactLocation"]["uriBaseId"] == "SRCROOT"
        uri = urlparse(place["artifactLocation"]["uri"])
        assert (uri.scheme, uri.fragment, uri.query) == ("", "", "")
        assert os.path.join(workshop.folder, unquote(uri.path)) == fault["file"]
        assert place["region"] == {"startLine": fault["line"], "startColumn": fault["column"]}
    assert any(fault["file"] == str(file) for fault in faults)


def test_sarif_of_a_ring_names_its_other_places_and_what_has_no_place_has_none(workshop, cli):
    workshop.config.unlink()
    write(
        workshop.folder / "app.py",
        "from symphony import component\n@component\nclass A:\n    def __init__(self, b: 'B'): ...\n"
        "@component\nclass B:\n    def __init__(self, a: A): ...\n",
    )
    (run,) = cli("check", "--format", "sarif").document["runs"]
    (ring,) = run["results"]
    related = [
        place["physicalLocation"]["region"]["startLine"] for place in ring["relatedLocations"]
    ]
    assert len(related) == 2
    (run,) = cli("check", "--format", "sarif", "absent").document["runs"]
    assert [result["locations"] for result in run["results"]] == [[]]


def test_two_forms_at_once_are_a_wrong_call(cli):
    ended = cli("check", "--json", "--format", "sarif")
    assert ended.code == 2
    assert ended.document["ok"] is False
    assert cli("check", "--format", "xml").code == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_an_interpreter_hangs_ends_the_check(workshop, cli, number, code):
    """What came was a fault of the manifest once, and the check went on."""
    mark = workshop.folder / "asked"
    hangs = write(workshop.folder / "hangs", f"#!{sys.executable}\n")
    hangs.write_text(f"#!/bin/sh\necho > {mark}\nexec sleep 30\n")
    hangs.chmod(0o755)
    for name in ("one", "two"):
        workshop.extension(name, ECHO, f'python = "{hangs}"\n')
    process = cli.start("check")
    try:
        deadline = time.monotonic() + 20
        while not mark.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert mark.exists()
        process.send_signal(number)
        out, err = process.communicate(timeout=15)
    finally:
        process.kill()
    assert process.returncode == code, (out, err)
    assert "manifest-invalid" not in out + err


TOO_DEEP = {
    "for the parser": "x = " + "-" * 20_000 + "1\n",
    # From Python 3.11 on; one that reads it has no fault.
    "for the tree": "x = a" + ".b" * 20_000 + "\n",
    "for what follows it": "boot(components=[a" + ".b" * 900 + "])\n",
    "in an annotation": "@component\nclass A:\n    def __init__(self, b: x"
    + "[0]" * 900
    + "): ...\n",
}


@pytest.mark.parametrize("depth", TOO_DEEP)
def test_a_file_that_is_too_deep_costs_that_file_alone(cli, workshop, depth):
    (workshop.folder / "deep.py").write_text(
        "from symphony import boot, component\n" + TOO_DEEP[depth]
    )
    (workshop.folder / "shop.py").write_text("import symphony\ndef f(:\n")
    ended = cli("check", "--json")
    assert ended.code == 1, ended
    faults = [fault for fault in ended.document["diagnostics"] if fault["severity"] == "error"]
    places = {(fault["code"], os.path.basename(fault["file"])) for fault in faults}
    assert ("source-invalid", "shop.py") in places, ended
    assert places <= {("source-invalid", "shop.py"), ("source-invalid", "deep.py")}, ended
    if depth == "for the parser":
        assert len(faults) == 2, ended


def test_a_too_deep_entry_is_one_fault(cli, workshop):
    workshop.extension("echo", TOO_DEEP["for the parser"])
    ended = cli("check", "--json")
    (fault,) = ended.document["diagnostics"]
    assert (ended.code, fault["code"]) == (1, "source-invalid"), ended


def test_a_pipe_that_is_asked_about_is_a_fault_of_its_own(cli, workshop):
    os.mkfifo(workshop.folder / "p.py")
    ended = cli("check", "--json", "p.py", timeout=30)
    (fault,) = ended.document["diagnostics"]
    assert (ended.code, fault["code"], ended.document["ok"]) == (1, "source-invalid", False)
    assert "not a regular file" in fault["message"]


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        ("KeyboardInterrupt()", 130, "interrupted"),
        ("Terminated(143)", 143, "interrupted"),
        ("KeyError('x')", 1, "internal"),
    ],
)
def test_a_check_that_is_ended_still_gives_its_document(cli, raised, code, said):
    program = (
        "import sys\nfrom symphony._boot.threads import Terminated\nfrom symphony._cli import _check, _main\n"
        f"def ended(*_): raise {raised}\n"
        "_check.read_graphs = ended\nsys.exit(_main.main(['check', '--json']))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=cli.workshop.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == code, ended
    document = json.loads(ended.stdout)
    assert document["ok"] is False
    assert [fault["code"] for fault in document["diagnostics"]] == [said]
    assert ended.stderr.startswith("error: ")


def test_what_is_absent_is_also_told_to_people(cli):
    ended = cli("check", "--json", "nope")
    assert (ended.code, ended.document["ok"]) == (2, False)
    assert "no such file or folder: `nope`" in ended.err


def test_a_class_that_takes_the_name_of_its_base_is_no_fault(workshop, cli):
    (workshop.folder / "base.py").write_text("class Thing:\n    pass\n")
    (workshop.folder / "app.py").write_text(
        "from base import Thing\n\nclass Thing(Thing):\n    pass\n\n"
        "from symphony import boot\nboot(components=[Thing()])\n"
    )
    ended = cli("check", "--json")
    assert ended.code == 0, ended
    assert "nested" not in ended.out
