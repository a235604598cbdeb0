"""What the start of an extension refuses of its operations is found by `check` in its source, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from symphony import BootError, ExtensionError, boot

REFUSED = {
    "positional only": "@extension.operation\ndef odd(a, /, b=1):\n    return a\n",
    "any number": "@extension.operation\ndef odd(*values):\n    return 1\n",
    "asynchronous": "@extension.operation(name='odd')\nasync def strange(a, /):\n    return a\n",
    "a stream": "@extension.operation\ndef odd(*values):\n    yield 1\n",
    "twice": (
        "@extension.operation\ndef odd():\n    return 1\n\n"
        "@extension.operation(name='odd')\ndef other():\n    return 2\n"
    ),
}
LAWFUL = {
    "what a decorator makes": (
        "def named(function):\n    return lambda value: function(value)\n\n"
        "def wide(function):\n    def odd(value):\n        return function(value)\n    return odd\n\n"
        "@extension.operation\n@wide\ndef odd(a, /):\n    return a\n"
    ),
    "one of two": (
        "import sys\nif sys.platform == 'win32':\n"
        "    @extension.operation\n    def odd(value):\n        return 'there'\n"
        "else:\n    @extension.operation\n    def odd(value):\n        return value\n"
    ),
    "by name": "@extension.operation\ndef odd(*, value, **more):\n    return value\n",
}


@pytest.mark.parametrize("source", list(REFUSED.values()), ids=list(REFUSED))
def test_what_a_start_refuses_is_found_in_the_source(workshop, cli, source):
    folder = workshop.extension("lab", source)
    ended = cli("check", "--json")
    (fault,) = [
        fault for fault in json.loads(ended.out)["diagnostics"] if fault["severity"] == "error"
    ]
    assert (ended.code, fault["code"]) == (1, "source-invalid"), ended
    assert fault["message"].startswith("operation `odd` ")
    assert fault["file"].startswith(str(folder)), fault
    lines = Path(fault["file"]).read_text(encoding="utf-8").splitlines()
    assert "def " in lines[fault["line"] - 1]
    assert fault["hint"]
    with boot(config=workshop.config) as system, pytest.raises(ExtensionError):
        system.kit.extension("lab").activate()


@pytest.mark.parametrize("source", list(LAWFUL.values()), ids=list(LAWFUL))
def test_what_a_start_takes_is_no_fault(workshop, cli, source):
    workshop.extension("lab", source)
    ended = cli("check")
    assert ended.code == 0, ended
    with boot(config=workshop.config) as system:
        assert system.kit.extension("lab").call("odd", value=3) == 3


def rewritten(folder, **words):
    """The manifest with further keys, or others, of the extension itself."""
    lines = (folder / "Symphony.toml").read_text().splitlines()
    kept = [line for line in lines if line.partition("=")[0].strip() not in words]
    at = kept.index("[extension]") + 1
    kept[at:at] = [f"{key} = {json.dumps(word)}" for key, word in words.items()]
    (folder / "Symphony.toml").write_text("\n".join(kept) + "\n")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ({"name": "other"}, "source-invalid", "it calls itself `lab`, its manifest `other`"),
        ({"execution": "pit"}, "manifest-invalid", "Python runs in a process of its own"),
    ],
    ids=["another name", "in the pit"],
)
def test_a_manifest_that_its_source_does_not_fit_is_a_fault(workshop, cli, words, code, text):
    folder = workshop.extension("lab", LAWFUL["by name"])
    rewritten(folder, activation="eager", **words)
    ended = cli("check", "--json")
    (fault,) = json.loads(ended.out)["diagnostics"]
    assert (ended.code, fault["code"], fault["message"]) == (1, code, text), ended
    with pytest.raises(BootError):
        boot(config=workshop.config)


@pytest.mark.parametrize("name", ["pit", "state", "supervisor"])
def test_an_eager_extension_with_the_name_of_a_part_is_a_fault(workshop, cli, name):
    rewritten(workshop.extension(name, LAWFUL["by name"]), activation="eager")
    ended = cli("check", "--json")
    faults = json.loads(ended.out)["diagnostics"]
    assert (ended.code, [fault["code"] for fault in faults]) == (1, ["duplicate-component"]), ended
    with pytest.raises(BootError) as raised:
        boot(config=workshop.config)
    assert raised.value.code == "duplicate-component"


@pytest.mark.parametrize("inside", [False, True], ids=["beside the manifest", "in a folder"])
def test_a_melody_that_is_named_alone_is_held_against_the_system_around_it(workshop, cli, inside):
    workshop.extension("lab", LAWFUL["by name"])
    workshop.extension("broken", "def (:\n")
    folder = workshop.folder / "melodies" if inside else workshop.folder
    folder.mkdir(exist_ok=True)
    for operation, code in (("odd", 0), ("even", 1)):
        (folder / "one.toml").write_text(
            f'[melody]\nname = "one"\n[[node]]\nid = "a"\ncall = "lab.{operation}"\nwith = {{ value = 1 }}\n'
        )
        ended = cli("check", folder / "one.toml")
        assert ended.code == code, ended
        assert "lab.py" not in ended.err + ended.out
        assert "broken" not in ended.err + ended.out
    assert "has no operation `even`" in ended.err
