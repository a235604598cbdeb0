"""JSON-RPC as the model context protocol has it: one message a line, answers by number, codes of errors.

Used on both sides of the socket between a client's process and the system's. Invariants: no line is kept beyond
`LONGEST`; an answer begins with its number, so that whoever passes it on need not read the rest.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

LONGEST = 32 << 20
"""No message is longer, in bytes."""

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
ENDED = -32010
"""The system ended while it was answering. Of the range that is an implementation's own."""
OVERLOADED = -32011
RESOURCE_NOT_FOUND = -32002
"""Until 2025-11-25; then it is `INVALID_PARAMS`."""
UNSUPPORTED_VERSION = -32022

_HEAD = '{"jsonrpc":"2.0","id":'
_decoder = json.JSONDecoder()


class RefusedError(Exception):
    """A request that is answered with an error.

    Attributes:
        code: Its number.
        message: One sentence.
        data: More of it, for programs.
    """

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        """Keeps what is told."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


def answer(number: Any, result: dict[str, Any]) -> bytes:
    """The line of a result.

    Raises:
        ValueError: It holds what JSON cannot.
    """
    return line({"jsonrpc": "2.0", "id": number, "result": result})


def failure(number: Any, refused: RefusedError) -> bytes:
    """The line of an error; without a number where it belongs to no request."""
    told: dict[str, Any] = {"code": refused.code, "message": refused.message}
    if refused.data is not None:
        told["data"] = refused.data
    return line({"jsonrpc": "2.0", "id": number, "error": told})


def notification(method: str, params: dict[str, Any] | None = None) -> bytes:
    """The line of a message that nobody answers."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        message["params"] = params
    return line(message)


def line(message: dict[str, Any]) -> bytes:
    """One message as it is sent."""
    try:
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        # Half of a pair of surrogates has no UTF-8; in escapes it has.
        return json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def answered(sent: bytes) -> Any:
    """The number of the request that a line answers; None where it answers none."""
    if not sent.startswith(_HEAD.encode()):
        return None
    # A number, or a text, is never long: the result behind it may be.
    head = sent[len(_HEAD) : len(_HEAD) + 4096].decode("utf-8", "replace")
    try:
        return _decoder.raw_decode(head)[0]
    except ValueError:
        return json.loads(sent)["id"]


def parse(received: bytes) -> Any:
    """What a line holds.

    Raises:
        RefusedError: It is no JSON.
    """
    try:
        return json.loads(received)
    except (ValueError, RecursionError) as fault:
        raise RefusedError(PARSE_ERROR, f"the message is no JSON: {fault}") from None


def checked(message: Any) -> dict[str, Any]:
    """A message that has the form of one.

    Raises:
        RefusedError: It has not.
    """
    if isinstance(message, list):
        raise RefusedError(INVALID_REQUEST, "messages are sent one by one, not as a batch")
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise RefusedError(INVALID_REQUEST, 'a message is an object with `"jsonrpc": "2.0"`')
    if "method" in message and not isinstance(message["method"], str):
        raise RefusedError(INVALID_REQUEST, "`method` is a text")
    if "method" not in message and not ("result" in message or "error" in message):
        raise RefusedError(INVALID_REQUEST, "a request has a `method`")
    if "id" in message and not is_number(message["id"]):
        raise RefusedError(INVALID_REQUEST, "`id` is a text or a whole number")
    if not isinstance(message.get("params", {}), dict):
        raise RefusedError(INVALID_PARAMS, "`params` is an object")
    return message


def is_number(value: Any) -> bool:
    """Whether it can be the number of a request."""
    return isinstance(value, (str, int)) and not isinstance(value, bool)


class Lines:
    """Lines out of bytes as they come."""

    def __init__(self, longest: int = LONGEST) -> None:
        """Nothing has come."""
        self._longest = longest
        self._parts: list[bytes] = []
        self._held = 0
        self._too_long = False

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """The lines that are whole now; None for one that was too long to be kept."""
        *whole, rest = data.split(b"\n")
        for part in whole:
            self._keep(part)
            yield self._take()
        self._keep(rest)

    def end(self) -> Iterator[bytes | None]:
        """What was left without an end."""
        if self._held or self._too_long:
            yield self._take()

    def _keep(self, part: bytes) -> None:
        if self._too_long or not part:
            return
        self._parts.append(part)
        self._held += len(part)
        if self._held > self._longest:
            self._too_long = True
            self._parts.clear()

    def _take(self) -> bytes | None:
        taken = None if self._too_long else b"".join(self._parts)
        self._parts.clear()
        self._held, self._too_long = 0, False
        return taken
