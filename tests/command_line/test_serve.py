"""`symphony serve`: what a client of the model context protocol sees, in both eras."""

from __future__ import annotations

import json

import pytest
from mcp_clients import MODERN, VERSION, Client, wait_for_the_end
from workshop import Workshop, wait_until

pytestmark = pytest.mark.timeout(90)

TOOLS = """
import asyncio, pathlib
from typing import Iterator, Optional, TypedDict

HERE = pathlib.Path(__file__).parents[2]

class Point(TypedDict):
    x: int
    y: int

@extension.operation
def add(a: int, b: int = 1) -> int:
    "Adds two numbers."
    print("noise on stdout", flush=True)
    return a + b

@extension.operation
def point(x: int) -> Point:
    return {"x": x, "y": 2}

@extension.operation
def fail(text: str) -> str:
    raise KeyError(text)

@extension.operation
def ends():
    import os
    os._exit(3)

@extension.operation
async def wait(name: str) -> str:
    (HERE / f"{name}.begun").touch()
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        (HERE / f"{name}.cancelled").touch()
        raise
    return "done"

@extension.operation
def counts(n: int) -> Iterator[int]:
    yield from range(n)

@extension.operation
def endless() -> Iterator[bytes]:
    while True:
        yield bytes(1 << 20)

@extension.operation
def reverse(data: bytes) -> bytes:
    return data[::-1]

@extension.operation
def echo(value):
    return value
"""
MORE = {"looks.looks", "melody.twice", "melody.keep"}
LOOKS = """
@extension.operation
def looks() -> str:
    return "seen"
"""
TWICE = """
[melody]
name = "twice"
inputs = ["a"]
[[node]]
id = "one"
call = "tools.add"
with = { a = "${inputs.a}" }
[[node]]
id = "two"
call = "tools.add"
with = { a = "${one}" }
"""
KEEP = """
[melody]
name = "keep"
inputs = ["text"]
[[node]]
id = "kept"
call = "artifact-store.put"
with = { data = "${inputs.text}", name = "note" }
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A system, and a component of it that prints."""
    shop = Workshop(tmp_path_factory.mktemp("served"))
    shop.system('components = ["loud"]\n')
    (shop.folder / "loud.py").write_text("print('noise at import', flush=True)\n")
    shop.extension("tools", TOOLS)
    shop.extension("looks", LOOKS, "[extension.permissions]\nread = []\nwrite = []\n")
    shop.melody(TWICE, "twice.toml")
    shop.melody(KEEP, "keep.toml")
    shop.melody("[melody]\nname = 'broken'\n[[node]]\n", "broken.toml")
    yield shop
    wait_for_the_end(shop.folder)


@pytest.fixture(scope="module")
def client(shop):
    """One client for all tests that leave it as it was."""
    client = Client(shop.folder, "--linger", "0", handshake="2025-11-25")
    yield client
    code = client.end()
    client.close()
    assert code == 0, client.errors()
    assert client.errors() == ""


def test_a_client_is_told_what_is_there(client):
    greeted = client.greeted
    assert greeted["protocolVersion"] == "2025-11-25"
    assert greeted["serverInfo"]["name"] == "symphony"
    assert greeted["capabilities"] == {
        "tools": {"listChanged": True},
        "resources": {},
        "logging": {},
    }
    tools = {tool["name"]: tool for tool in client.ask("tools/list")["result"]["tools"]}
    operations = ["add", "point", "fail", "ends", "wait", "counts", "endless", "reverse", "echo"]
    assert set(tools) == {f"tools.{one}" for one in operations} | MORE
    add = tools["tools.add"]
    assert add["description"] == "Adds two numbers."
    assert add["inputSchema"]["properties"]["a"] == {"type": "integer"}
    assert add["inputSchema"]["required"] == ["a"]
    assert add["outputSchema"]["properties"] == {"result": {"type": "integer"}}
    assert tools["tools.point"]["outputSchema"]["type"] == "object"
    assert {"x", "y"} <= set(json.dumps(tools["tools.point"]["outputSchema"]).split('"'))
    assert add["annotations"]["readOnlyHint"] is False
    assert add["annotations"]["destructiveHint"] is True
    assert tools["looks.looks"]["annotations"]["readOnlyHint"] is True
    assert tools["melody.twice"]["inputSchema"]["required"] == ["a"]


@pytest.mark.parametrize("asked", ["2024-11-05", "2025-03-26", "2025-06-18", "2030-01-01"])
def test_an_older_version_is_spoken_and_an_unknown_one_answered_with_ours(client, asked):
    result = client.ask("initialize", protocolVersion=asked, capabilities={})["result"]
    assert result["protocolVersion"] == (asked if asked < "2026" else "2025-11-25")


