"""The tools of a system: each operation of its extensions, and each Melody beside its manifest.

Called by `session`, for all clients of the system. Invariants: an extension that was not started has the schemas of
its last start, if nothing of it has changed since; one that does not come up holds nobody up and has its tools told
later, once, where they are others than were told; what a client may call is what it was shown.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import hashlib
import json
import os
import re
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING

from symphony import Melody, _core
from symphony._cli import _errors
from symphony._cli._serve.answers import WRAPPED
from symphony._cli._serve.permits import Permits
from symphony.exceptions import SymphonyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from symphony import System

_WAIT = 3.0
"""So long the tools of an extension that has to be started are waited for, in seconds; they are told later."""
_STARTS = 16
"""So many extensions are started at once."""
_LOOKED = 5.0
"""Melodies are looked for again after so many seconds."""
_MOST_FILES = 5000
_LONGEST_NAME = 128
_CACHE = "schemas.json"


class Tool:
    """One tool.

    Attributes:
        told: What a client is told of it.
        reads_only: Whether it can change nothing.
        extension: The extension that it calls; None of a Melody.
        operation: The operation that it calls.
        melody: The file of the Melody that it runs.
        is_stream: Whether its values come one by one.
        wraps: Whether its result stands under a key; None where nobody knows before it is there.
        encoded: The inputs that are sent as base64.
        is_guess: Whether its extension could not be asked, and its description says why.
    """

    __slots__ = (
        "encoded",
        "extension",
        "is_guess",
        "is_stream",
        "melody",
        "operation",
        "reads_only",
        "told",
        "wraps",
    )

    def __init__(
        self,
        told: dict[str, Any],
        *,
        reads_only: bool,
        extension: str | None = None,
        operation: str = "",
        melody: str = "",
    ) -> None:
        """Keeps it."""
        self.told = told
        self.reads_only = reads_only
        self.extension = extension
        self.operation = operation
        self.melody = melody
        self.is_stream = False
        self.wraps: bool | None = None
        self.encoded: list[str] = []
        self.is_guess = False


class Tools:
    """The tools of one system."""

    def __init__(
        self, system: System[Any], folder: str, keeps: str, changed: Callable[[], None]
    ) -> None:
        """Nothing is known yet.

        Args:
            system: The system.
            folder: Where its Melodies lie.
            keeps: Where the schemas of extensions are kept for the next system.
            changed: Called in the event loop when there are other tools than were told.
        """
        self._kit = system.kit
        self._folder = folder
        self._changed = changed
        self._permits = Permits(system.kit)
        self._cache = _Cache(os.path.join(keeps, _CACHE))
        self._threads = concurrent.futures.ThreadPoolExecutor(_STARTS, "serve")
        self._of_extensions: dict[str, tuple[int | None, list[Tool]]] = {}
        self._loading: dict[str, asyncio.Future[list[Tool]]] = {}
        # What came of the last load of each, and what was told while the next one was not done.
        self._last: dict[str, list[Tool]] = {}
        self._told: dict[str, list[Tool]] = {}
        self._melodies: list[Tool] = []
        self._looked = 0.0

    async def close(self) -> None:
        """Waits for nobody."""
        self._threads.shutdown(wait=False)

    async def all(self) -> list[Tool]:
        """Every tool that is known, or comes to be known soon enough."""
        names = self._kit.extensions()
        loads = {name: self._load(name) for name in names}
        melodies = asyncio.ensure_future(self._found_melodies())
        await asyncio.wait({*loads.values(), melodies}, timeout=_WAIT)
        found: list[Tool] = []
        for name, load in loads.items():
            if load.done():
                found += load.result()
            else:
                found += self._told.setdefault(name, self._last.get(name, []))
        return found + (melodies.result() if melodies.done() else self._melodies)

    async def find(self, name: str) -> Tool | None:
        """The tool of that name; None where there is none."""
        for tool in self._melodies:
            if tool.told["name"] == name:
                return tool
        for extension in self._kit.extensions():
            if name.startswith(f"{_lawful(extension)}."):
                kept = self._of_extensions.get(extension)
                tools = kept[1] if kept is not None else await self._load(extension)
                for tool in tools:
                    if tool.told["name"] == name:
                        return tool
        if name.startswith("melody."):
            for tool in await self._found_melodies():
                if tool.told["name"] == name:
                    return tool
        return None

    def _load(self, name: str) -> asyncio.Future[list[Tool]]:
        """The tools of an extension, asked for once by however many."""
        loading = self._loading.get(name)
        if loading is None:
            loop = asyncio.get_running_loop()
            loading = self._loading[name] = loop.run_in_executor(
                self._threads, self._tools_or_none, name
            )
            loading.add_done_callback(lambda load: self._loaded(name, load))
        return asyncio.shield(loading)

    def _loaded(self, name: str, load: asyncio.Future[list[Tool]]) -> None:
        """Keeps what came of a load, and tells where it is something else than was told meanwhile."""
        self._loading.pop(name, None)
        told = self._told.pop(name, None)
        if load.cancelled():
            return
        self._last[name] = load.result()
        # Who is told of a change asks again: one that fails in other words each time would be started for ever.
        if told is not None and _shown(told) != _shown(self._last[name]):
            self._changed()

    def _tools_or_none(self, name: str) -> list[Tool]:
        """The tools of an extension; a fault of one costs nobody else's."""
        try:
            return self._tools_of(name)
        except Exception:  # noqa: BLE001 - told where the system's log is; the others are served.
            traceback.print_exc(file=sys.stderr)
            return self._last.get(name, [])

    def _tools_of(self, name: str) -> list[Tool]:
        """The tools of an extension; it is started where nothing of an earlier start is known."""
        handle = self._kit.extension(name)
        run = handle.pid
        kept = self._of_extensions.get(name)
        if kept is not None and kept[0] == run:
            return kept[1]
        lasts = True
        stamp = self._stamp(name)
        schemas = None if handle.state == "ready" else self._cache.schemas(name, stamp)
        if schemas is None:
            try:
                schemas = handle.schema()
                self._cache.keep(name, stamp, schemas)
                run = handle.pid
            except SymphonyError as error:
                print(_errors.render(error), file=sys.stderr)
                schemas, lasts = self._unstarted(name, error), False
        tools = [self._tool(name, operation, schema) for operation, schema in schemas.items()]
        for tool in tools:
            tool.is_guess = not lasts
        if lasts:
            self._of_extensions[name] = (run, tools)
        return tools

    def _unstarted(self, name: str, error: SymphonyError) -> dict[str, dict[str, Any]]:
        """What is known of one that cannot be started: whoever calls it is told why."""
        known = self._kit.operations(name) or []
        told = f"It cannot be started now: {error.message}"
        return {one: {"input": {"type": "object"}, "description": told} for one in known}

    def _stamp(self, name: str) -> str:
        """What an extension was made of when its schemas were told."""
        _, folder = self._kit.version(name)
        found = hashlib.sha256(f"{_core.__version__} {sys.version}".encode())
        found.update(self._kit.grants(name)["digest"].encode())
        count = 0
        for inside, folders, files in os.walk(folder):
            folders[:] = sorted(
                one for one in folders if not one.startswith(".") and one != "__pycache__"
            )
            for file in sorted(files):
                count += 1
                path = os.path.join(inside, file)
                try:
                    state = os.stat(path)
                except OSError:
                    continue
                found.update(
                    f"{path}\0{state.st_size}\0{state.st_mtime_ns}\0".encode("utf-8", "replace")
                )
            if count > _MOST_FILES:
                break
        return found.hexdigest()

    def _tool(self, extension: str, operation: str, schema: dict[str, Any]) -> Tool:
        reads_only = self._permits.reads_only(extension)
        taken = {**schema["input"], "type": "object"}
        told: dict[str, Any] = {"name": _lawful(f"{extension}.{operation}"), "inputSchema": taken}
        theirs = schema.get("annotations")
        hints = dict(theirs) if isinstance(theirs, dict) else {}
        hints["readOnlyHint"] = reads_only
        if reads_only:
            hints["destructiveHint"] = False
        else:
            hints.setdefault("destructiveHint", True)
        hints["openWorldHint"] = self._permits.uses_network(extension)
        texts = {key: schema.get(key) for key in ("title", "description")}
        told.update((key, text) for key, text in texts.items() if isinstance(text, str) and text)
        told["annotations"] = hints
        tool = Tool(told, reads_only=reads_only, extension=extension, operation=operation)
        output = schema.get("output")
        if isinstance(output, dict):
            tool.wraps = not _is_object(output)
            told["outputSchema"] = _wrapped(output) if tool.wraps else {**output, "type": "object"}
        tool.is_stream = bool(schema.get("stream"))
        properties = taken.get("properties")
        for name, one in properties.items() if isinstance(properties, dict) else ():
            if isinstance(one, dict) and one.get("contentEncoding") == "base64":
                tool.encoded.append(name)
        return tool

    # -- Melodies ------------------------------------------------------------------------------------------------------

    async def _found_melodies(self) -> list[Tool]:
        """The Melodies of the system's folder, looked for anew where that was a while ago."""
        if time.monotonic() - self._looked >= _LOOKED or not self._looked:
            loop = asyncio.get_running_loop()
            self._melodies = await loop.run_in_executor(self._threads, self._look_for_melodies)
            self._looked = time.monotonic()
        return self._melodies

    def _look_for_melodies(self) -> list[Tool]:
        found: dict[str, Tool] = {}
        try:
            files = _core.find_melodies([self._folder])
        except (OSError, SymphonyError) as error:
            print(f"no Melodies are looked for in `{self._folder}`: {error}", file=sys.stderr)
            files = []
        for file in files:
            try:
                melody = Melody(file)
            except SymphonyError as error:
                # `symphony check` tells it with its place; the others are served.
                print(_errors.render(error), file=sys.stderr)
                continue
            tool = self._of_melody(melody, file)
            found.setdefault(tool.told["name"], tool)
        return list(found.values())

    def _of_melody(self, melody: Melody, file: str) -> Tool:
        reads_only = self._permits.are_reading(melody.calls)
        steps = ", ".join(f"{node} ({call})" for node, call in zip(melody.nodes, melody.calls))
        told = {
            "name": _lawful(f"melody.{melody.name}"),
            "description": f"Runs the Melody `{melody.name}`; the result has the value of each node: {steps}.",
            "inputSchema": {
                "type": "object",
                "properties": {name: {} for name in melody.inputs},
                "required": list(melody.inputs),
                "additionalProperties": False,
            },
            "outputSchema": {"type": "object", "properties": {node: {} for node in melody.nodes}},
            "annotations": {
                "readOnlyHint": reads_only,
                "destructiveHint": not reads_only,
            },
        }
        tool = Tool(told, reads_only=reads_only, melody=file)
        tool.wraps = False
        return tool


