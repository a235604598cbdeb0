"""Threads that gevent or eventlet put greenlets in the place of: a boot is refused at once, and the process ends."""

from __future__ import annotations

import sys
import types

import pytest
from symphony import BootError, boot
from symphony.testing import no_leaks


class Index:
    def start(self) -> None: ...


def gevent(*patched):
    module = types.ModuleType("gevent.monkey")
    module.is_module_patched = lambda name: name in patched
    return module


def eventlet(*patched):
    module = types.ModuleType("eventlet.patcher")
    module.is_monkey_patched = lambda name: name in patched
    return module


@pytest.mark.parametrize(
    ("library", "edit"),
    [
        (gevent("threading", "_thread"), "monkey.patch_all(thread=False)"),
        (gevent("thread"), "monkey.patch_all(thread=False)"),
        (eventlet("thread", "socket"), "monkey_patch(thread=False)"),
    ],
    ids=["gevent", "gevent of old", "eventlet"],
)
def test_a_boot_without_real_threads_is_refused_at_once(monkeypatch, library, edit):
    monkeypatch.setitem(sys.modules, library.__name__, library)
    with no_leaks(), pytest.raises(BootError) as caught:
        boot(components=[Index])
    assert library.__name__.partition(".")[0] in str(caught.value)
    assert any(edit in hint for hint in caught.value.hints)


@pytest.mark.parametrize("library", [gevent("socket", "ssl"), eventlet("socket")])
def test_where_only_the_rest_is_patched_it_boots(monkeypatch, library):
    monkeypatch.setitem(sys.modules, library.__name__, library)
    with boot(components=[Index]) as system:
        assert system.health().state == "healthy"
