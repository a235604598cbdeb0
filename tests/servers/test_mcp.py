"""An MCP server is an extension by its manifest alone, whatever it does."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
from kit_processes import alive, running
from scripted_servers import SCRIPTED
from symphony.exceptions import (
    CallTimeoutError,
    ExtensionCrashedError,
    ExtensionError,
    InvalidValueError,
    RemoteError,
    UnknownOperationError,
)
from workshop import wait_until, write

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def system(shared_servers):
    shared_servers.system("")
    shared_servers.server("tools", "mcp")
    shared_servers.server("modern", "mcp", "modern")
    shared_servers.server("banner", "mcp", "banner", "mute")
    more = '[extension.server.environment]\nSETTING = "set"\n'
    shared_servers.server("other", "mcp", more=shared_servers.grants('["sleep"]') + more)
    with running(shared_servers) as system:
        yield system


@pytest.fixture(params=["tools", "modern", "banner"])
def tools(request, system):
    return system.kit.extension(request.param)


def test_tools_are_operations_in_both_eras_and_behind_a_banner(tools):
    value = {"text": "é😀\n", "list": [1, -2.5, None, True, {}]}
    assert tools.call("echo", value=value) == {"value": value}
    assert tools.call("add", a=2, b=3) == "5"
    assert tools.call("structured") == {"b": 1, "a": [1.5, None, True]}
    assert tools.call("read_resource", uri="memo://one") == "of memo://one"
    prompt = tools.call("get_prompt", name="greet", arguments={"who": "Ada"})
    assert prompt["messages"][0]["content"]["text"] == "Ada"
    with pytest.raises(UnknownOperationError):
        tools.call("ad", a=1, b=1)


def test_the_older_handshake_is_for_servers_that_need_it(system):
    assert "initialize" not in system.kit.extension("modern").call("seen")["methods"]
    assert system.kit.extension("tools").call("seen")["methods"][:2] == [
        "server/discover",
        "initialize",
    ]


def test_what_the_server_says_of_a_failure_is_what_the_caller_gets(tools):
    with pytest.raises(RemoteError, match="it is broken"):
        tools.call("broken")
    with pytest.raises(RemoteError, match="not now") as caught:
        tools.call("refused")
    assert any("-32001" in cause for cause in caught.value.causes)
    assert any('{"in":5}' in cause for cause in caught.value.causes)


def test_progress_comes_as_items_before_the_result(tools):
    *told, result = tools.stream("steps", count=3)
    assert [step["progress"] for step in told] == [1, 2, 3]
    assert result == "done"
    assert tools.call("steps", count=3) == "done"


def test_a_deadline_reaches_the_server_and_its_answer_changes_nothing(tools):
    # It is up: the deadlines below are those of its answers, not of its start.
    assert tools.call("add", a=1, b=1) == "2"
    with pytest.raises(CallTimeoutError):
        tools.options(timeout=0.3).call("silent")
    with pytest.raises(CallTimeoutError):
        tools.options(timeout=0.3).call("late")
    assert wait_until(lambda: tools.call("cancelled")["requests"])
    assert tools.call("add", a=1, b=1) == "2"


def test_an_answer_counts_once_and_only_if_it_can_be_read(tools):
    assert tools.call("twice") == "one"
    with pytest.raises(RemoteError, match="cannot be read"):
        tools.call("half")
    with pytest.raises(RemoteError, match="64 bits"):
        tools.call("number")
    assert tools.call("add", a=1, b=1) == "2"


def test_a_line_of_64_mib_costs_its_call_and_no_memory(system):
    tools = system.kit.extension("tools")
    before = tools.call("pid")["pid"]
    with pytest.raises(RemoteError, match="at most"):
        tools.options(timeout=60).call("huge")
    assert tools.call("pid")["pid"] == before


def test_what_json_cannot_say_is_refused(tools):
    for value in (b"bytes", float("nan"), float("inf")):
        with pytest.raises(InvalidValueError, match="cannot be said"):
            tools.call("echo", value=value)


def test_many_calls_are_under_way_at_once(tools):
    results = tools.call_many("add", [{"a": number, "b": 1} for number in range(200)])
    assert results == [str(number + 1) for number in range(200)]


def test_a_server_asks_for_its_roots_and_has_its_variables(system, shared_servers):
    other = system.kit.extension("other")
    assert other.call("roots")["roots"][0]["uri"] == shared_servers.folder.as_uri()
    assert other.call("asks", method="nobody/knows")["code"] == -32601
    assert other.call("environment", name="SETTING") == {"value": "set"}
    assert other.call("environment", name="SYMPHONY_LANE") == {"value": None}


@pytest.mark.parametrize(
    ("tool", "code", "number"), [("crash", 7, None), ("leaves", 7, None), ("killed", None, 9)]
)
def test_a_crash_is_told_with_its_last_lines_and_the_next_call_is_answered(
    servers, tool, code, number
):
    servers.server("tools", "mcp", more=servers.grants('["sleep"]'))
    with running(servers) as system:
        tools = system.kit.extension("tools")
        with pytest.raises(ExtensionCrashedError) as caught:
            tools.call(tool)
        assert (caught.value.exit_code, caught.value.signal) == (code, number)
        if tool != "killed":
            assert "about to crash" in str(caught.value.stderr)
        assert tools.options(timeout=30).call("add", a=1, b=1) == "2"


def in_a_melody(system, tool, pid):
    text = f"[melody]\nname = 'once'\n[[node]]\nid = 'n'\ncall = 'tools.{tool}'\nwith = {{ pid = {pid} }}\n"
    melody = write(Path(system.kit.version("tools")[1]) / "once.toml", text)
    return system.submit(str(melody)).result(timeout=30)["n"]


WAYS = {
    "call": lambda system, tool, pid: system.kit.extension("tools").call(tool, pid=pid),
    "async": lambda system, tool, pid: asyncio.run(
        waited(system.kit.extension("tools").call_async(tool, pid=pid))
    ),
    "melody": in_a_melody,
}


async def waited(call):
    return await call


@pytest.mark.parametrize("way", WAYS)
def test_what_only_reads_is_asked_once_more_when_its_server_ends(servers, way):
    servers.server("tools", "mcp")
    with running(servers) as system:
        tools, ask = system.kit.extension("tools"), WAYS[way]
        first = tools.call("pid")["pid"]
        second = ask(system, "reads", first)["pid"]
        assert second not in (first, 0)
        assert tools.call("pid")["pid"] == second
        # What may change something is not.
        with pytest.raises(ExtensionCrashedError):
            ask(system, "writes", second)
        third = tools.options(timeout=30).call("pid")["pid"]
        assert third != second


def test_what_ends_its_server_twice_is_not_asked_again(servers):
    servers.server("tools", "mcp")
    with running(servers) as system:
        tools = system.kit.extension("tools")
        with pytest.raises(ExtensionCrashedError):
            tools.call("reads", pid=0)
        assert tools.options(timeout=30).call("add", a=1, b=1) == "2"
        with pytest.raises(CallTimeoutError):
            # Its deadline is that of both.
            tools.options(timeout=0.001).call("reads", pid=tools.call("pid")["pid"])


def test_a_server_that_ends_in_its_start_is_told_with_its_last_lines(servers):
    servers.server("tools", "mcp", "dies")
    with running(servers) as system:
        with pytest.raises(ExtensionError, match="exit code 4") as caught:
            system.kit.extension("tools").call("add", a=1, b=1)
        assert "no configuration" in "".join(getattr(caught.value, "hints", ()))


def test_a_server_that_ends_at_the_newer_question_is_not_asked_again(servers):
    servers.server("tools", "mcp", "exits")
    with running(servers) as system:
        tools = system.kit.extension("tools")
        with pytest.raises(ExtensionError):
            tools.call("add", a=1, b=1)
        assert tools.call("add", a=1, b=1) == "2"


def test_a_silent_server_costs_its_start_and_nobody_else(servers):
    servers.server(
        "silent", "mcp", "hangs", more=servers.grants() + '[extension.limits]\nstart = "1s"\n'
    )
    servers.server("tools", "mcp")
    with running(servers) as system:
        caught: list[BaseException] = []

        def ask():
            try:
                system.kit.extension("silent").call("add", a=1, b=1)
            except ExtensionError as error:
                caught.append(error)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        assert system.kit.extension("tools").call("add", a=1, b=1) == "2"
        thread.join(30)
        assert caught


def test_nothing_is_left_of_a_server_that_stays_nor_of_its_children(servers):
    servers.server("tools", "mcp", "stay", more=servers.grants('["sleep"]'))
    with running(servers) as system:
        tools = system.kit.extension("tools")
        child, server = tools.call("child")["pid"], tools.call("pid")["pid"]
        assert alive(child)
        begun = time.monotonic()
    assert time.monotonic() - begun < 12
    assert wait_until(lambda: not alive(child) and not alive(server))


@pytest.mark.parametrize("script", ["exec {}", "{}; true", "setsid -w {}", "setsid -f {}"])
def test_a_wrapper_ends_with_its_guest(servers, script):
    line = script.format(f"{sys.executable} {SCRIPTED / 'mcp_server.py'} stay")
    grants = servers.grants(f'["sleep", "setsid", "{sys.executable}"]')
    servers.server("tools", "mcp", command=["/bin/sh", "-c", line], more=grants)
    with running(servers) as system:
        tools = system.kit.extension("tools")
        server, guest = tools.call("pid")["pid"], tools.pid
        os.kill(guest, 9)
        assert wait_until(lambda: not alive(server)), "the server outlived its guest"
        assert wait_until(lambda: tools.pid != guest)
        assert tools.options(timeout=30).call("add", a=1, b=1) == "2"


def test_a_server_is_held_to_a_list_of_hosts(servers):
    with (
        socket.create_server(("127.0.0.1", 0)) as listed,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        ports = [one.getsockname()[1] for one in (listed, other)]
        servers.server(
            "tools", "mcp", more=servers.grants() + f'network = ["127.0.0.1:{ports[0]}"]\n'
        )
        with running(servers) as system:
            tools = system.kit.extension("tools")
            assert [tools.call("connect", port=port)["error"] for port in ports] == [0, 1]
            assert system.kit.enforcement("tools")["network"].startswith("enforced: only ")
