"""Errors for people, in the house form, and for programs, as the report's `error`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from symphony.exceptions import BootError, SymphonyError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from symphony.batch import Tally
    from symphony.exceptions import Diagnostic


_ENDED_BY = {143: "terminated", 129: "hung up"}
"""What a signal did to the command, by the exit code."""
_FAILURES = 5
"""So many failures of runs are told each by itself."""


class UsageError(SymphonyError):
    """The call of the command itself is wrong: exit code 2."""

    code = "invalid-value"


def refuse(command: str, error: UsageError, *, as_json: bool) -> None:
    """Tells that a call is wrong: on stderr, and with `--json` as the command's one document."""
    import json

    from symphony.exceptions import Diagnostic

    print(render(error), file=sys.stderr)
    if as_json and command == "check":
        fault = Diagnostic(error.code, error.message, hint=next(iter(error.hints), None))
        print(json.dumps({"ok": False, "diagnostics": [fault.to_dict()]}, indent=2))
    elif as_json and command == "run":
        from symphony.batch import Tally

        runs = {"runs": Tally().to_dict(), "results": []}
        document = {**empty_report(), "error": as_document(error), **runs}
        print(json.dumps(document, indent=2))
    elif as_json and command == "doctor":
        print(json.dumps(refused_doctor(error), indent=2))
    elif as_json and command == "store":
        print(json.dumps({"ok": False, "state": None, "error": as_document(error)}, indent=2))
    elif as_json and command == "top":
        print(json.dumps({"ok": False, "systems": []}, indent=2))
    elif as_json and command == "new":
        print(json.dumps({**empty_new(), "error": as_document(error)}, indent=2))
    elif as_json and command == "trust":
        print(json.dumps({"ok": False, "extensions": [], "error": as_document(error)}, indent=2))
    elif as_json and command == "trace":
        print(json.dumps({"ok": False, "error": as_document(error)}, indent=2))
    elif as_json and command == "call":
        document = {"ok": False, "result": None, "seconds": None, "error": as_document(error)}
        print(json.dumps(document, indent=2))


def empty_new() -> dict[str, Any]:
    """The document of a `new` that has done nothing."""
    unknown = ("extension", "language", "protocol", "folder")
    rest: dict[str, Any] = {"files": [], "system": None, "built": None, "next": [], "error": None}
    return {"ok": False, **dict.fromkeys(unknown), **rest}


def refused_doctor(error: UsageError) -> dict[str, Any]:
    """The document of a `doctor` that was called wrongly."""
    figures = ("p50_seconds", "p99_seconds", "overhead_p50_seconds", "memory_mb")
    boots: dict[str, Any] = {"count": 0, "ok": 0, **dict.fromkeys(figures)}
    fault = {
        "name": "arguments",
        "status": "failed",
        "detail": error.message,
        "hint": next(iter(error.hints), None),
    }
    return {"ok": False, "checks": [fault], "boots": boots}


def empty_report() -> dict[str, Any]:
    """The report of a boot that never began."""
    import json

    from symphony import _core

    report: dict[str, Any] = json.loads(_core.empty_report())
    return report


def render(error: BaseException) -> str:
    """`error: …`, `Caused by: …` for each cause, a blank line, `hint: …`; of a plan each fault. Codes come last."""
    faults: list[Diagnostic] = getattr(error, "diagnostics", [])
    if faults:
        return faults_text(faults)
    lines = [f"error: {message_of(error)}", *(f"  {place}" for place in places_of(error))]
    for cause, places in _chain(error):
        lines.append(_cause_line(cause))
        lines.extend(f"    {place}" for place in places)
    lines.extend(
        f"  While rolling back: {message_of(failure)}"
        for failure in getattr(error, "rollback_errors", ())
    )
    hints = getattr(error, "hints", ())
    if hints:
        lines.append("")
        lines.extend(f"hint: {hint}" for hint in hints)
    if isinstance(error, SymphonyError):
        lines.append(_sections([error.code]))
    return "\n".join(lines)


