"""A pytest plugin: fixtures that boot and that look for what was left behind.

Use it with `pytest_plugins = ["symphony.testing.plugin"]` in a `conftest.py`, or with
`-p symphony.testing.plugin`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from symphony import System, boot
from symphony.testing._leaks import Leaks, no_leaks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def leak_free() -> Iterator[Leaks]:
    """After the test there is no process, thread or descriptor that was not there before."""
    with no_leaks() as before:
        yield before


@pytest.fixture
def booted(leak_free: Leaks) -> Iterator[Callable[..., System[Any]]]:
    """`booted(…)` boots as `boot(…)` does; after the test the system is shut down and gone."""
    del leak_free
    with contextlib.ExitStack() as systems:

        def start(*arguments: Any, **named: Any) -> System[Any]:
            system: System[Any] = boot(*arguments, **named)
            systems.callback(system.shutdown)
            return system

        yield start
