"""Components and the Conductor that a manifest names: booted, checked, and overruled."""

from __future__ import annotations

import pytest
from conftest import write
from symphony import Conductor, boot

PARTS = """
from symphony import component
@component
class Index: ...
class Absent: ...
"""
BRAIN = """
from symphony import Conductor, OrchestraKit
from {home}parts import Index
class Brain(Conductor):
    def __init__(self, kit: OrchestraKit, index: Index):
        super().__init__(kit)
def make(kit: OrchestraKit, index: Index) -> Conductor:
    return Conductor(kit)
"""


@pytest.fixture
def declared(workshop):
    """A system whose manifest names a package's modules."""

    def make(home: str, conductor: str = "Brain"):
        folder = workshop.folder / home.replace(".", "/") if home else workshop.folder
        if home:
            write(folder / "__init__.py", "")
        dot = f"{home}." if home else ""
        write(folder / f"{home}parts.py", PARTS)
        write(folder / f"{home}brain.py", BRAIN.format(home=f"{dot}{home}"))
        workshop.system(
            f'components = ["{dot}{home}parts"]\nconductor = "{dot}{home}brain:{conductor}"\n',
            extensions="[]",
        )
        return workshop

    return make


@pytest.mark.parametrize("home", ["", "shopkit"])
@pytest.mark.parametrize("conductor", ["Brain", "make"])
def test_the_command_line_boots_what_the_manifest_names(declared, cli, home, conductor):
    declared(home, conductor)
    checked = cli("check", "--json")
    assert (checked.code, checked.document["diagnostics"]) == (0, [])
    ended = cli("run", "--json")
    assert ended.code == 0, ended
    names = [each["name"] for each in ended.document["components"]]
    assert {"Index", conductor} <= set(names)


def test_it_is_found_beside_its_manifest(declared, cli, tmp_path_factory):
    folder = declared("").folder
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    ended = cli("run", folder, "--json", cwd=elsewhere)
    assert ended.code == 0, ended
    assert "Brain" in [each["name"] for each in ended.document["components"]]


def test_an_argument_wins_and_components_are_added(declared, monkeypatch):
    workshop = declared("")
    monkeypatch.syspath_prepend(str(workshop.folder))

    class Mine(Conductor):
        pass

    class More:
        pass

    with boot(config=workshop.config) as system:
        assert type(system.conductor).__name__ == "Brain"
        from parts import Index

        assert isinstance(system[Index], Index)
    with boot(Mine, config=workshop.config, components=[More, "parts"]) as system:
        assert type(system.conductor) is Mine
        assert isinstance(system[More], More)
        assert isinstance(system[Index], Index)


def test_check_says_what_the_boot_says(declared, cli):
    workshop = declared("")
    write(
        workshop.folder / "parts.py",
        PARTS + "@component\nclass Needs:\n    def __init__(self, absent: Absent): ...\n",
    )
    checked = cli("check")
    ended = cli("run")
    assert checked.code == ended.code == 1
    assert "error: `Needs` needs `Absent`, and nobody provides it\n  parts.py:7\n" in checked.err
    assert ended.err.rstrip() == checked.err.rstrip()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('components = ["a-b"]', "`a-b` is not the name of a module"),
        ('components = [".a"]', "`.a` is not the name of a module"),
        ('components = ["a:B"]', "`a:B` is not the name of a module"),
        ('conductor = "brain"', "`brain` does not name a callable"),
        ('conductor = "brain:"', "`brain:` does not name a callable"),
        ('conductor = ":Brain"', "`:Brain` does not name a callable"),
    ],
)
def test_what_is_no_name_is_refused_at_its_place(workshop, cli, form, text, message):
    workshop.system(text, extensions="[]")
    for command in ("check", "run"):
        ended = cli(command)
        assert ended.code == 1
        assert f"error: {message}\n  Symphony.toml:4\n" in ended.err
        form(ended.err)
