"""A component whose stop raises while the system is shut down is told, whatever the program has set up for it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator

import pytest
from symphony import boot
from workshop import run_python

SCRIPT = """
import asyncio, logging, sys
from collections.abc import AsyncIterator, Iterator
from symphony import boot
class Session: pass
def generator() -> Iterator[Session]:
    yield Session()
    raise OSError("the last commit failed")
async def later() -> AsyncIterator[Session]:
    yield Session()
    raise OSError("the last commit failed")
class Method(Session):
    def stop(self):
        raise OSError("the last commit failed")
class Unprintable(Session):
    def stop(self):
        class Fault(Exception):
            def __str__(self): raise ValueError
        raise Fault
component = {component}
{body}
"""

PLAIN = "with boot(components=[component]): pass"
ASYNC = """
async def main():
    async with boot(components=[component]): pass
asyncio.run(main())
"""
AT_EXIT = "system = boot(components=[component])"


@pytest.mark.parametrize("component", ["generator", "later", "Method"])
@pytest.mark.parametrize("body", [PLAIN, ASYNC, AT_EXIT], ids=["with", "async-with", "at-exit"])
def test_without_logging_it_is_on_stderr_with_its_traceback(component, body):
    done = run_python(SCRIPT.format(component=component, body=body))
    assert done.returncode == 0, done.stderr
    line = f"symphony: `{component}` did not stop: OSError: the last commit failed"
    first, second, *frames, last = done.stderr.splitlines()
    assert (first, second) == (line, "Traceback (most recent call last):")
    assert last == "OSError: the last commit failed"
    # The frames of Symphony's own that lead there are no news.
    assert sum("File " in frame for frame in frames) == 1


def test_one_that_cannot_be_printed_is_told_too():
    done = run_python(SCRIPT.format(component="Unprintable", body=PLAIN))
    assert done.returncode == 0, done.stderr
    assert "`Unprintable` did not stop" in done.stderr


def test_with_logging_it_has_its_traceback():
    done = run_python(SCRIPT.format(component="Method", body=f"logging.basicConfig()\n{PLAIN}"))
    assert done.returncode == 0
    assert "symphony: `" not in done.stderr
    assert (
        "ERROR:symphony.boot:`Method` did not stop: OSError: the last commit failed" in done.stderr
    )
    assert "Traceback (most recent call last):" in done.stderr
    assert "in stop" in done.stderr


class Session:
    """What a factory gives."""


def test_the_record_has_the_exception_itself(caplog):
    fault = OSError("the last commit failed")

    def session() -> Iterator[Session]:
        yield Session()
        raise fault

    async def other() -> AsyncIterator[int]:
        yield 1
        raise fault

    with caplog.at_level(logging.ERROR), boot(components=[session, other]):
        pass
    raised = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert raised == [fault, fault]


def test_nothing_is_said_where_everything_stopped():
    done = run_python(SCRIPT.format(component="Session", body=PLAIN))
    assert (done.returncode, done.stderr) == (0, "")


OPTIONAL = """
from symphony import boot, component
def deep(): raise KeyError("key")
@component(required=False)
class Plain:
    def start(self): deep()
@component(required=False)
class Later:
    async def start(self): deep()
@component(required=False)
class Built:
    def __init__(self): deep()
class Unwell:
    asked = 0
    def health(self):
        Unwell.asked += 1
        if Unwell.asked > 1: deep()
with boot(components=[{component}]) as system:
    system.health()
"""


@pytest.mark.parametrize("component", ["Plain", "Later", "Built", "Unwell"])
@pytest.mark.parametrize("logs", [False, True])
def test_what_costs_only_the_component_is_told_with_its_traceback(component, logs):
    begin = "import logging; logging.basicConfig()\n" if logs else ""
    done = run_python(begin + OPTIONAL.format(component=component))
    assert done.returncode == 0, done.stderr
    step = "health" if component == "Unwell" else "start"
    word = "WARNING:symphony.boot:" if logs else "symphony: "
    assert f"{word}`{component}` raised in its {step}\nTraceback" in done.stderr
    assert "in deep\n" in done.stderr
    assert done.stderr.count("KeyError: 'key'\n") >= 1
