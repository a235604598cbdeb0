"""One client of the system, spoken with in the model context protocol of either era.

Called by `system_process` for each connection. Invariants: every request is answered once, unless its client gave it
up; what one client asks holds nobody else up, and ends with it; without a handshake each request says its version.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import traceback
from typing import TYPE_CHECKING

from symphony import _core
from symphony._cli._serve import answers, artifacts, json_rpc
from symphony.exceptions import InvalidValueError, SymphonyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from symphony import System
    from symphony._cli._serve.tools import Tool, Tools

    Handler = Callable[["Request"], Awaitable[dict[str, Any]]]

MODERN = "2026-07-28"
"""The version without a handshake."""
HANDSHAKES = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Those with one, oldest first."""
_VERSION = "io.modelcontextprotocol/protocolVersion"
_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
_SERVER = "io.modelcontextprotocol/serverInfo"
_MOST = 1024
"""So many requests of one client may be under way."""
_PAGE = 1000
_CACHED = (
    "server/discover",
    "tools/list",
    "resources/list",
    "resources/templates/list",
    "resources/read",
)
_FRESH = 1000
"""So many milliseconds a list need not be asked for again."""
_UNREAD = 1 << 20
"""No progress is told to a client that has so many bytes to read."""
_UNANSWERED = 8 << 20
"""Nothing more is taken from a client that has so many bytes to read."""
_LOOKS = 0.2
"""How often a Melody's progress is looked at, in seconds."""


class Request:
    """One request.

    Attributes:
        params: Its parameters.
        is_modern: Whether it belongs to the era without a handshake.
    """

    __slots__ = ("is_modern", "params")

    def __init__(self, params: dict[str, Any]) -> None:
        """Tells the era by what the request carries.

        Raises:
            RefusedError: It is of a version that is not spoken, or lacks what that version asks for.
        """
        self.params = params
        given = params.get("_meta")
        meta: dict[str, Any] = given if isinstance(given, dict) else {}
        version = meta.get(_VERSION)
        self.is_modern = version is not None
        if not self.is_modern:
            return
        if not isinstance(version, str):
            raise json_rpc.RefusedError(json_rpc.INVALID_PARAMS, f"`{_VERSION}` is a text")
        if not isinstance(meta.get(_CAPABILITIES), dict):
            raise json_rpc.RefusedError(json_rpc.INVALID_PARAMS, f"`_meta` lacks `{_CAPABILITIES}`")
        if version != MODERN:
            raise json_rpc.RefusedError(
                json_rpc.UNSUPPORTED_VERSION,
                f"the version {version} is not spoken",
                {"supported": [MODERN, *reversed(HANDSHAKES)], "requested": version},
            )

    @property
    def token(self) -> Any:
        """By what the client wants to be told of progress; None where it does not."""
        meta = self.params.get("_meta")
        token = meta.get("progressToken") if isinstance(meta, dict) else None
        return token if json_rpc.is_number(token) else None

    def text(self, name: str) -> str:
        """A parameter that is a text.

        Raises:
            RefusedError: It is none.
        """
        found = self.params.get(name)
        if not isinstance(found, str):
            raise json_rpc.RefusedError(
                json_rpc.INVALID_PARAMS, f"`{name}` is a text, and is needed"
            )
        return found

    @property
    def cursor(self) -> str | None:
        """Where a list goes on.

        Raises:
            RefusedError: It is no text.
        """
        return None if self.params.get("cursor") is None else self.text("cursor")


