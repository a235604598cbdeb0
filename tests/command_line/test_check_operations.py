"""What the start of an extension refuses of its operations is found by `check` in its source, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from symphony import ExtensionError, boot

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
