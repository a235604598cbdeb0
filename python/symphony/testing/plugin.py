"""The pytest plugin under the name by which a `conftest.py` may ask for it, where plugins are not loaded by themselves.

`pytest_plugins = ["symphony.testing.plugin"]`, or `-p symphony.testing.plugin`.
"""

from __future__ import annotations

from pytest_symphony import booted, fault_plan, leak_free

__all__ = ["booted", "fault_plan", "leak_free"]