def render_failures(tally: Tally) -> str:
    """The first failures of runs with their causes, of the first what the other process said; then hints and codes."""
    shown = [error for _, error in tally.failures[:_FAILURES]]
    told = tally.failure_lines(_FAILURES)
    lines: list[str] = []
    for line, error in zip(told, shown):
        lines.append(f"error: {line}")
        lines.extend(f"  {rest}" for rest in error.message.splitlines()[1:])
        lines.extend(cause_lines(error.message, causes_of(error)))
        if error is shown[0]:
            lines.extend(remote_lines(error))
    # How many more there are.
    lines.extend(f"error: {line}" for line in told[len(shown) :])
    hints = dict.fromkeys(hint for error in shown for hint in error.hints)
    if hints:
        lines.append("")
        lines.extend(f"hint: {hint}" for hint in hints)
    lines.append(_sections(error.code for error in shown))
    return "\n".join(lines)


def cause_lines(message: str, causes: Iterable[str]) -> list[str]:
    """`  Caused by: …` for each cause that the message does not say itself."""
    return [_cause_line(cause) for cause in causes if cause not in message]


def _cause_line(cause: str) -> str:
    return "  Caused by: " + cause.replace("\n", "\n    ")


def faults_text(faults: Iterable[Diagnostic]) -> str:
    """Every fault, and then each code with where it is explained."""
    directory = os.getcwd()
    faults = list(faults)
    texts = [fault.text(directory) for fault in faults]
    return "\n\n".join([*texts, _sections(fault.code for fault in faults)])


def _sections(codes: Iterable[str]) -> str:
    return "\n".join(f"  = {code}: docs/errors.md#{code}" for code in dict.fromkeys(codes))


def message_of(error: BaseException) -> str:
    """The message of an error of ours; of a foreign one also its class."""
    if isinstance(error, SymphonyError):
        return error.message
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError) and error.strerror:
        place = "" if error.filename is None else f"`{os.fsdecode(error.filename)}`: "
        return f"{place}{error.strerror}"
    if isinstance(error, SystemExit):
        ended = _ENDED_BY.get(error.code) if isinstance(error.code, int) else None
        return ended or f"exit with {error.code}"
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def places_of(error: BaseException) -> list[str]:
    """Where a foreign error was raised: the frames that are not ours, outermost first."""
    if isinstance(error, (SymphonyError, KeyboardInterrupt, SystemExit)):
        return []
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
    directory = os.getcwd() + os.sep
    places: list[str] = []
    frames = error.__traceback__
    while frames is not None:
        code = frames.tb_frame.f_code
        if not code.co_filename.startswith((ours, "<frozen ")):
            file = code.co_filename.removeprefix(directory)
            places.append(f"{file}:{frames.tb_lineno}  in {code.co_name}")
        frames = frames.tb_next
    return places


def causes_of(error: BaseException) -> list[str]:
    """The chain of causes, outermost first, without those that say the same again."""
    return [text for text, _ in _chain(error)]


def _chain(error: BaseException) -> list[tuple[str, list[str]]]:
    """The causes, and where each was raised."""
    causes: dict[str, list[str]] = {}
    said = message_of(error)
    seen = {id(error)}
    cause = error.__cause__
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        text = message_of(cause)
        if text not in said:
            causes.setdefault(text, places_of(cause))
        cause = cause.__cause__
    far: tuple[str, ...] = getattr(error, "causes", ())
    for text in far:
        causes.setdefault(text, [])
    return list(causes.items())


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


def with_remote(error: BaseException) -> dict[str, Any]:
    """The document of an error with what the other process said: its traceback, or its last lines."""
    return {
        **as_document(error),
        "traceback": getattr(error, "traceback", None),
        "stderr": getattr(error, "stderr", None),
    }


def remote_lines(error: BaseException) -> list[str]:
    """What the other process said, for people."""
    traceback: str | None = getattr(error, "traceback", None)
    return [f"  {line}" for line in traceback.rstrip().splitlines()] if traceback else []
