"""Modules and packages in `components=`."""

from __future__ import annotations

import importlib
import json
import sys

import pytest
import symphony
from symphony import BootError, boot
from workshop import write

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package on the path, forgotten after the test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)
    write(tmp_path / "scanned/__init__.py", "")
    write(
        tmp_path / "scanned/base.py",
        """
        from symphony import component
        @component
        class Base: pass
        class Unmarked: pass
        """,
    )
    write(
        tmp_path / "scanned/deep/__init__.py",
        """
        from symphony import component
        from scanned.base import Base
        @component
        class Deep:
            def __init__(self, base: Base): self.base = base
        """,
    )
    write(
        tmp_path / "scanned/deep/leaf.py",
        """
        from symphony import component
        from scanned.deep import Deep
        class Leaf: pass
        @component
        def leaf(deep: Deep) -> Leaf: return Leaf()
        """,
    )
    write(tmp_path / "scanned/__main__.py", "raise SystemExit('a program, not a part')")
    importlib.invalidate_caches()
    yield tmp_path
    for name in set(sys.modules) - known:
        if name.partition(".")[0] in ("scanned", "broken", "named"):
            del sys.modules[name]


def started(system) -> set[str]:
    entries = json.loads(system.report.to_json())["components"]
    names = {entry["name"] for entry in entries if entry["phase"] == "conductor"}
    return {name for name in names if not name.startswith("import ")}


def test_a_package_contributes_its_submodules_too(package):
    with boot(components=["scanned"]) as system:
        assert started(system) == {"Base", "Deep", "leaf", "Conductor"}
        deep = sys.modules["scanned.deep"]
        assert system[deep.Deep].base is system[deep.Base]


def test_a_module_contributes_what_it_defines_itself_and_marks(package):
    base = importlib.import_module("scanned.base")
    with boot(components=[base]) as system:
        assert started(system) == {"Base", "Conductor"}
    with boot(components=["scanned.base"]) as system:
        assert started(system) == {"Base", "Conductor"}
    leaf = importlib.import_module("scanned.deep.leaf")
    with pytest.raises(symphony.MissingDependencyError):
        boot(components=[leaf])


def test_one_attribute_by_name(package):
    with boot(components=["scanned.base:Unmarked"]) as system:
        assert started(system) == {"Unmarked", "Conductor"}


def test_there_is_no_registry(package):
    importlib.import_module("scanned.base")
    with boot() as system:
        assert started(system) == {"Conductor"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nowhere", "there is no module `nowhere`"),
        ("scanned.nowhere", "there is no module `scanned.nowhere`"),
        ("scanned.base:Bass", "has no attribute `Bass`"),
        ("broken", "`broken` failed to import"),
    ],
)
def test_what_cannot_be_imported_is_told(package, name, text):
    write(package / "broken.py", "1 / 0")
    with pytest.raises(BootError) as caught:
        boot(components=[name])
    assert text in str(caught.value)
    if name == "broken":
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
    if name.endswith("Bass"):
        assert caught.value.hints == ("did you mean `Base`?",)


def test_strings_are_imported_on_the_calling_thread_before_the_plan(package):
    import threading

    write(package / "strings_on_a_thread.py", "import threading\nTHREAD = threading.get_ident()\n")
    with boot(components=["strings_on_a_thread"]):
        assert threading.get_ident() == sys.modules["strings_on_a_thread"].THREAD
