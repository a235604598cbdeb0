"""`symphony serve`: which extensions only read, by what their manifests grant and the kernel holds."""

from __future__ import annotations

import itertools

import pytest
from symphony._cli._serve.permits import Permits

HELD = {"write": "enforced", "network": "enforced"}


class Kit:
    """As much of the kit as is asked: what each extension may call, and which of them write."""

    def __init__(self, calls, *, writing=(), enforcement=HELD):
        self._calls = calls
        self._writing = writing
        self._enforcement = enforcement

    def extensions(self):
        return sorted(self._calls)

    def grants(self, name):
        write = ["out"] if name in self._writing else []
        calls = self._calls[name]
        return {"in_root": False, "write": write, "run": [], "network": False, "calls": calls}

    def enforcement(self, name):
        return self._enforcement


@pytest.mark.parametrize("order", list(itertools.permutations("abcd")), ids="".join)
def test_a_circle_of_calls_reads_only_where_nobody_in_it_may_write(order):
    calls = {"a": ["b.*", "c.put"], "b": ["a.get"], "c": [], "d": ["d.get"]}
    permits = Permits(Kit(calls, writing="c"))
    found = {name: permits.reads_only(name) for name in order}
    assert found == {"a": False, "b": False, "c": False, "d": True}
    permits = Permits(Kit(calls))
    assert all(permits.reads_only(name) for name in order)


def test_a_member_is_called_by_its_operations_that_change_nothing():
    kit = Kit({"a": ["artifact-store.get"], "b": ["artifact-store.put"], "c": ["unknown.get"]})
    permits = Permits(kit)
    assert [name for name in kit.extensions() if permits.reads_only(name)] == ["a"]


@pytest.mark.parametrize("grant", ["write", "network"])
@pytest.mark.parametrize("level", ["not enforced: no Landlock", "degraded: partly", None])
def test_what_the_kernel_does_not_hold_is_not_promised(grant, level):
    told = {key: value for key, value in {**HELD, grant: level}.items() if value is not None}
    assert not Permits(Kit({"a": []}, enforcement=told)).reads_only("a")
    # What is told behind the word is no less enforced.
    told = {**HELD, grant: "enforced: nothing is granted for what is not there"}
    assert Permits(Kit({"a": []}, enforcement=told)).reads_only("a")
