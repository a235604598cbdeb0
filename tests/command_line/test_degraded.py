"""A boot that came up with less than it should have: what each command says of it, and what scripts can ask."""

from __future__ import annotations

import pytest

ECHO = """
@extension.operation
def echo(value):
    return value
"""
LAME = """
@extension.on_start
def begin():
    raise RuntimeError("not today")
"""
PARTS = """
from symphony import Health, component

@component(required=False)
class Spelling:
    def __init__(self):
        raise OSError("no dictionary")

@component(required=False)
class Hints:
    def __init__(self, spelling: Spelling):
        pass

@component
class Disk:
    def health(self):
        return Health.degraded("97% full")

@component
class Archive:
    def health(self):
        return Health.degraded("97% full")
"""
NO_START = "`lame` failed: "


@pytest.fixture
def lame(workshop):
    """A system with an extension that does not start, and is not required."""
    workshop.extension("lame", LAME + ECHO, 'activation = "eager"\nrequired = false\n')
    workshop.extension("echo", ECHO)
    return workshop


@pytest.mark.parametrize("strict", [False, True])
def test_a_part_that_did_not_start_is_told_with_its_reason_and_with_strict_fails(lame, cli, strict):
    flags = ["--strict"] if strict else []
    ended = cli("run", *flags)
    assert ended.code == (1 if strict else 0), ended
    word = "error" if strict else "warning"
    (line,) = ended.err.splitlines()
    assert line.startswith(f"{word}: the boot is degraded: {NO_START}"), ended
    assert "not today" in line
    assert ", degraded, " in ended.out.splitlines()[0]
    ended = cli("run", "--json", *flags)
    assert ended.code == (1 if strict else 0), ended
    assert (ended.document["state"], ended.document["ok"]) == ("degraded", not strict)
    assert ended.document["error"] is None
    assert ended.err.splitlines() == [line]


def test_a_call_tells_it_too(lame, cli):
    ended = cli("call", "echo.echo", "value=3", "--json")
    assert (ended.code, ended.document["result"]) == (0, "3"), ended
    assert NO_START in ended.err


def test_each_part_is_told_in_one_line_whatever_is_amiss_with_it(workshop, cli):
    (workshop.folder / "parts.py").write_text(PARTS)
    workshop.system('components = ["parts"]\n')
    ended = cli("run")
    told = [line for line in ended.err.splitlines() if line.startswith("warning: ")]
    parts = [line.removeprefix("warning: the boot is degraded: ").split(":")[0] for line in told]
    assert sorted(parts) == [
        "`Archive` degraded",
        "`Disk` degraded",
        "`Hints` skipped",
        "`Spelling` failed",
    ], ended
    _, disk, hints, spelling = sorted(told)
    assert "97% full" in disk
    assert "no dictionary" in spelling
    assert "`Spelling`" in hints


def test_a_healthy_boot_says_so_and_one_that_failed_says_nothing(lame, workshop, cli):
    (workshop.folder / "extensions" / "lame" / "lame.py").write_text(
        "from symphony.extension import Extension\nextension = Extension('lame')\n" + ECHO
    )
    ended = cli("run", "--json", "--strict")
    assert (ended.code, ended.document["state"], ended.err) == (0, "healthy", ""), ended
    ended = cli("run", "--json", "--conductor", "no_such_module:make")
    assert (ended.code, ended.document["state"]) == (1, None), ended
