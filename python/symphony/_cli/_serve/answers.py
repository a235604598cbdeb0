"""What comes of a tool's call, in the forms of the protocol: content for a model, structure for a program.

Invariants: what is structured has the form that the tool's schema says; what JSON cannot hold (bytes, NaN) is written
as that schema says it, or as its name; an error says its code, its causes and the traceback of the other process.
"""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING

from symphony._cli import _errors

if TYPE_CHECKING:
    from typing import Any

WRAPPED = "result"
"""The key under which a result stands that is no object."""
_BLOCKS = {"image": "data", "audio": "data", "resource": "resource", "resource_link": "uri"}
"""Pieces of content beside texts, and what each of them must have."""
_LONGEST_TEXT = 400
ERROR = "symphony/error"
"""The key of `_meta` under which an error stands as a program reads it."""


def plain(value: Any) -> Any:
    """The value as JSON can hold it."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def result(value: Any, *, wraps: bool | None) -> dict[str, Any]:
    """The result of a call that went well.

    Args:
        value: What it gave.
        wraps: Whether the tool's schema has it under `WRAPPED`; None where there is no schema to say.
    """
    made = plain(value)
    if wraps is None:
        wraps = not isinstance(made, dict)
    structured = {WRAPPED: made} if wraps else made
    return {"content": _content(made), "structuredContent": structured, "isError": False}


def error(raised: BaseException) -> dict[str, Any]:
    """The result of a call that failed: what a model reads to do better, and what a program reads."""
    lines = [_errors.render(raised), *_errors.remote_lines(raised)]
    return {
        "content": [{"type": "text", "text": "\n".join(lines)}],
        "isError": True,
        "_meta": {ERROR: _errors.with_remote(raised)},
    }


def progress(token: Any, done: float, total: float | None, message: str | None) -> dict[str, Any]:
    """What is told of a call that goes on."""
    told: dict[str, Any] = {"progressToken": token, "progress": done}
    if total is not None:
        told["total"] = total
    if message:
        told["message"] = message
    return told


def text_of(value: Any) -> str:
    """A value as a text."""
    return _text(plain(value))


def shortened(text: str) -> str:
    """So much of a text as a line for people has room for."""
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"


def _content(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list) and value and all(_is_block(one) for one in value):
        # What a server behind the bridge gave in pieces of its own.
        return value
    return [{"type": "text", "text": _text(value)}]


def _is_block(piece: Any) -> bool:
    if not isinstance(piece, dict):
        return False
    kind = piece.get("type")
    if kind == "text":
        return isinstance(piece.get("text"), str)
    return isinstance(kind, str) and _BLOCKS.get(kind) in piece


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
