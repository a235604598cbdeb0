"""What manifests and Melodies say that the plan of a boot does not: lazy extensions, `requires`, the nodes of Melodies.

Used by `_graph.model`, after the core has read the same files and found no fault in them: what is read here is
well-formed. The invariant kept here: only what the core takes for an extension of this system, or for a Melody, is
in the graph.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING

from symphony import _core
from symphony._static.operations import read_operations
from symphony.exceptions import MelodyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from symphony._core import Diagnostic

_REFERENCE = re.compile(r"\$\{([^}.]+)(?:\.[^}]*)?\}")
_IGNORED = ("__pycache__", "node_modules", "target")


def read_table(path: str) -> dict[str, Any]:
    """A TOML or JSON file as a table; an empty one where it is none."""
    try:
        with open(path, "rb") as file:
            text = file.read().decode()
        found: object = json.loads(text) if path.endswith(".json") else _toml(text)
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _toml(text: str) -> object:
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib.loads(text)
    try:
        reader: Any = __import__("tomli")
    except ImportError:
        # Before Python 3.11 there is no reader of TOML: what the core plans is still drawn.
        return {}
    return reader.loads(text)


class Documents:
    """The manifests and Melodies that belong to a system.

    Attributes:
        system: The system's name.
        requires: For each extension what its manifest requires.
    """

    def __init__(self, manifest: str | None) -> None:
        """Nothing is read yet."""
        self.system: str | None = None
        self.requires: dict[str, list[str]] = {}
        self._manifest = manifest

    def extensions(self) -> list[dict[str, Any]]:
        """Every extension of the system as an entry of the graph, without its edges."""
        deployed = None if self._manifest is None else _core.deployment(self._manifest)
        if deployed is None or self._manifest is None:
            return []
        self.system = deployed[0]
        folders = [os.fspath(folder) for folder in _core.watched_paths(self._manifest)]
        places = {
            name: (file, line)
            for name, file, line, _, _ in _core.find_extensions(folders, read_operations)
        }
        entries: list[dict[str, Any]] = []
        for name, _, is_eager, *_ in deployed[2]:
            file, line = places.get(name, (None, None))
            table = {} if file is None else read_table(file).get("extension", {})
            listed = table.get("requires", [])
            self.requires[name] = [str(one) for one in listed] if isinstance(listed, list) else []
            entries.append(
                {
                    "name": name,
                    "phase": "orchestra_kit",
                    "wave": 0,
                    "kind": "extension",
                    "activation": "eager" if is_eager else "lazy",
                    "required": bool(table.get("required", True)),
                    "provides": [name],
                    "needs": [],
                    "file": file,
                    "line": line,
                }
            )
        return entries

    def melodies(self) -> tuple[list[dict[str, Any]], list[Diagnostic]]:
        """The Melodies under the system's folder by name, and what is wrong with them."""
        found: list[dict[str, Any]] = []
        faults: list[Diagnostic] = []
        if self._manifest is None:
            return found, faults
        for path in _candidates(os.path.dirname(self._manifest)):
            if "melody" not in read_table(path) or _core.count_paths([path])[2] != 1:
                continue
            try:
                melody = _core.Melody(path)
            except MelodyError as error:
                faults += error.diagnostics
                continue
            found.append(_melody(path, melody.name, melody.inputs))
        return sorted(found, key=lambda one: (one["name"], one["file"])), faults


def melody_of(path: str) -> dict[str, Any] | None:
    """The Melody of a file as an entry of the graph; nothing where it is none any more."""
    try:
        melody = _core.Melody(path)
    except MelodyError:
        return None
    return _melody(path, melody.name, melody.inputs)


def _melody(path: str, name: str, inputs: list[str]) -> dict[str, Any]:
    nodes = read_table(path).get("node", [])
    ids = [str(node.get("id")) for node in nodes]
    described: list[dict[str, Any]] = []
    for node in nodes:
        on_error = node.get("on_error", "fail")
        stand_in = on_error.get("fallback") if isinstance(on_error, dict) else None
        used = dict.fromkeys(name for name in _references(node.get("with")) if name in ids)
        described.append(
            {
                "id": str(node.get("id")),
                "call": str(node.get("call")),
                "needs": list(used),
                "on_error": "fallback" if stand_in is not None else str(on_error),
                "fallback": node.get("fallback", stand_in),
            }
        )
    return {"name": name, "file": path, "inputs": inputs, "nodes": described}


def _references(value: object) -> Iterator[str]:
    """The names in `${…}` of a value, whatever it is made of."""
    waiting = [value]
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, str):
            # `$${` stands for the text `${`.
            yield from _REFERENCE.findall(value.replace("$${", ""))
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _candidates(root: str) -> Iterator[str]:
    """The files that may be Melodies, but those that belong to another system in a folder below."""
    for folder, folders, files in os.walk(root):
        if folder != root and "system" in read_table(os.path.join(folder, "Symphony.toml")):
            folders.clear()
            continue
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _IGNORED
            and not os.path.isfile(os.path.join(folder, name, "pyvenv.cfg"))
        )
        for file in sorted(files):
            path = os.path.join(folder, file)
            # Reading a pipe would wait for whoever writes.
            if file.endswith((".toml", ".json")) and os.path.isfile(path):
                yield path
