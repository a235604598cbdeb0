"""An MCP server that does what its arguments and its tools' names say.

Arguments: `legacy` refuses what is not of the handshake's era, `mute` is silent about it, `modern` knows no handshake,
`banner` prints 36 lines first, `stay` does not end when its input ends, `dies` ends at once.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

from rpc import read_line, write_line, write_raw

MODES = set(sys.argv[1:])
META = "io.modelcontextprotocol/protocolVersion"
TOOLS = {
    "echo": {"value": {}},
    "add": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "structured": {},
    "broken": {},
    "refused": {},
    "silent": {},
    "cancelled": {},
    "twice": {},
    "late": {},
    "steps": {"count": {"type": "integer"}},
    "huge": {},
    "half": {},
    "number": {},
    "crash": {},
    "leaves": {},
    "killed": {},
    "child": {},
    "roots": {},
    "asks": {"method": {}},
    "seen": {},
    "environment": {"name": {}},
    "pid": {},
    "reads": {"pid": {"type": "integer"}},
    "writes": {"pid": {"type": "integer"}},
    "connect": {"port": {}},
}
seen: list[str] = []
cancelled: list[Any] = []


def tools() -> dict[str, Any]:
    return {
        "tools": [
            {
                "name": name,
                "description": f"Does {name}.",
                "annotations": {"readOnlyHint": name == "reads"},
                "inputSchema": {
                    "type": "object",
                    "properties": inputs,
                    "required": [key for key in inputs if key != "count"],
                },
            }
            for name, inputs in TOOLS.items()
        ]
    }


def text(value: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": value}]}


def call(number: Any, params: dict[str, Any]) -> None:
    name, given = params["name"], params.get("arguments", {})

    def answer(result: dict[str, Any]) -> None:
        write_line({"id": number, "result": result})

    if name == "echo":
        answer({**text("echo"), "structuredContent": {"value": given["value"]}})
    elif name == "add":
        answer(text(str(given["a"] + given["b"])))
    elif name == "structured":
        answer({**text("x"), "structuredContent": {"b": 1, "a": [1.5, None, True]}})
    elif name == "broken":
        answer({"isError": True, **text("it is broken")})
    elif name == "refused":
        write_line(
            {"id": number, "error": {"code": -32001, "message": "not now", "data": {"in": 5}}}
        )
    elif name == "silent":
        pass
    elif name == "cancelled":
        answer({**text("x"), "structuredContent": {"requests": cancelled}})
    elif name == "twice":
        answer(text("one"))
        answer(text("two"))
    elif name == "late":
        cancelled_before = len(cancelled)
        while len(cancelled) == cancelled_before:
            take(read_line())
        answer(text("nobody waits"))
    elif name == "steps":
        token = params.get("_meta", {}).get("progressToken")
        for step in range(given.get("count", 3)):
            if token is not None:
                told = {
                    "progressToken": token,
                    "progress": step + 1,
                    "total": 3,
                    "message": f"step {step}",
                }
                write_line({"method": "notifications/progress", "params": told})
        answer(text("done"))
    elif name == "huge":
        head = f'{{"jsonrpc":"2.0","id":{number},"result":{{"content":[{{"type":"text","text":"'
        write_raw(head.encode() + b"x" * (64 << 20) + b'"}]}}\n')
    elif name == "half":
        write_raw(f'{{"jsonrpc":"2.0","id":{number},"result":{{"content":[]\n'.encode())
    elif name == "number":
        write_raw(
            f'{{"jsonrpc":"2.0","id":{number},"result":{{"structuredContent":{{"n":18446744073709551615}}}}}}\n'.encode()
        )
    elif name == "leaves":
        print("the server is about to crash", file=sys.stderr, flush=True)
        subprocess.Popen(["sleep", "60"])
        os._exit(7)
    elif name == "crash":
        print("the server is about to crash", file=sys.stderr, flush=True)
        os._exit(7)
    elif name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif name == "child":
        child = subprocess.Popen(["sleep", "300"], start_new_session=True)
        answer({**text("x"), "structuredContent": {"pid": child.pid}})
    elif name in ("roots", "asks"):
        write_line({"id": "r1", "method": given.get("method", "roots/list")})
        while True:
            message = read_line()
            if message and message.get("id") == "r1":
                found = message.get("result") or message["error"]
                answer({**text("x"), "structuredContent": found})
                return
    elif name == "seen":
        answer({**text("x"), "structuredContent": {"methods": seen}})
    elif name == "environment":
        answer({**text("x"), "structuredContent": {"value": os.environ.get(given["name"])}})
    elif name == "connect":
        with socket.socket() as peer:
            error = peer.connect_ex(("127.0.0.1", given["port"]))
        answer({**text("x"), "structuredContent": {"error": error}})
    elif name == "pid":
        answer({**text("x"), "structuredContent": {"pid": os.getpid()}})
    elif name in ("reads", "writes"):
        if given["pid"] in (0, os.getpid()):
            os._exit(7)
        answer({**text("x"), "structuredContent": {"pid": os.getpid()}})


def take(message: dict[str, Any] | None) -> None:
    if message is None:
        if "stay" in MODES:
            time.sleep(300)
        sys.exit(0)
    method, number = message.get("method"), message.get("id")
    params = message.get("params", {})
    if method is None:
        return
    seen.append(method)
    is_modern = META in params.get("_meta", {})
    if method == "server/discover":
        if "mute" in MODES:
            return
        if "modern" in MODES:
            found = {
                "resultType": "complete",
                "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}, "resources": {}, "prompts": {}},
                "ttlMs": 0,
                "cacheScope": "none",
            }
            write_line({"id": number, "result": found})
            return
        if "exits" in MODES:
            os._exit(3)
    if method == "notifications/cancelled":
        cancelled.append(params["requestId"])
    elif number is None:
        pass
    elif method == "initialize" and "modern" not in MODES:
        found = {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}, "resources": {}, "prompts": {}},
            "serverInfo": {"name": "scripted", "version": "1"},
        }
        write_line({"id": number, "result": found})
    elif "modern" in MODES and not is_modern:
        write_line({"id": number, "error": {"code": -32602, "message": "no version"}})
    elif method == "tools/list":
        write_line({"id": number, "result": tools()})
    elif method == "tools/call":
        call(number, params)
    elif method == "resources/read":
        content = {"uri": params["uri"], "mimeType": "text/plain", "text": f"of {params['uri']}"}
        write_line({"id": number, "result": {"contents": [content]}})
    elif method == "prompts/get":
        content = {"type": "text", "text": params.get("arguments", {}).get("who", "nobody")}
        found = {"description": params["name"], "messages": [{"role": "user", "content": content}]}
        write_line({"id": number, "result": found})
    else:
        write_line({"id": number, "error": {"code": -32601, "message": f"unknown {method}"}})


def main() -> None:
    if "dies" in MODES:
        print("no configuration", file=sys.stderr, flush=True)
        sys.exit(4)
    if "banner" in MODES:
        write_raw(b"".join(f"banner {line}\n".encode() for line in range(36)))
        write_raw(b"[INFO] starting\n[INFO] still\n{'a': 1}\n")
    if "hangs" in MODES:
        time.sleep(300)
    while True:
        take(read_line())


main()
