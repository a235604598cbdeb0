"""A boot in safe mode says so, to whoever may not look at the report.

Called by the starter when the system is up. Invariant: it is said once, by `logging` where that listens (the record of
the core has said it there), else on stderr.
"""

from __future__ import annotations

import sys

from symphony._boot.failed_stops import write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from symphony.records import SafeModeRecord


def tell(safe: SafeModeRecord) -> None:
    """Tells on stderr what the system goes on without, and what to do.

    Args:
        safe: As the report has it.
    """
    logging: Any = sys.modules.get("logging")
    if logging is not None and logging.getLogger("symphony.boot").hasHandlers():
        return
    write(f"symphony: {text(safe)}\n")


def text(safe: SafeModeRecord) -> str:
    """What the system goes on without, and what to do.

    Args:
        safe: As the report has it.
    """
    without = "`, `".join(safe["without"])
    first = f"safe mode{f', without `{without}`' if without else ''}: {safe['reason']}"
    if safe["asked_for"]:
        return first
    return (
        f"{first}\nhint: repair or update it: it is tried again when its files change; `--no-safe` of `symphony run`, "
        '`SystemConfig(safe_mode="off")`, starts it as it is'
    )
