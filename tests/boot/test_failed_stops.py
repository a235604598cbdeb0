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
def test_without_logging_it_is_one_line_on_stderr(component, body):
    done = run_python(SCRIPT.format(component=component, body=body))
    assert done.returncode == 0, done.stderr
    line = f"symphony: `{component}` did not stop: OSError: the last commit failed"
    assert done.stderr.splitlines() == [line]


def test_one_that_cannot_be_printed_is_told_too():
    done = run_python(SCRIPT.format(component="Unprintable", body=PLAIN))
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 1
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
