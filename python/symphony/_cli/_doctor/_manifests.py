"""The manifests, and the programs that they name. The faults are the core's, in the words of `symphony check`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from symphony._cli._doctor._check import Finding, degraded, failed, ok

if TYPE_CHECKING:
    from typing import Any

    from symphony._cli._doctor._subject import Subject

_INTERPRETER, _PROGRAM = "interpreter", "program"
_ENOUGH = 5


def look_at_manifests(subject: Subject) -> Finding:
    """Every manifest can be read and says nothing wrong."""
    if subject.config is None:
        return ok("none is given: a small system of the doctor's own is tried")
    if not os.path.exists(subject.config):
        return failed(
            f"`{subject.config}` does not exist",
            "name a `Symphony.toml`, or the folder that holds one",
        )
    if not subject.facts:
        return _unknown()
    faults = _faults(subject, None)
    return _told(faults, f"`{subject.config}` and {len(subject.extensions)} extensions: no faults")


def look_at_interpreters(subject: Subject) -> Finding:
    """Each interpreter that a manifest names is there, and can become a guest."""
    return _programs(subject, _INTERPRETER, "python", "every interpreter that a manifest names")


def look_at_commands(subject: Subject) -> Finding:
    """Each program that a manifest names is there."""
    return _programs(subject, _PROGRAM, "command", "every program that a manifest names")


def _programs(subject: Subject, kind: str, started_from: str, what: str) -> Finding:
    if subject.config is None or not os.path.exists(subject.config):
        return ok("no manifest names any")
    if not subject.facts:
        return _unknown()
    named = sum(one.started_from == started_from for one in subject.extensions)
    return _told(_faults(subject, kind), f"{what} is there ({named} extensions)")


def _unknown() -> Finding:
    return degraded(
        "not looked at: without the core manifests cannot be read", "see the check `core`"
    )


def _faults(subject: Subject, kind: str | None) -> list[dict[str, Any]]:
    """The faults of a kind; of none, those that are of neither."""
    faults: list[dict[str, Any]] = subject.facts.get("faults", [])
    return [fault for fault in faults if _kind(fault["message"]) == kind]


def _kind(message: str) -> str | None:
    words = message.split(" ", 2)[:2]
    if "no interpreter that runs" in message:
        return _INTERPRETER
    return words[1] if words[:1] == ["the"] and words[1:] in ([_INTERPRETER], [_PROGRAM]) else None


def _told(faults: list[dict[str, Any]], well: str) -> Finding:
    """Errors fail, warnings degrade, notes do nothing."""
    for severity, finding in (("error", failed), ("warning", degraded)):
        found = [fault for fault in faults if fault["severity"] == severity]
        if found:
            texts = "; ".join(_text(fault) for fault in found[:_ENOUGH])
            more = f"; and {len(found) - _ENOUGH} more" if len(found) > _ENOUGH else ""
            hint = next((fault["hint"] for fault in found if fault.get("hint")), None)
            return finding(texts + more, hint or "`symphony check` tells each fault with its place")
    return ok(well)


def _text(fault: dict[str, Any]) -> str:
    place = f"{fault['file']}:{fault['line']}: " if fault.get("file") else ""
    return f"{place}{fault['message']}"
