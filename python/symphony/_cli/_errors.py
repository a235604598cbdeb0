"""Errors for people, in the house form, and for programs, as the report's `error`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from symphony.exceptions import BootError, SymphonyError

if TYPE_CHECKING:
    from typing import Any

    from symphony.exceptions import Diagnostic


def render(error: BaseException) -> str:
    """`error: …`, `Caused by: …` for each cause, a blank line, `hint: …`; of a plan each fault."""
    faults: list[Diagnostic] = getattr(error, "diagnostics", [])
    if faults:
        directory = os.getcwd()
        return "\n\n".join(fault.text(directory) for fault in faults)
    lines = [f"error: {message_of(error)}"]
    lines.extend("  Caused by: " + cause.replace("\n", "\n    ") for cause in causes_of(error))
    lines.extend(
        f"  While rolling back: {message_of(failure)}"
        for failure in getattr(error, "rollback_errors", ())
    )
    hints = getattr(error, "hints", ())
    if hints:
        lines.append("")
        lines.extend(f"hint: {hint}" for hint in hints)
    return "\n".join(lines)


def message_of(error: BaseException) -> str:
    """The message of an error of ours; of a foreign one also its class."""
    if isinstance(error, SymphonyError):
        return error.message
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, SystemExit):
        return "terminated" if error.code == 143 else f"exit with {error.code}"
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def causes_of(error: BaseException) -> list[str]:
    """The chain of causes, outermost first, without those that say the same again."""
    causes: list[str] = []
    said = message_of(error)
    seen = {id(error)}
    cause = error.__cause__
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        text = message_of(cause)
        if text not in said and text not in causes:
            causes.append(text)
        cause = cause.__cause__
    far: tuple[str, ...] = getattr(error, "causes", ())
    return causes + [text for text in far if text not in causes]


def as_document(error: BaseException) -> dict[str, Any]:
    """The `error` of `run --json`."""
    component = getattr(error, "component", None) or getattr(error, "extension", None)
    if isinstance(error, SymphonyError):
        code = error.code
    else:
        ended = isinstance(error, (KeyboardInterrupt, SystemExit))
        code = "interrupted" if ended else "internal"
    return {
        "code": code,
        "message": message_of(error),
        "phase": error.phase if isinstance(error, BootError) else None,
        "component": component,
        "causes": causes_of(error),
        "hints": list(getattr(error, "hints", ())),
    }