class Session:
    """One client."""

    def __init__(
        self,
        system: System[Any],
        tools: Tools,
        writer: asyncio.StreamWriter,
        *,
        read_only: bool,
        version: str | None,
    ) -> None:
        """Nothing is asked yet.

        Args:
            system: The system.
            tools: Its tools.
            writer: To the client.
            read_only: Whether it sees what only reads, and nothing else.
            version: What its handshake with an earlier system agreed on.
        """
        self._system = system
        self._tools = tools
        self._writer = writer
        self._read_only = read_only
        self._version = version
        self._tasks: dict[Any, asyncio.Task[None]] = {}
        self._handlers: dict[str, Handler] = {
            "initialize": self._initialize,
            "server/discover": self._discover,
            "ping": self._nothing,
            "logging/setLevel": self._nothing,
            "tools/list": self._list_tools,
            "tools/call": self._call_tool,
            "resources/list": self._list_resources,
            "resources/templates/list": self._list_templates,
            "resources/read": self._read_resource,
        }

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Serves until the client is gone."""
        self._writer.transport.set_write_buffer_limits(_UNANSWERED)
        while True:
            line = await reader.readline()
            if not line.endswith(b"\n"):
                return
            self._take(line)
            # Others have their turn, however fast this one writes; and one that does not read is not heard.
            await asyncio.sleep(0)
            await self._writer.drain()

    def close(self) -> None:
        """Gives up what it asked, and lets go of it."""
        for task in list(self._tasks.values()):
            task.cancel()
        self._writer.close()

    def tell_change(self) -> None:
        """There are other tools than it was told."""
        if self._version is not None:
            self._write(json_rpc.notification("notifications/tools/list_changed"))

    def _take(self, line: bytes) -> None:
        message: Any = None
        try:
            message = json_rpc.checked(json_rpc.parse(line))
            number = message.get("id")
            params = message.get("params") or {}
            if number is None:
                if message.get("method") == "notifications/cancelled":
                    self._give_up(params.get("requestId"))
                return
            if len(self._tasks) >= _MOST:
                raise json_rpc.RefusedError(
                    json_rpc.OVERLOADED, f"{_MOST} requests have no answer yet"
                )
            task = asyncio.ensure_future(self._answer(number, message["method"], params))
            self._tasks[number] = task
            task.add_done_callback(lambda _: self._tasks.pop(number, None))
        except json_rpc.RefusedError as refused:
            number = message.get("id") if isinstance(message, dict) else None
            self._write(json_rpc.failure(number, refused))

    def _give_up(self, number: Any) -> None:
        task = self._tasks.get(number) if json_rpc.is_number(number) else None
        if task is not None:
            task.cancel()

    async def _answer(self, number: Any, method: str, params: dict[str, Any]) -> None:
        try:
            line = json_rpc.answer(number, await self._result(method, params))
            if len(line) > json_rpc.LONGEST:
                raise _too_long()
        except json_rpc.RefusedError as refused:
            line = json_rpc.failure(number, refused)
        except Exception as fault:  # noqa: BLE001 - a fault of ours ends one answer, and is told.
            traceback.print_exc(file=sys.stderr)
            told = f"{type(fault).__name__}: {fault}"
            line = json_rpc.failure(number, json_rpc.RefusedError(json_rpc.INTERNAL_ERROR, told))
        self._write(line)

    async def _result(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        handler = self._handlers.get(method)
        request = Request(params)
        if handler is None:
            raise json_rpc.RefusedError(json_rpc.METHOD_NOT_FOUND, f"there is no method `{method}`")
        result = await handler(request)
        if request.is_modern:
            meta = {**result.get("_meta", {}), _SERVER: _server()}
            result = {**result, "resultType": "complete", "_meta": meta}
            if method in _CACHED:
                # Of one account, as everything here.
                result.update(ttlMs=_FRESH, cacheScope="private")
        return result

    def _write(self, line: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(line)

    # -- The protocol --------------------------------------------------------------------------------------------------

    async def _nothing(self, _request: Request) -> dict[str, Any]:
        return {}

    async def _initialize(self, request: Request) -> dict[str, Any]:
        asked = request.params.get("protocolVersion")
        self._version = asked if asked in HANDSHAKES else HANDSHAKES[-1]
        capabilities = self._capabilities(changes=True)
        return {
            "protocolVersion": self._version,
            "capabilities": {**capabilities, "logging": {}},
            "serverInfo": _server(),
            "instructions": self._instructions(),
        }

    async def _discover(self, _request: Request) -> dict[str, Any]:
        return {
            "supportedVersions": [MODERN, *reversed(HANDSHAKES)],
            "capabilities": self._capabilities(changes=False),
            "instructions": self._instructions(),
        }

    def _capabilities(self, *, changes: bool) -> dict[str, Any]:
        made: dict[str, Any] = {"tools": {"listChanged": changes}}
        if self._artifacts() is not None:
            made["resources"] = {}
        return made

    def _instructions(self) -> str:
        name = self._system.report.system
        limit = " Only what changes nothing can be called." if self._read_only else ""
        return (
            f"The tools of the system `{name}`: `extension.operation` calls an operation of an extension, "
            f"`melody.NAME` runs a workflow of several.{limit}"
        )

    # -- Tools ---------------------------------------------------------------------------------------------------------

    def _may_see(self, tool: Tool) -> bool:
        return tool.reads_only or not self._read_only

    async def _list_tools(self, request: Request) -> dict[str, Any]:
        tools = [tool.told for tool in await self._tools.all() if self._may_see(tool)]
        begin = 0
        if request.cursor is not None:
            begin = int(request.cursor) if request.cursor.isdecimal() else len(tools) + 1
        if begin > len(tools):
            raise json_rpc.RefusedError(json_rpc.INVALID_PARAMS, "there is no such `cursor`")
        made: dict[str, Any] = {"tools": tools[begin : begin + _PAGE]}
        if begin + _PAGE < len(tools):
            made["nextCursor"] = str(begin + _PAGE)
        return made

    async def _call_tool(self, request: Request) -> dict[str, Any]:
        name = request.text("name")
        arguments = request.params.get("arguments")
        if not isinstance({} if arguments is None else arguments, dict):
            raise json_rpc.RefusedError(json_rpc.INVALID_PARAMS, "`arguments` is an object")
        tool = await self._tools.find(name)
        if tool is None:
            raise json_rpc.RefusedError(json_rpc.INVALID_PARAMS, f"unknown tool: `{name}`")
        if not self._may_see(tool):
            raise json_rpc.RefusedError(
                json_rpc.INVALID_PARAMS,
                f"unknown tool: `{name}` may change something, and this is `--read-only`",
            )
        try:
            value = await self._called(tool, _decoded(tool, dict(arguments or {})), request.token)
        except json_rpc.RefusedError:
            raise
        except Exception as raised:  # noqa: BLE001 - whatever a call raises is told to whoever called.
            return answers.error(raised)
        return answers.result(value, wraps=tool.wraps)

    async def _called(self, tool: Tool, inputs: dict[str, Any], token: Any) -> Any:
        if tool.extension is None:
            return await self._run_melody(tool, inputs, token)
        handle = self._system.kit.extension(tool.extension)
        if token is None and not tool.is_stream:
            return await handle.call_async(tool.operation, **inputs)
        return await self._streamed(handle, tool, inputs, token)

    async def _streamed(
        self, handle: _core.ExtensionHandle, tool: Tool, inputs: dict[str, Any], token: Any
    ) -> Any:
        """Calls, and tells of each value: of a stream they are its values, else its progress with the result behind.

        Raises:
            RefusedError: The stream gave more than a message can hold.
        """
        stream = handle.stream(tool.operation, **inputs)
        values: list[Any] = []
        # One that is not known to be a stream may be one all the same.
        are_values = tool.is_stream
        told = 0.0
        length = 0
        try:
            async for value in stream:
                if not are_values and values:
                    if _is_step(values[-1]):
                        # It was told, and is not what comes behind it.
                        values.clear()
                    else:
                        are_values = True
                values.append(value)
                text = ""
                if are_values:
                    text = answers.text_of(value)
                    # With what stands between them: empty ones have no end either.
                    length += len(text) + 1
                    if length > json_rpc.LONGEST:
                        raise _too_long()
                if tool.is_stream:
                    self._tell(token, len(values), None, answers.shortened(text))
                elif _is_step(value):
                    told = self._tell_step(token, value, told)
        finally:
            stream.close()
        if are_values:
            return values
        return values[-1] if values else None

    def _tell_step(self, token: Any, step: dict[str, Any], told: float) -> float:
        """Tells what an operation said of its progress; it never goes back."""
        done, total, message = step["progress"], step.get("total"), step.get("message")
        if done <= told:
            return told
        told = float(done)
        total = total if _is_amount(total) else None
        text = answers.shortened(message) if isinstance(message, str) else None
        self._tell(token, done, total, text)
        return told

    async def _run_melody(self, tool: Tool, inputs: dict[str, Any], token: Any) -> Any:
        run = self._system.submit(tool.melody, inputs)
        watch = None if token is None else asyncio.ensure_future(self._watch(run, token))
        try:
            return await run
        except asyncio.CancelledError:
            run.cancel()
            raise
        finally:
            if watch is not None:
                watch.cancel()

    async def _watch(self, run: _core.Run, token: Any) -> None:
        told = 0
        while True:
            done, total = run.progress
            if done > told:
                told = done
                self._tell(token, done, total, None)
            await asyncio.sleep(_LOOKS)

    def _tell(self, token: Any, done: float, total: float | None, message: str | None) -> None:
        if token is not None and self._writer.transport.get_write_buffer_size() <= _UNREAD:
            params = answers.progress(token, done, total, message)
            self._write(json_rpc.notification("notifications/progress", params))

    # -- Resources -----------------------------------------------------------------------------------------------------

    def _artifacts(self) -> _core.ArtifactStore | None:
        """The store; None where the system has none."""
        try:
            return self._system.pit.artifacts
        except SymphonyError:
            return None

    def _store(self) -> _core.ArtifactStore:
        store = self._artifacts()
        if store is None:
            raise json_rpc.RefusedError(json_rpc.METHOD_NOT_FOUND, "this system keeps no artifacts")
        return store

    async def _list_resources(self, request: Request) -> dict[str, Any]:
        return await _in_thread(artifacts.page, self._store(), request.cursor)

    async def _list_templates(self, _request: Request) -> dict[str, Any]:
        return {"resourceTemplates": [artifacts.TEMPLATE] if self._artifacts() else []}

    async def _read_resource(self, request: Request) -> dict[str, Any]:
        missing = json_rpc.INVALID_PARAMS if request.is_modern else json_rpc.RESOURCE_NOT_FOUND
        return await _in_thread(artifacts.read, self._store(), request.text("uri"), missing)


def _too_long() -> json_rpc.RefusedError:
    return json_rpc.RefusedError(
        json_rpc.INTERNAL_ERROR, f"the result is longer than {json_rpc.LONGEST >> 20} MiB"
    )


def _is_step(value: Any) -> bool:
    """Whether a value tells of progress."""
    return isinstance(value, dict) and _is_amount(value.get("progress"))


def _is_amount(value: Any) -> bool:
    """Whether it is a number that JSON, and a float, can hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= sys.float_info.max


async def _in_thread(work: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    """Does what reads from a disk where it holds nobody up."""
    return await asyncio.get_running_loop().run_in_executor(None, work, *given)


def _decoded(tool: Tool, inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs, with those that are sent as base64 as the bytes that they are.

    Raises:
        InvalidValueError: One is no base64.
    """
    for name in tool.encoded:
        text = inputs.get(name)
        if isinstance(text, str):
            try:
                inputs[name] = base64.b64decode(text, validate=True)
            except ValueError:
                raise InvalidValueError(f"input `{name}` is no base64") from None
    return inputs


def _server() -> dict[str, Any]:
    return {"name": "symphony", "title": "Symphony", "version": _core.__version__}
