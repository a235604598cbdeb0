"""Which entries of an extension's folder are modules that come before those of the library."""

from __future__ import annotations

import sys
import sysconfig

import pytest
from symphony._guest import folder_modules


@pytest.fixture
def held(monkeypatch):
    """The library's modules as the warm image holds them, put back at the end."""
    import decimal
    import fractions
    import json

    for name in [name for name in sys.modules if name.split(".")[0] in ("json", "fractions")]:
        monkeypatch.setitem(sys.modules, name, sys.modules[name])
    monkeypatch.setattr(folder_modules, "_set_aside", {})
    monkeypatch.setattr(folder_modules, "_at_start", frozenset({"decimal"}))
    return decimal, fractions, json


@pytest.mark.parametrize(
    "entry",
    ["json.py", "json.pyc", "json" + sysconfig.get_config_var("EXT_SUFFIX"), "json.abi3.so"],
)
def test_a_module_of_the_folder_comes_before_the_librarys(tmp_path, held, entry):
    (tmp_path / entry).write_bytes(b"")
    folder_modules.give_way(str(tmp_path))
    assert "json" not in sys.modules
    assert "json.decoder" not in sys.modules
    assert "fractions" in sys.modules
    assert folder_modules.library("json") is held[2]


@pytest.mark.parametrize(
    "entry", ["json.happy", "json.old.py", "json.numpy", "json.so.txt", "json.pyi", "json"]
)
def test_a_file_that_is_no_module_leaves_the_librarys_where_it_is(tmp_path, held, entry):
    (tmp_path / entry).write_bytes(b"")
    folder_modules.give_way(str(tmp_path))
    assert sys.modules["json"] is held[2]


def test_what_the_interpreter_held_at_its_start_comes_before_the_folder(tmp_path, held):
    (tmp_path / "decimal.py").write_bytes(b"")
    (tmp_path / "fractions.happy").write_bytes(b"")
    folder_modules.give_way(str(tmp_path))
    assert sys.modules["decimal"] is held[0]
    assert folder_modules.comes_first("decimal.context", str(tmp_path))
    assert not folder_modules.comes_first("fractions", str(tmp_path))
