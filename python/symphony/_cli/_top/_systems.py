"""Finds running systems by their sockets, and asks them.

The invariant kept here: only a socket in a folder of this account alone is connected to, and only a process of this
account behind it is told anything; one that does not answer is left out.
"""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING

from symphony.top import SUFFIX, folders, is_private, is_trusted

if TYPE_CHECKING:
    from typing import Any

_PATIENCE = 3.0
_LARGEST = 64 << 20


def find(state: str | None) -> list[tuple[str, dict[str, Any]]]:
    """The sockets of the systems that run, each with the figures of its system."""
    found: list[tuple[str, dict[str, Any]]] = []
    for folder in folders(state):
        if not is_private(folder):
            continue
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            figures = ask(path, {"ask": "figures"}) if name.endswith(SUFFIX) else None
            if figures is not None and "extensions" in figures:
                found.append((path, figures))
    return found


def ask(path: str, request: dict[str, Any]) -> dict[str, Any] | None:
    """The answer of a system; nothing where it does not come."""
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX) as system:
            system.settimeout(_PATIENCE)
            system.connect(path)
            if not is_trusted(system):
                return None
            system.sendall(json.dumps(request).encode() + b"\n")
            while part := system.recv(1 << 16):
                answer += part
                if len(answer) > _LARGEST:
                    return None
        document = json.loads(answer)
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None