class _Cache:
    """Schemas of earlier starts, in a file; whatever is wrong with it, they are asked for again."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._known: dict[str, Any] | None = None
        self._lock = threading.Lock()

    def schemas(self, name: str, stamp: str) -> dict[str, dict[str, Any]] | None:
        with self._lock:
            known = self._read().get(name)
        if not isinstance(known, dict) or known.get("stamp") != stamp:
            return None
        schemas: dict[str, dict[str, Any]] = known["schemas"]
        return schemas

    def keep(self, name: str, stamp: str, schemas: dict[str, dict[str, Any]]) -> None:
        with self._lock:
            known = self._read()
            known[name] = {"stamp": stamp, "schemas": schemas}
            written = f"{self._path}.{os.getpid()}"
            try:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(written)
                # A link that lies there is not followed.
                with open(written, "x", encoding="utf-8") as file:
                    json.dump(known, file)
                os.replace(written, self._path)
            except (OSError, ValueError) as error:
                # The next start asks again.
                print(f"{self._path} is not written: {error}", file=sys.stderr)

    def _read(self) -> dict[str, Any]:
        if self._known is None:
            try:
                with open(self._path, encoding="utf-8") as file:
                    read = json.load(file)
            except (OSError, ValueError):
                read = {}
            self._known = read if isinstance(read, dict) else {}
        return self._known


def _shown(tools: list[Tool]) -> list[dict[str, Any]]:
    """What makes a difference to a client; why an extension cannot be started does not."""
    return [{**one.told, "description": None} if one.is_guess else one.told for one in tools]


def _lawful(name: str) -> str:
    """A name of the letters that names of tools may have, and not longer than they may be."""
    made = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    if len(made) > _LONGEST_NAME:
        made = made[: _LONGEST_NAME - 9] + "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return made


def _is_object(schema: dict[str, Any]) -> bool:
    """Whether everything that a schema allows is an object."""
    reference = schema.get("$ref")
    if isinstance(reference, str):
        named = schema.get("$defs", {}).get(reference.rpartition("/")[2], {})
        return isinstance(named, dict) and named.get("type") == "object"
    return schema.get("type") == "object"


def _wrapped(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object that has the result under a key; what it refers to stays at the root."""
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    made: dict[str, Any] = {"type": "object", "properties": {WRAPPED: inner}, "required": [WRAPPED]}
    if "$defs" in schema:
        made["$defs"] = schema["$defs"]
    return made
