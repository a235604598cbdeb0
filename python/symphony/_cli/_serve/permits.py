"""What only reads: by the grants of an extension's manifest, which the sandbox holds it to.

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


class Permits:
    """What each extension may do, looked up once."""

    def __init__(self, kit: OrchestraKit) -> None:
        """Nothing is looked up yet."""
        self._kit = kit
        self._names = set(kit.extensions())
        self._reads_only: dict[str, bool] = {}

    def reads_only(self, name: str) -> bool:
        """Whether an extension can change nothing: no file, no program, no network, nor by whom it may call."""
        known = self._reads_only.get(name)
        if known is None:
            # Two that may call each other read only as far as both do.
            self._reads_only[name] = True
            known = self._reads_only[name] = self._found(name)
        return known

    def uses_network(self, name: str) -> bool:
        """Whether it may reach others than this machine's files."""
        return bool(self._kit.grants(name)["network"])

    def are_reading(self, calls: Iterable[str]) -> bool:
        """Whether all of these change nothing, each `member.operation`, `extension.operation` or `extension.*`."""
        return all(self._is_reading(call) for call in calls)

    def _found(self, name: str) -> bool:
        grants = self._kit.grants(name)
        if grants["in_root"] or grants["write"] or grants["run"] or grants["network"]:
            return False
        return self.are_reading(grants["calls"])

    def _is_reading(self, call: str) -> bool:
        target, _, operation = call.partition(".")
        if target in self._names:
            return self.reads_only(target)
        return operation in _READING.get(target, ())
