"""Handles: bound, unbound, swapped, stopped."""

from __future__ import annotations

import pytest
from symphony._components import handles
from symphony.exceptions import LateBindingError, StoppedError


def test_a_late_handle_raises_until_it_is_bound_and_is_the_same_handle_after():
    late = handles.make_late("Planner")
    kept = [late]
    assert isinstance(late, handles.Late)
    with pytest.raises(LateBindingError, match="Planner"):
        _ = late.value
    handles.bind(late, "planner")
    assert kept[0].value == "planner"
    handles.bind(late, "other")
    assert kept[0].value == "other"


def test_a_bound_value_is_a_plain_slot():
    handle = handles.make_handle("Index", 1)
    assert type(handle).__dict__["value"].__class__.__name__ == "member_descriptor"
    assert not hasattr(handle, "__dict__")


@pytest.mark.parametrize(
    "handle", [handles.make_handle("A", 1), handles.make_late("A")], ids=["handle", "late"]
)
def test_after_the_stop_every_read_raises(handle):
    handles.stop(handle)
    handles.stop(handle)
    with pytest.raises(StoppedError, match="`A`"):
        _ = handle.value