def test_results_are_content_for_a_model_and_structure_for_a_program(client):
    result = client.call("tools.add", a=2)
    assert result == {
        "content": [{"type": "text", "text": "3"}],
        "structuredContent": {"result": 3},
        "isError": False,
    }
    assert client.call("tools.point", x=1)["structuredContent"] == {"x": 1, "y": 2}
    assert client.value("tools.counts", n=3) == [0, 1, 2]
    assert client.value("tools.reverse", data="YWJj") == "Y2Jh"
    assert client.value("tools.echo", value="\ud83d\ude00 é \u0000") == "😀 é \u0000"
    assert client.value("looks.looks") == "seen"
    assert client.call("melody.twice", a=5)["structuredContent"] == {"one": 6, "two": 7}


def test_what_an_operation_raises_is_a_result_with_its_traceback(client):
    result = client.call("tools.fail", text="why")
    assert result["isError"] is True
    (content,) = result["content"]
    assert "KeyError: 'why'" in content["text"]
    assert "in fail" in content["text"]
    assert result["_meta"]["symphony/error"]["code"] == "remote-error"
    wrong = client.call("tools.add", a="x")
    assert wrong["isError"] is True
    assert "input `a`: wanted `int`" in wrong["content"][0]["text"]
    assert "is no base64" in client.call("tools.reverse", data="%")["content"][0]["text"]
    crashed = client.call("tools.ends")
    assert crashed["_meta"]["symphony/error"]["code"] == "extension-crashed"
    assert client.value("tools.add", a=1) == 2


@pytest.mark.parametrize(
    ("method", "params", "code", "words"),
    [
        ("tools/call", {"name": "tools.none"}, -32602, "unknown tool: `tools.none`"),
        ("tools/call", {"name": "none"}, -32602, "unknown tool: `none`"),
        ("tools/call", {"name": 1}, -32602, "`name` is a text"),
        ("tools/call", {"name": "tools.add", "arguments": [1]}, -32602, "`arguments` is an object"),
        ("tools/list", {"cursor": "x"}, -32602, "no such `cursor`"),
        ("resources/read", {"uri": "artifact://none"}, -32002, "artifact://none"),
        ("prompts/list", {}, -32601, "no method `prompts/list`"),
    ],
)
def test_what_cannot_be_asked_is_an_error(client, method, params, code, words):
    error = client.ask(method, **params)["error"]
    assert error["code"] == code
    assert words in error["message"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{\n", -32700),
        (b"\xff\n", -32700),
        (b"[" * 100_000 + b"\n", -32700),
        (b"1\n", -32600),
        (b'{"jsonrpc":"1.0","id":"v","method":"ping"}\n', -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}\n', -32600),
        (b'[{"jsonrpc":"2.0","id":"b","method":"ping"}]\n', -32600),
        (b'"' + b"x" * (33 << 20) + b'"\n', -32600),
    ],
    ids=["half", "bytes", "deep", "number", "version", "null", "batch", "long"],
)
def test_a_line_that_is_no_message_costs_itself_alone(client, line, code):
    client.ask("initialize", protocolVersion="2025-11-25", capabilities={})
    client.write(line)
    told = client.answer("v")["error"] if b'"id":"v"' in line else client.fault()
    assert told["code"] == code
    assert client.ask("ping")["result"] == {}


def test_a_version_that_has_batches_gets_them(client):
    client.ask("initialize", protocolVersion="2025-03-26", capabilities={})
    one, two = ({"jsonrpc": "2.0", "id": name, "method": "ping"} for name in ("one", "two"))
    client.write([one, 5, two])
    assert client.answer("one")["result"] == client.answer("two")["result"] == {}
    assert client.fault()["code"] == -32600
    assert client.ask("ping")["result"] == {}
    assert client.faults == []


def test_a_number_that_has_no_answer_yet_is_not_given_again(client):
    number = client.send("tools/call", name="tools.wait", arguments={"name": "again"})
    client.write({"jsonrpc": "2.0", "id": number, "method": "ping"})
    assert client.answer(number)["error"]["code"] == -32600
    client.notify("notifications/cancelled", requestId=number)


def test_a_cancel_reaches_the_operation_and_has_no_answer(client, shop):
    number = client.send("tools/call", name="tools.wait", arguments={"name": "one"})
    assert wait_until((shop.folder / "one.begun").exists)
    client.notify("notifications/cancelled", requestId=number, reason="enough")
    assert wait_until((shop.folder / "one.cancelled").exists)
    client.notify("notifications/cancelled", requestId="none")
    assert client.ask("ping")["result"] == {}
    assert not client.has_answer(number)


