"""`symphony serve` with the official SDK as its client, and as a server behind it, in two versions."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from workshop import Workshop, wait_until, write

pytestmark = pytest.mark.timeout(600)

CLIENT = Path(__file__).parent / "official_client.py"
TOOLS = """
import asyncio, pathlib
from typing import Iterator

@extension.operation
def add(a: int, b: int = 1) -> int:
    return a + b

@extension.operation
def fails():
    raise KeyError("why")

@extension.operation
def counts(n: int) -> Iterator[int]:
    yield from range(n)

@extension.operation
async def wait():
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        with open(pathlib.Path(__file__).parents[2] / "cancelled", "a") as file:
            file.write("x")
        raise
"""
SERVER = """
try:
    from mcp.server.mcpserver import Context, MCPServer
except ImportError:
    from mcp.server.fastmcp import Context, FastMCP as MCPServer

server = MCPServer("behind")

@server.tool()
def double(value: int) -> int:
    return 2 * value

@server.tool()
async def slow(steps: int, context: Context) -> str:
    for step in range(steps):
        await context.report_progress(step + 1, steps, f"step {step}")
    return "over"

server.run()
"""


@pytest.fixture(scope="module", params=["mcp<2", "mcp>=2"], ids=["1.x", "newest"])
def interpreter(request, tmp_path_factory):
    """An interpreter that has the SDK."""
    folder = tmp_path_factory.mktemp("sdk")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    ran = subprocess.run(
        [python, "-m", "pip", "install", "-q", request.param],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return python


def check(seen):
    """What both eras see."""
    assert {"tools.add", "tools.wait", "behind.double", "behind.slow"} <= set(seen["tools"])
    assert seen["tools"]["tools.add"]["inputSchema"]["required"] == ["a"]
    assert seen["add"]["structuredContent"] == {"result": 3}
    assert seen["fails"]["isError"] is True
    assert "KeyError: 'why'" in seen["fails"]["content"][0]["text"]
    assert "unknown tool" in seen["unknown"]
    assert seen["counts"]["structuredContent"] == {"result": [0, 1, 2]}
    assert seen["behind"]["structuredContent"] == {"result": 42}
    assert seen["slow"]["isError"] is False, seen["slow"]
    assert [1.0, None, "0"] in seen["told"]
    assert [3.0, 3.0, "step 2"] in seen["told"]
    assert seen["resources"] == []


def test_the_official_client_and_server(interpreter, tmp_path):
    shop = Workshop(tmp_path)
    shop.extension("tools", TOOLS)
    server = write(tmp_path / "server.py", SERVER)
    write(
        tmp_path / "extensions" / "behind" / "Symphony.toml",
        f"""
        [extension]
        name = "behind"
        protocol = "mcp"
        command = [{str(interpreter)!r}, {str(server)!r}]
        [extension.permissions]
        read = [{str(tmp_path)!r}, {str(interpreter.parents[1])!r}, {sys.base_prefix!r}]
        [extension.limits]
        start = "60s"
        """,
    )
    serve = [sys.executable, "-m", "symphony", "serve", str(tmp_path), "--linger", "0"]
    # What is imported for the first time there is compiled first: the list is asked for once before.
    asked = json.dumps(
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "behind.double", "arguments": {"value": 1}},
        }
    )
    subprocess.run(serve, check=True, input=asked, text=True, capture_output=True, timeout=90)
    ran = subprocess.run(
        [interpreter, CLIENT, *serve], check=False, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    assert seen["version"] == "2025-11-25"
    check(seen)
    count = 1
    if "modern" in seen:
        assert seen["modern"]["version"] == "2026-07-28"
        check(seen["modern"])
        count = 2
    cancelled = tmp_path / "cancelled"
    assert wait_until(lambda: cancelled.exists() and len(cancelled.read_text()) == count)
