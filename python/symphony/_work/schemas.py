"""JSON Schemas of an extension's operations, as its process tells them.

Called by `ExtensionHandle.schema()`. Invariant: every operation of the handshake has its schema; where a guest knows
none, it says what the handshake says: which inputs there are, and which of them a call must give.
"""

from __future__ import annotations

from symphony.exceptions import ExtensionCrashedError, ExtensionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from symphony import _core

SCHEMAS = "symphony.schemas"
"""The operation that a guest may answer beside its own: `ipc::SCHEMAS`."""
_PATIENCE = 5.0
"""So long a guest that is busy is waited for, in seconds."""


def schema(handle: _core.ExtensionHandle) -> dict[str, dict[str, Any]]:
    """The schemas of its operations, by their names; it is started where it does not run.

    Raises:
        ExtensionError: It cannot be started.
    """
    handle.activate()
    described = handle._described() or []  # noqa: SLF001 - the core has it for this module alone.
    try:
        told = handle.options(timeout=_PATIENCE).call(SCHEMAS)
    except ExtensionCrashedError:
        raise
    except ExtensionError:
        # One that is busy, or does not know the question.
        told = None
    known: dict[str, Any] = told if isinstance(told, dict) else {}
    return {
        name: {**_whole(known.get(name), inputs, doc), "stream": is_stream}
        for name, inputs, is_stream, doc in described
    }


def _whole(told: Any, inputs: list[tuple[str, bool]], doc: str) -> dict[str, Any]:
    """What a guest told of an operation, and what its handshake tells where that lacks something."""
    made = dict(told) if isinstance(told, dict) else {}
    if not isinstance(made.get("input"), dict):
        taken: dict[str, Any] = {"type": "object"}
        if inputs:
            taken["properties"] = {name: {} for name, _ in inputs}
        required = [name for name, is_required in inputs if is_required]
        if required:
            taken["required"] = required
        made["input"] = taken
    if not isinstance(made.get("output"), dict):
        made.pop("output", None)
    if not isinstance(made.get("description"), str):
        made["description"] = doc
    return made
