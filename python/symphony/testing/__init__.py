"""For tests of what is built on Symphony: components that behave as told, and leak checks.

    from symphony.testing import MockComponent, no_leaks

    Index = MockComponent("Index", fail={"start": OSError("no disk")})
    with no_leaks(), pytest.raises(BootError):
        boot(components=[Index])

With `pytest_plugins = ["symphony.testing.plugin"]` there are the fixtures `booted` and `leak_free`.
"""

from __future__ import annotations

from symphony.testing._leaks import Leaks, LeftBehindError, no_leaks
from symphony.testing._mock import MockComponent

__all__ = ["Leaks", "LeftBehindError", "MockComponent", "no_leaks"]
