"""Each way to make a class or a callable is injected, or is refused by the plan; `check` agrees; the page says so."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path

import pytest
import ways
import ways_of_callables  # noqa: F401 - they add themselves.
import ways_of_classes  # noqa: F401
from symphony import PlanError
from symphony._cli._check import find_faults

PAGE = Path(__file__).parents[2] / "docs" / "components.md"


def told(faults):
    return sorted((fault.code, fault.message, fault.line) for fault in faults)


def known():
    """The ways that this Python knows, with the packages that are here."""
    return [
        way
        for way in ways.WAYS
        if sys.version_info >= way.python
        and (not way.needs or importlib.util.find_spec(way.needs) is not None)
    ]


@pytest.mark.parametrize("way", known(), ids=lambda one: f"{one.group}: {one.text}")
def test_a_way_comes_to_what_the_page_says(way, tmp_path, monkeypatch):
    name = f"way_{ways.WAYS.index(way)}"
    (tmp_path / f"{name}.py").write_text(way.module())
    checked = find_faults([str(tmp_path)])
    errors = [fault for fault in checked if fault.severity == "error"]
    notes = [fault.message for fault in checked if fault.severity != "error"]
    assert bool(notes) is way.is_noted, notes
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    module = importlib.import_module(name)
    try:
        if way.comes_to == ways.REFUSED:
            with pytest.raises(PlanError) as caught:
                module.run()
            assert {fault.code for fault in caught.value.diagnostics} == {way.code}
            assert way.is_noted or told(errors) == told(caught.value.diagnostics)
        else:
            with module.run() as system:
                assert module.made(system) is system[module.Clock]
            assert errors == []
    finally:
        del sys.modules[name]


def test_the_page_has_the_table_of_what_was_run():
    text = PAGE.read_text()
    begin = text.index(ways.PAGE_BEGIN) + len(ways.PAGE_BEGIN)
    end = text.index(ways.PAGE_END)
    if os.environ.get("SYMPHONY_WRITE_WAYS"):
        PAGE.write_text(text[:begin] + ways.table() + text[end:])
    assert text[begin:end] == ways.table(), "SYMPHONY_WRITE_WAYS=1 writes it"
