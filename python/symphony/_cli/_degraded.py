"""What of a system that came up is not as it should be, for people: one line for each part.

Called by `_system.start`, so that every command that boots tells it. The invariant kept here: of a boot whose report
says `degraded` at least one line is told, with the part's name and its reason.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from symphony import BootReport

_DEGRADED = "degraded"


def is_degraded(document: dict[str, Any]) -> bool:
    """Whether the boot of this document came up with less than it should have."""
    return bool(document["state"] == _DEGRADED)


def tell_degraded(report: BootReport, word: str) -> None:
    """Tells on stderr each part that is not as it should be.

    Args:
        report: The boot's report.
        word: `warning`, or `error` where it fails the command.
    """
    if report.state != _DEGRADED:
        return
    document: dict[str, Any] = json.loads(report.to_json())
    parts = [part for part in document["components"] if part["status"] != "ready"]
    # A part that is degraded by one that failed, as the kit by an extension, repeats its reason.
    failed = {part.get("reason") for part in parts if part["status"] != _DEGRADED}
    for part in parts:
        # The report has the rest of a long one.
        reason = next(iter((part.get("reason") or "").splitlines()), "")
        if reason and part["status"] == _DEGRADED and part["reason"] in failed:
            continue
        told = f"`{part['name']}` {part['status']}"
        told = f"{told}: {reason}" if reason else told
        print(f"{word}: the boot is degraded: {told}", file=sys.stderr)
