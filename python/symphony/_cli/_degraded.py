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
    lines: dict[str, str] = {}
    # The last first: a part that is degraded by another one, as the kit by an extension, repeats its reason.
    for component in reversed(document["components"]):
        if component["status"] != "ready":
            # The report has the rest of a long one.
            reason = next(iter((component.get("reason") or "").splitlines()), "")
            told = f"`{component['name']}` {component['status']}"
            lines.setdefault(reason or told, f"{told}: {reason}" if reason else told)
    for line in reversed(list(lines.values())):
        print(f"{word}: the boot is degraded: {line}", file=sys.stderr)
