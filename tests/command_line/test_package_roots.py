"""A file has one name for `check`, whatever folder it is asked about."""

from __future__ import annotations

import pytest
from conftest import write

PARTS = {
    "__init__.py": "",
    "a.py": "from symphony import component\n@component\nclass Index: ...\n",
    "b.py": (
        "from shop.a import Index\nfrom symphony import component\n"
        "@component\nclass Planner:\n    def __init__(self, index: Index) -> None: ...\n"
    ),
    "deep/__init__.py": "",
    "deep/c.py": (
        "from ..b import Planner\nfrom symphony import component\n"
        "@component\nclass Deep:\n    def __init__(self, planner: Planner) -> None: ...\n"
    ),
}
BAD = (
    "from symphony import component\nclass Absent: ...\n"
    "@component\nclass Needs:\n    def __init__(self, absent: Absent) -> None: ...\n"
)


@pytest.fixture
def top(tmp_path):
    """A folder beside the workshop's."""
    return tmp_path / "top"


@pytest.fixture(params=["", "src", "many/deep"])
def shop(request, top):
    """A package, in the folder that is checked or deeper."""
    folder = top / request.param / "shop"
    for name, text in PARTS.items():
        write(folder / name, text)
    return folder


def asked(shop, top):
    """Ways to ask about it: where from, and what for."""
    yield shop.parent, "shop"
    yield shop.parent, "shop/b.py"
    yield shop.parent, "shop/deep/c.py"
    yield shop.parent, "."
    yield shop, "."
    yield shop, "b.py"
    yield shop / "deep", "."
    yield top, "."


def test_it_is_lawful_however_it_is_asked_about(shop, top, cli):
    for cwd, path in asked(shop, top):
        ended = cli("check", path, cwd=cwd)
        assert (ended.code, ended.err) == (0, ""), (cwd, path, ended)


def test_a_fault_is_told_of_what_was_asked_about_alone(shop, top, cli):
    write(shop / "deep" / "bad.py", BAD)
    for cwd, path in asked(shop, top):
        document = cli("check", path, "--json", cwd=cwd).document
        holds = path in (".", "shop") and not path.endswith(".py")
        found = [fault["message"] for fault in document["diagnostics"]]
        expected = ["`Needs` needs `Absent`, and nobody provides it"] if holds else []
        assert found == expected, (cwd, path)


def test_two_packages_of_one_name_are_two(top, cli):
    for project in ("one", "two"):
        for name, text in PARTS.items():
            write(top / project / "shop" / name, text)
    write(top / "two" / "shop" / "bad.py", BAD)
    ended = cli("check", ".", "--json", cwd=top)
    named = {
        fault["file"] for fault in ended.document["diagnostics"] if fault["severity"] == "error"
    }
    assert str(top / "two" / "shop" / "bad.py") in named
