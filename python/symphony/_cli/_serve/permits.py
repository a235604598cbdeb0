"""What only reads: by the grants of an extension's manifest, where the sandbox holds it to them.

Called by `tools`. Invariant: what is not known to read only is taken to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from symphony import OrchestraKit

_READING = {
    "artifact-store": {
        "get",
        "exists",
        "metadata",
        "find",
        "versions",
        "lineage",
        "derived",
        "stats",
    },
    "dag-tracker": {"status", "runs", "ready"},
    "stale-manager": {"evaluate", "explain"},
    "pool-manager": {"stats"},
    "arbitration-engine": {"audit", "status"},
}
"""Operations of the Pit's members that change nothing."""


_HELD = ("write", "network")
"""By what a process changes something outside itself, and the sandbox has to hold."""


class Permits:
    """What each extension may do, looked up once."""

    def __init__(self, kit: OrchestraKit) -> None:
        """Looks up who reads only: at once for all, because they may call each other in a circle."""
        self._kit = kit
        self._names = set(kit.extensions())
        calls = {
            name: kit.grants(name)["calls"] for name in self._names if self._grants_nothing(name)
        }
        # Of those, whoever calls one that may write may write too, until nobody is left who does.
        self._reading = set(calls)
        while others := {name for name in self._reading if not self.are_reading(calls[name])}:
            self._reading -= others

    def reads_only(self, name: str) -> bool:
        """Whether an extension can change nothing: no file, no program, no network, nor by whom it may call."""
        return name in self._reading

    def uses_network(self, name: str) -> bool:
        """Whether it may reach others than this machine's files."""
        return bool(self._kit.grants(name)["network"])

    def are_reading(self, calls: Iterable[str]) -> bool:
        """Whether all of these change nothing, each `member.operation`, `extension.operation` or `extension.*`."""
        return all(self._is_reading(call) for call in calls)

    def _grants_nothing(self, name: str) -> bool:
        """Whether its manifest grants nothing that changes something, and this kernel holds it to that."""
        grants = self._kit.grants(name)
        if grants["in_root"] or grants["write"] or grants["run"] or grants["network"]:
            return False
        told = self._kit.enforcement(name)
        return all(told.get(grant, "").partition(":")[0] == "enforced" for grant in _HELD)

    def _is_reading(self, call: str) -> bool:
        target, _, operation = call.partition(".")
        if target in self._names:
            return target in self._reading
        return operation in _READING.get(target, ())
