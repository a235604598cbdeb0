"""What the scripted servers share: messages in and out, by the standard library alone."""

from __future__ import annotations

import json
import sys
from typing import Any


def read_line() -> dict[str, Any] | None:
    """The next message of an MCP client."""
    line = sys.stdin.buffer.readline()
    return json.loads(line) if line else None


def write_line(message: dict[str, Any]) -> None:
    """A message to an MCP client."""
    write_raw(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")


def read_framed() -> dict[str, Any] | None:
    """The next message of an LSP client."""
    length = 0
    while True:
        line = sys.stdin.buffer.readline()
        if not line:
            return None
        if line.strip().lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
        if not line.strip():
            return json.loads(sys.stdin.buffer.read(length))


def write_framed(message: dict[str, Any], *, length: int | None = None) -> None:
    """A message to an LSP client, with a wrong length where one is given."""
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    header = f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    write_raw(header.encode() + body)


def write_raw(data: bytes) -> None:
    """Bytes, as they are."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
