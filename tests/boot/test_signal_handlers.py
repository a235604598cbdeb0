"""Handlers of ours that are put in place for a while are all put back, also where one of them raises meanwhile."""

from __future__ import annotations

import signal

import pytest
from symphony import _signal_handlers
from symphony._signal_handlers import Handlers


class RaisedByHandlerError(Exception):
    """What a handler raises."""


def ours(_number, _frame):
    raise RaisedByHandlerError


@pytest.fixture
def raises(monkeypatch):
    """Has the next change of a handler raise, before or after it is made, as a handler that comes between would."""
    change = _signal_handlers._signal.signal
    moments: list[str] = []

    def with_a_signal(number, handler):
        moment = moments.pop(0) if moments else ""
        if moment == "before":
            raise RaisedByHandlerError
        earlier = change(number, handler)
        if moment == "after":
            raise RaisedByHandlerError
        return earlier

    monkeypatch.setattr(_signal_handlers._signal, "signal", with_a_signal)
    return moments


@pytest.mark.parametrize("putting", [[], ["after"], ["", "before"]])
@pytest.mark.parametrize("back", [[], ["before"], ["after"], ["", "before", "after", "before"]])
def test_all_are_put_back(raises, putting, back):
    numbers = (signal.SIGUSR1, signal.SIGUSR2)
    found = [signal.getsignal(number) for number in numbers]
    handlers = Handlers()
    raises += putting
    try:
        for number in numbers:
            handlers.put(number, ours)
    except RaisedByHandlerError:
        assert putting
    raises += back
    try:
        handlers.put_back()
        # Where one alone was put, less is put back.
        assert not back or putting
    except RaisedByHandlerError:
        assert back
    assert [signal.getsignal(number) for number in numbers] == found
    assert not any(number in handlers or number in _signal_handlers._ours for number in numbers)


def test_two_that_lie_on_each_other_come_off_one_by_one():
    found = signal.getsignal(signal.SIGUSR1)
    lower, upper = Handlers(), Handlers()
    lower.put(signal.SIGUSR1, ours)
    upper.put(signal.SIGUSR1, lambda *_: None)
    assert _signal_handlers._ours[signal.SIGUSR1][1] == found
    upper.put_back()
    assert signal.getsignal(signal.SIGUSR1) is ours
    assert _signal_handlers._ours[signal.SIGUSR1] == (ours, found)
    lower.put_back()
    assert signal.getsignal(signal.SIGUSR1) == found
