"""What only the core knows: that it loads, and what the manifests say. Runs in a fresh process, for `_subject`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symphony import _core
from symphony._static.operations import read_operations

if TYPE_CHECKING:
    from typing import Any


def main(given: dict[str, Any]) -> dict[str, Any]:
    """The version of the core, and of a manifest its faults and what it asks for."""
    facts: dict[str, Any] = {"version": _core.__version__, "file": _core.__file__}
    config: str | None = given["config"]
    if config is None:
        return facts
    faults = [fault.to_dict() for fault in _core.check_paths([config], read_operations)]
    if not any(fault["severity"] == "error" for fault in faults):
        faults += _plan_faults(config)
    return {**facts, "faults": faults, "deployment": _core.deployment(config)}


def _plan_faults(config: str) -> list[dict[str, Any]]:
    """What is wrong with the system as a whole, where its manifests are lawful one by one."""
    from symphony.exceptions import SymphonyError

    try:
        _core.plan_graph(config, "json")
    except SymphonyError as error:
        diagnostics = getattr(error, "diagnostics", [])
        if diagnostics:
            return [fault.to_dict() for fault in diagnostics]
        return [
            {"severity": "error", "message": error.message, "hint": next(iter(error.hints), None)}
        ]
    return []
