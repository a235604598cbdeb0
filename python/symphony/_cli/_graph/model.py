"""The graph of a system as one document: Symphony's own parts, extensions, components, the Conductor, Melodies.

Used by `_graph.command`; every format is drawn from what is made here. What the core plans comes from the core; the
components of the user's sources are bound to it by the keys that the core's planner compares, and the planner says what
is wrong. The invariant kept here: nothing is imported or started, and an edge stands in the document once.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from symphony import _core
from symphony._cli._check import plan_faults
from symphony._cli._graph.documents import Documents
from symphony._static.declared_system import read_declared

if TYPE_CHECKING:
    from typing import Any

    from symphony._core import ComponentSpec, Diagnostic, NeedSpec

LATE_BINDING = "late-binding"
_OWN = ("state", "supervisor", "ipc-bus", "pit", "orchestra-kit")


class GraphReader:
    """Reads the graph of one system.

    Attributes:
        faults: What is wrong with it, and what could not be followed.
    """

    def __init__(self, manifest: str | None, components: list[str], conductor: str | None) -> None:
        """Nothing is read yet.

        Args:
            manifest: The system's manifest; nothing for a system without extensions.
            components: Modules that the arguments name.
            conductor: The Conductor that the arguments name.
        """
        self.faults: list[Diagnostic] = []
        self._manifest = manifest
        self._named = components
        self._conductor = conductor
        self._entries: list[dict[str, Any]] = []
        self._documents = Documents(manifest)

    def empty(self) -> dict[str, Any]:
        """The document of a system of which nothing is known."""
        return {"schema": 1, "system": None, "phases": [], "components": [], "melodies": []}

    def read(self) -> dict[str, Any]:
        """The document.

        Raises:
            SymphonyError: The manifests are at fault.
        """
        planned: dict[str, Any] = json.loads(_core.plan_graph(self._manifest, "json"))
        phases: list[str] = planned["phases"]
        self._entries = planned["components"]
        for entry in self._entries:
            name = entry["name"]
            kind = "own" if name in _OWN else "member" if entry["phase"] == "pit" else "extension"
            entry["kind"] = kind
            entry["activation"] = "eager" if kind == "extension" else None
        self._add_extensions()
        source, noted = read_declared(self._manifest, self._named, self._conductor)
        self._add_components(source.specs, set(source.replaced))
        self.faults = [*noted, *plan_faults(source)]
        melodies, faults = self._documents.melodies()
        self.faults += faults
        ring = {
            name for fault in self.faults if fault.code == "dependency-cycle" for name in fault.path
        }
        for entry in self._entries:
            entry["in_cycle"] = entry["name"] in ring
        self._entries.sort(key=lambda entry: (phases.index(entry["phase"]), entry["wave"]))
        return {
            **self.empty(),
            "system": self._documents.system,
            "phases": phases,
            "components": self._entries,
            "melodies": melodies,
            "diagnostics": [fault.to_dict() for fault in self.faults],
        }

    def _add_extensions(self) -> None:
        """The lazy ones, and what manifests require that the boot does not wait for."""
        known = {entry["name"]: entry for entry in self._entries}
        lazy: list[dict[str, Any]] = []
        for one in self._documents.extensions():
            if one["name"] not in known:
                lazy.append(one)
                known[one["name"]] = one
        for name, requires in self._documents.requires.items():
            entry = known.get(name)
            there = {need["name"] for need in entry["needs"]} if entry else set()
            for required in requires:
                if entry is not None and required in known and required not in there:
                    there.add(required)
                    entry["needs"].append(
                        _edge(required, required, "requires", entry["file"], None)
                    )
        kit = known.get("orchestra-kit")
        for entry in lazy:
            if kit is not None:
                entry["needs"].insert(0, _edge("orchestra-kit", "OrchestraKit", "one", None, None))
            entry["wave"] = 1
        self._entries += lazy

    def _add_components(self, specs: list[ComponentSpec], replaced: set[str]) -> None:
        """Those of the user's, bound by their keys, and what binds their late edges."""
        providers: dict[Any, list[str]] = {}
        there = {entry["name"] for entry in self._entries}
        for key, part in _core.own_parts_by_class().items():
            if isinstance(key, str) and part.name in there and part.name not in replaced:
                providers[key] = [part.name]
        for spec in specs:
            for key in spec.provides:
                providers.setdefault(key, []).append(spec.name)
        added: list[dict[str, Any]] = []
        for spec in specs:
            # The Conductor comes last, whatever else there is.
            kind = "conductor" if spec is specs[-1] and spec.phase == "conductor" else "component"
            needs = [
                _edge(name, _label(need.key), need.kind, need.file, need.line)
                for need in spec.needs
                for name in _bound(need, providers.get(need.key, []))
            ]
            added.append(_entry(spec, kind, needs))
        late = [(entry["name"], need["name"]) for entry in added for need in entry["needs"]
                if need["kind"] == "late"]  # fmt: skip
        if late:
            names = dict.fromkeys([name for pair in late for name in pair])
            if added:
                names[added[-1]["name"]] = None
            needs = [_edge(name, name, "every", None, None) for name in names]
            added.append(
                {
                    **_blank(LATE_BINDING, "conductor"),
                    "kind": "own",
                    "provides": [],
                    "needs": needs,
                    "required": True,
                }
            )
        self._entries += added
        _set_waves(self._entries, added)


def _blank(name: str, phase: str) -> dict[str, Any]:
    return {"name": name, "phase": phase, "wave": 0, "file": None, "line": None, "activation": None}


def _entry(spec: ComponentSpec, kind: str, needs: list[dict[str, Any]]) -> dict[str, Any]:
    placed = spec.file if spec.file and os.path.isabs(spec.file) else None
    return {
        **_blank(spec.name, spec.phase),
        "kind": kind,
        "provides": [_label(key) for key in spec.provides],
        "needs": needs,
        "required": spec.required,
        "file": placed,
        "line": spec.line or None,
    }


def _edge(name: str, key: str, kind: str, file: str | None, line: int | None) -> dict[str, Any]:
    return {"name": name, "key": key, "kind": kind, "file": file, "line": line or None}


def _label(key: Any) -> str:
    """What people call a key: the last part of a qualified name."""
    text = key if isinstance(key, str) else getattr(key, "__qualname__", str(key))
    return text.rpartition(".")[2] or text


def _bound(need: NeedSpec, names: list[str]) -> list[str]:
    """Who provides what a parameter asks for; nobody where that is not one, which the planner tells."""
    if need.named is not None:
        names = [name for name in names if name == need.named]
    if need.kind == "every":
        return names
    return names if len(names) == 1 else []


def _set_waves(entries: list[dict[str, Any]], added: list[dict[str, Any]]) -> None:
    """Counts each added one's wave: how many steps of its phase come before it."""
    by_name = {entry["name"]: entry for entry in entries}
    waves: dict[str, int] = {}
    for start in added:
        # Not by recursion: a chain may be longer than the stack.
        waiting = [start["name"]]
        open_names: set[str] = set()
        while waiting:
            name = waiting[-1]
            entry = by_name[name]
            before = [
                need["name"]
                for need in entry["needs"]
                if need["kind"] not in ("late", "requires")
                and need["name"] in by_name
                and by_name[need["name"]]["phase"] == entry["phase"]
            ]
            missing = [one for one in before if one not in waves and one not in open_names]
            if missing and name not in waves:
                open_names.add(name)
                waiting += missing
                continue
            waiting.pop()
            waves[name] = max((waves.get(one, -1) + 1 for one in before), default=0)
    for entry in added:
        entry["wave"] = waves[entry["name"]]
