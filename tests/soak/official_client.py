"""Run with an interpreter that has the official SDK: what its client makes of `symphony serve`, in JSON."""

from __future__ import annotations

import asyncio
import json
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


def dumped(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


async def raised(work):
    try:
        await work
    except Exception as error:
        # What it is called differs from version to version.
        return str(error)
    return None


async def look(session, seen):
    told = []

    async def progress(done, total, message):
        told.append([done, total, message])

    seen["tools"] = {tool["name"]: tool for tool in dumped(await session.list_tools())["tools"]}
    seen["add"] = dumped(await session.call_tool("tools.add", {"a": 2}))
    seen["fails"] = dumped(await session.call_tool("tools.fails", {}))
    seen["unknown"] = await raised(session.call_tool("tools.none", {}))
    seen["counts"] = dumped(
        await session.call_tool("tools.counts", {"n": 3}, progress_callback=progress)
    )
    seen["behind"] = dumped(await session.call_tool("behind.double", {"value": 21}))
    seen["slow"] = dumped(
        await session.call_tool("behind.slow", {"steps": 3}, progress_callback=progress)
    )
    seen["told"] = told
    seen["resources"] = dumped(await session.list_resources())["resources"]
    waiting = asyncio.ensure_future(session.call_tool("tools.wait", {}))
    await asyncio.sleep(0.5)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def main(command):
    seen = {}
    parameters = StdioServerParameters(command=command[0], args=command[1:])
    async with stdio_client(parameters) as (reads, writes), ClientSession(reads, writes) as session:
        greeted = dumped(await session.initialize())
        seen["version"] = greeted["protocolVersion"]
        await session.send_ping()
        await look(session, seen)
    try:
        from mcp import Client
    except ImportError:
        pass
    else:
        # The era without a handshake, which it finds by itself.
        seen["modern"] = {}
        async with Client(stdio_client(parameters)) as client:
            seen["modern"]["version"] = client.protocol_version
            await look(client, seen["modern"])
    print(json.dumps(seen))


asyncio.run(main(sys.argv[1:]))