def test_values_of_a_stream_and_steps_of_a_melody_are_progress(client):
    def steps(token, name, **arguments):
        client.ask("tools/call", name=name, arguments=arguments, _meta={"progressToken": token})
        told = [one["params"] for one in client.told if one["method"] == "notifications/progress"]
        return [one for one in told if one["progressToken"] == token]

    assert steps("a", "tools.counts", n=3) == [
        {"progressToken": "a", "progress": done, "message": str(done - 1)} for done in (1, 2, 3)
    ]
    assert all(one["total"] == 2 for one in steps("b", "melody.twice", a=1))


def test_a_stream_without_an_end_ends_where_no_message_could_hold_it(client):
    error = client.ask("tools/call", name="tools.endless", arguments={})["error"]
    assert (error["code"], error["message"]) == (-32603, "the result is longer than 32 MiB")
    assert client.value("tools.add", a=1) == 2


def test_artifacts_are_resources(client, shop):
    assert client.ask("resources/list")["result"]["resources"] == []
    (template,) = client.ask("resources/templates/list")["result"]["resourceTemplates"]
    assert template["uriTemplate"] == "artifact://{id}"
    assert client.call("melody.keep", text="hello")["isError"] is False
    (resource,) = client.ask("resources/list")["result"]["resources"]
    assert (resource["name"], resource["size"]) == ("note", 5)
    (content,) = client.ask("resources/read", uri=resource["uri"])["result"]["contents"]
    assert (content["text"], content["mimeType"]) == ("hello", "text/plain")


def test_the_era_without_a_handshake(shop, client):
    modern = Client(shop.folder, "--linger", "0")
    try:
        found = modern.ask("server/discover", _meta=MODERN)["result"]
        assert found["supportedVersions"][0] == "2026-07-28"
        assert found["resultType"] == "complete"
        result = modern.ask("tools/call", name="tools.add", arguments={"a": 1}, _meta=MODERN)[
            "result"
        ]
        assert result["structuredContent"] == {"result": 2}
        assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "symphony"
        other = modern.ask("tools/list", _meta={**MODERN, VERSION: "2027-01-01"})["error"]
        assert other["code"] == -32022
        assert "2026-07-28" in other["data"]["supported"]
        assert modern.end() == 0
    finally:
        modern.close()


def test_what_may_change_something_is_not_there_for_who_only_reads(shop, client):
    reading = Client(shop.folder, "--linger", "0", "--read-only", handshake="2025-11-25")
    try:
        tools = reading.ask("tools/list")["result"]["tools"]
        assert [tool["name"] for tool in tools] == ["looks.looks"]
        assert reading.value("looks.looks") == "seen"
        error = reading.ask("tools/call", name="tools.add", arguments={"a": 1})["error"]
        assert "--read-only" in error["message"]
        assert reading.end() == 0
    finally:
        reading.close()


def test_what_was_printed_is_in_the_log(client, shop):
    client.ask("tools/list")
    client.value("tools.add", a=1)
    log = (shop.folder / ".symphony" / "serve" / "log").read_text()
    assert "noise at import" in log
    # A Melody that cannot be read costs the others nothing.
    assert "broken.toml" in log
    # What extensions print is their log's, which is asked for.
    assert "noise on stdout" not in log


def test_what_extensions_print_is_in_the_log_where_it_is_asked_for(tmp_path):
    shop = Workshop(tmp_path)
    shop.extension("tools", TOOLS)
    client = Client(shop.folder, "--linger", "0", "-v", handshake="2025-11-25")
    try:
        assert client.value("tools.add", a=1) == 2
        log = shop.folder / ".symphony" / "serve" / "log"
        assert wait_until(lambda: "symphony.extension.tools: noise on stdout" in log.read_text())
        assert client.end() == 0
    finally:
        client.close()
    wait_for_the_end(shop.folder)


def test_many_tools_come_by_pages(tmp_path):
    shop = Workshop(tmp_path)
    operations = "".join(f"@extension.operation\ndef n{number}(): pass\n" for number in range(1005))
    shop.extension("many", operations)
    client = Client(shop.folder, "--linger", "0", handshake="2025-11-25")
    try:
        names, cursor, pages = [], {}, 0
        while True:
            page = client.ask("tools/list", **cursor)["result"]
            names += [tool["name"] for tool in page["tools"]]
            pages += 1
            if "nextCursor" not in page:
                break
            cursor = {"cursor": page["nextCursor"]}
        assert pages == 2
        assert names == [f"many.n{number}" for number in range(1005)]
        assert client.end() == 0
    finally:
        client.close()
    wait_for_the_end(shop.folder)
    assert len(json.loads((tmp_path / ".symphony/serve/schemas.json").read_text())) == 1
