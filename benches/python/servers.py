"""Servers behind the bridge, and the system as a server, beside the same server asked directly.

A small MCP server is asked on its pipes, as an extension, and by a client of `symphony serve`, in turn.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import median, round_trips
from report import Row
from symphony import boot

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS, SERVERS = 5, 10
SERVER = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    method, number = asked["method"], asked.get("id")
    if method == "initialize":
        result = {
            "protocolVersion": asked["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "echo", "version": "1"},
        }
    elif method == "tools/list":
        schema = {"type": "object", "properties": {"value": {}}, "required": ["value"]}
        result = {"tools": [{"name": "echo", "inputSchema": schema}]}
    elif method == "tools/call":
        value = asked["params"]["arguments"]["value"]
        result = {"content": [{"type": "text", "text": value}]}
    else:
        result = None
    if number is not None:
        told = {"error": {"code": -32601, "message": method}} if result is None else {"result": result}
        print(json.dumps({"jsonrpc": "2.0", "id": number, **told}), flush=True)
"""


class Client:
    """Who asks a server of the model context protocol on its pipes."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._number = 0
        client = {"name": "bench", "version": "1"}
        self.ask("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=client)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Asks, and waits for the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._number += 1
        asked = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        self.process.stdin.write(json.dumps(asked).encode() + b"\n")
        self.process.stdin.flush()
        while True:
            told: dict[str, Any] = json.loads(self.process.stdout.readline())
            if told.get("id") == self._number:
                return told

    def call(self, tool: str) -> None:
        """Calls the tool."""
        told = self.ask("tools/call", name=tool, arguments={"value": "x" * 64})
        if told.get("result", {}).get("isError", "result" not in told):
            raise SystemExit(f"`{tool}`: {told}")

    def close(self) -> None:
        """Ends it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def write_servers(folder: Path, count: int) -> tuple[Path, Path]:
    """A system of so many servers; its manifest, and the server."""
    server = folder / "server.py"
    server.write_text(SERVER, encoding="utf-8")
    config = folder / "Symphony.toml"
    config.write_text('[system]\nname = "bench"\nextensions = ["extensions/*"]\n', encoding="utf-8")
    for number in range(count):
        own = folder / "extensions" / f"s{number}"
        own.mkdir(parents=True)
        own.joinpath("Symphony.toml").write_text(
            f'[extension]\nname = "s{number}"\nprotocol = "mcp"\n'
            f"command = {json.dumps([sys.executable, str(server)])}\n"
            f"[extension.permissions]\nread = [{json.dumps(str(folder))}]\n",
            encoding="utf-8",
        )
    return config, server


@contextlib.contextmanager
def served(config: Path) -> Iterator[Client]:
    """A client of the served system."""
    command = (sys.executable, "-m", "symphony", "serve", str(config), "--linger", "0")
    client = Client(*command)
    try:
        yield client
    finally:
        client.close()


def processes(server: Path) -> int:
    """How many processes run this server."""
    found = 0
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(OSError):
                found += os.fsencode(server) in Path(f"/proc/{entry}/cmdline").read_bytes()
    return found


def rows(folder: Path, rounds: int) -> list[Row]:
    """A call each way, and the processes of several clients."""
    config, server = write_servers(folder, SERVERS)
    direct = Client(sys.executable, str(server))
    raw: list[dict[str, float]] = []
    bridged: list[dict[str, float]] = []
    through: list[dict[str, float]] = []
    with boot(config=config) as system:
        handle = system.kit.extension("s0")
        for _ in range(rounds):
            raw.append(round_trips(lambda: direct.call("echo"), 1000))
            bridged.append(round_trips(lambda: handle.call("echo", value="x" * 64), 1000))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(served(config)) for _ in range(CLIENTS)]
        begin = time.perf_counter()
        for client in clients:
            for number in range(SERVERS):
                client.call(f"s{number}.echo")
        answered = time.perf_counter() - begin
        count = processes(server) - 1
        for _ in range(rounds):
            raw.append(round_trips(lambda: direct.call("echo"), 1000))
            through.append(round_trips(lambda: clients[0].call("s0.echo"), 1000))
    direct.close()
    alone = median(raw, "p50")
    peer = f"the server's pipe {alone:.0f} µs"
    return [
        Row(
            "server-call",
            "call of an MCP server as an extension, over the same call on its pipe",
            f"+{median(bridged, 'p50') - alone:.0f} µs",
            peer,
            target="≤ 60 µs",
        ),
        Row(
            "serve-call",
            "the same call by a client of `symphony serve`",
            f"+{(median(through, 'p50') - alone) / 1e3:.2f} ms",
            peer,
            target="≤ 1 ms",
        ),
        Row(
            "serve-processes",
            f"processes of {SERVERS} servers for {CLIENTS} clients, all answered in {answered:.1f} s",
            f"{count}",
            target="10",
        ),
    ]
