"""The pytest plugin of Symphony: fixtures that boot, that plan faults, and that look for what was left behind.

pytest loads this by itself wherever Symphony is installed, for tests that have nothing to do with it too. So it stands
outside of the package and imports nothing of it before a test asks for a fixture.
"""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from symphony import System
    from symphony.testing import FaultPlan, Leaks


@pytest.fixture
def leak_free() -> Iterator[Leaks]:
    """After the test there is no process, thread, descriptor or file that was not there before."""
    from symphony.testing import _fixtures

    yield from _fixtures.leak_free()


@pytest.fixture
def fault_plan(leak_free: Leaks) -> Iterator[Callable[..., FaultPlan]]:
    """`fault_plan(Fault(…), …)` is a `FaultPlan`; after the test its hangs end, and each fault must have happened."""
    from symphony.testing import _fixtures

    del leak_free
    yield from _fixtures.fault_plan()


@pytest.fixture
def booted(fault_plan: object) -> Iterator[Callable[..., System[Any]]]:
    """`booted(…)` boots as `boot(…)` does, and after the test the system is shut down and gone.

    It takes `faults=` beside: a `FaultPlan`, or a list of `Fault`s.
    """
    from symphony.testing import _fixtures

    del fault_plan
    yield from _fixtures.booted()
