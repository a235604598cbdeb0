"""`help()` shows what every method of `pit.*` does."""

from __future__ import annotations

import inspect
import re

import pytest
from symphony import boot

HANDLES = ["artifacts", "dag", "pool", "arbitration", "stale"]


def public(thing):
    """The methods and properties that a user calls, of a handle's class."""
    found = {name: member for name, member in vars(type(thing)).items() if name[0] != "_"}
    assert found, f"{type(thing)} has no methods"
    return found


def undocumented(thing):
    return [name for name, member in public(thing).items() if not inspect.getdoc(member)]


@pytest.mark.parametrize("name", HANDLES)
def test_every_method_has_a_text(name):
    with boot() as system:
        handle = getattr(system.pit, name)
        assert undocumented(handle) == []
        assert inspect.getdoc(type(handle))


def test_every_method_of_a_lease_and_of_a_grant_has_a_text():
    with boot() as system:
        system.pit.pool.register("model", object, size=1)
        system.pit.arbitration.define("gpu", 1)
        for thing in (system.pit.pool.lease("model"), system.pit.arbitration.request("gpu", "a")):
            assert undocumented(thing) == []
            assert inspect.getdoc(type(thing))


@pytest.mark.parametrize("name", HANDLES)
def test_arguments_that_a_method_takes_by_name_are_told(name):
    with boot() as system:
        handle = getattr(system.pit, name)
        for method, member in public(handle).items():
            text, signature = inspect.getdoc(member), inspect.signature(member)
            kinds = signature.parameters.values()
            for argument in (it for it in kinds if it.kind is it.KEYWORD_ONLY):
                assert re.search(rf"\b{argument.name}\b", text), method
