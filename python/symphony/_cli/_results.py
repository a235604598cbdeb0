"""What became of runs, for people and for programs.

`run` collects one record for each run. The invariant kept here: a value is shown whole or said to be cut, and what JSON
cannot hold (bytes, NaN) is written so that it is not taken for something else.
"""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING

from symphony._cli import _errors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from symphony import Run
    from symphony.batch import Job

_SHOWN = 20
"""Runs that are shown to people."""
_SETTLED = ("done", "skipped")
"""Where a node has its value; a skipped one has `None`."""
_WIDTH = 400
"""Characters of a value that are shown to people."""


class Results:
    """What became of each run, in the order of their ends."""

    def __init__(self, *, keeps_all: bool) -> None:
        """Nothing has ended yet.

        Args:
            keeps_all: Whether more are wanted than people are shown: of a hundred thousand runs that is memory.
        """
        self.documents: list[dict[str, Any]] = []
        self._keeps_all = keeps_all
        self._left_out = 0

    def add(self, job: Job, run: Run, error: BaseException | None) -> None:
        """Takes in a run that has ended."""
        if not self._keeps_all and len(self.documents) >= _SHOWN:
            self._left_out += 1
            return
        nodes = run.nodes
        # Of a run that failed: what its nodes had come to.
        values = (
            run.result()
            if error is None
            else {node.id: node.value for node in nodes if node.state in _SETTLED}
        )
        self.documents.append(
            {
                "name": job.name,
                "state": run.state,
                "seconds": round(run.seconds, 6),
                "values": as_json(values) if values or error is None else None,
                "nodes": [
                    {
                        "id": node.id,
                        "call": node.call,
                        "state": node.state,
                        "seconds": round(node.seconds, 6),
                        "attempts": node.attempts,
                        "error": None if node.error is None else _errors.with_remote(node.error),
                    }
                    for node in nodes
                ],
                "error": None if error is None else _errors.with_remote(error),
            }
        )

    def lines(self) -> list[str]:
        """The values of the first runs, each with what went wrong on the way."""
        lines: list[str] = []
        for document in self.documents:
            lines.append(f"{document['name']}: {document['state']} in {_time(document['seconds'])}")
            values: Mapping[str, Any] = document["values"] or {}
            for node in document["nodes"]:
                lines.extend(_node_lines(node, values))
        if self._left_out:
            lines.append(f"and {self._left_out} more; `--json` has them all")
        return lines


def _node_lines(node: dict[str, Any], values: Mapping[str, Any]) -> list[str]:
    """One line, and one for an error that the run went on without."""
    lines = []
    if node["state"] == "done":
        lines.append(f"  {node['id']} = {_cut(values.get(node['id']))}")
    else:
        lines.append(f"  {node['id']}: {node['state']}")
    if node["error"] is not None:
        tries = f" after {node['attempts']} tries" if node["attempts"] > 1 else ""
        message = node["error"]["message"]
        lines.append(f"    failed{tries}: {message.splitlines()[0]}")
        lines.extend(
            f"    {line}" for line in _errors.cause_lines(message, node["error"]["causes"])
        )
    return lines


def _cut(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if len(text) <= _WIDTH:
        return text
    return f"{text[:_WIDTH]}… ({len(text):,} characters; `--json` has them all)"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"


def as_json(value: Any) -> Any:
    """The value as JSON can hold it: bytes as `{"base64": …}`, NaN and infinities as their names."""
    if isinstance(value, dict):
        return {key: as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
