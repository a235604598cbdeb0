"""What `symphony check` found, in the forms that other programs read: its own JSON, GitHub's annotations, SARIF 2.1.0.

Called by `_cli._check` alone. The invariant kept here: whatever a message, a name or a path holds, the form stays
whole; nothing of it is taken for a command or a separator.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from symphony._cli._permissions import Request
    from symphony._core import Diagnostic

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_UNRESERVED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/"


def as_json(faults: list[Diagnostic], asked: list[Request] | None) -> str:
    """The document whose keys are promised; `permissions` only where it was asked for."""
    document: dict[str, Any] = {
        "ok": not any(fault.severity == "error" for fault in faults),
        "diagnostics": [fault.to_dict() for fault in faults],
    }
    if asked is not None:
        document["permissions"] = asked
    return json.dumps(document, indent=2)


def as_annotations(faults: Iterable[Diagnostic]) -> list[str]:
    """A workflow command of GitHub's for each fault, which shows it at its line of a pull request."""
    return [_annotation(fault) for fault in faults]


def _annotation(fault: Diagnostic) -> str:
    places = [("file", _relative(fault.file)), ("line", fault.line), ("col", fault.column)]
    given = [(name, value) for name, value in places if value is not None]
    properties = ",".join(f"{name}={_property(str(value))}" for name, value in given)
    title = f"title={_property(fault.code)}"
    fields = f"{properties},{title}" if properties else title
    return f"::{_COMMANDS[fault.severity]} {fields}::{_data(_told(fault))}"


def _told(fault: Diagnostic) -> str:
    """Message, edges and hint of a fault, in lines."""
    lines = [fault.message]
    for file, line, _, text in fault.related:
        place = _relative(file) or ""
        lines.append(f"{place}:{line} {text}" if line else f"{place} {text}".strip())
    if fault.hint:
        lines.append(f"hint: {fault.hint}")
    return "\n".join(lines)


def _data(text: str) -> str:
    """A text after the second `::`."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """A text between commas."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def as_sarif(faults: Iterable[Diagnostic]) -> str:
    """A log of SARIF 2.1.0 with one run, which code scanning takes."""
    from symphony import __version__

    faults = list(faults)
    codes = list(dict.fromkeys(fault.code for fault in faults))
    driver = {
        "name": "symphony",
        "semanticVersion": __version__,
        "rules": [_rule(code) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"uri": _uri(os.path.join(os.getcwd(), ""))}},
        "invocations": [{"executionSuccessful": True}],
        "results": [_result(fault, codes) for fault in faults],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(code: str) -> dict[str, Any]:
    title = code.replace("-", " ")
    return {
        "id": code,
        "shortDescription": {"text": title},
        "help": {"text": f"docs/errors.md#{code}"},
    }


def _result(fault: Diagnostic, codes: list[str]) -> dict[str, Any]:
    text = f"{fault.message}\nhint: {fault.hint}" if fault.hint else fault.message
    result: dict[str, Any] = {
        "ruleId": fault.code,
        "ruleIndex": codes.index(fault.code),
        "level": fault.severity,
        "message": {"text": text},
    }
    place = _place(fault.file, fault.line, fault.column)
    result["locations"] = [] if place is None else [{"physicalLocation": place}]
    related: list[dict[str, Any]] = []
    for file, line, column, told in fault.related:
        place = _place(file, line, column)
        if place is not None:
            related.append({"physicalLocation": place, "message": {"text": told}})
    if related:
        result["relatedLocations"] = related
    return result


def _place(file: str | None, line: int | None, column: int | None) -> dict[str, Any] | None:
    if file is None:
        return None
    relative = _relative(file)
    artifact = {"uri": _uri(relative or file)}
    if relative is not None and not os.path.isabs(relative):
        artifact["uriBaseId"] = "SRCROOT"
    place: dict[str, Any] = {"artifactLocation": artifact}
    if line:
        place["region"] = {"startLine": line, **({"startColumn": column} if column else {})}
    return place


def _relative(file: str | None) -> str | None:
    """A path as it is told: relative to the working directory where it lies in it."""
    if file is None:
        return None
    directory = os.path.join(os.getcwd(), "")
    return file.removeprefix(directory)


def _uri(path: str) -> str:
    """A path as a reference, whatever bytes its name has."""
    escaped = "".join(
        char if char in _UNRESERVED else "".join(f"%{byte:02X}" for byte in os.fsencode(char))
        for char in path
    )
    return f"file://{escaped}" if os.path.isabs(path) else escaped
