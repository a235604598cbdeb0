"""Whoever kills the root: no server, wrapper or child of theirs is left, also while a forked child holds the pipes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from kit_processes import alive, kill
from scripted_servers import SCRIPTED
from symphony import boot
from workshop import descendants, wait_until

pytestmark = pytest.mark.timeout(120)

ROOT = """
import json, os, sys, time
from symphony import boot
system = boot(config=sys.argv[1])
tools = [system.kit.extension(name) for name in system.kit.extensions() if name != "words"]
ours = [tool.call("pid")["pid"] for tool in tools] + [tools[0].call("child")["pid"]]
system.kit.extension("words").call("definition", path=sys.argv[2], line=0, character=1)
forked = None
if sys.argv[3:]:
    forked = os.fork()
    if forked == 0:
        time.sleep(30)
        os._exit(0)
print(json.dumps([ours, forked]), flush=True)
time.sleep(60)
"""

WRAPPERS = {"sh": "{}; true", "waiting": "setsid -w {}", "leaving": "setsid -f {}"}


@pytest.mark.parametrize("more", [(), ("fork",)], ids=["alone", "with a forked child"])
def test_no_server_survives_the_root(servers, more):
    servers.server("a-plain", "mcp", "stay", more=servers.grants('["sleep"]'))
    grants = servers.grants(f'["sleep", "setsid", "{sys.executable}"]')
    for name, script in WRAPPERS.items():
        line = script.format(f"{sys.executable} {SCRIPTED / 'mcp_server.py'} stay")
        servers.server(name, "mcp", command=["/bin/sh", "-c", line], more=grants)
    servers.server("words", "lsp")
    text = servers.folder / "text.txt"
    text.write_text("one two\n", encoding="utf-8")
    root = subprocess.Popen(
        [sys.executable, "-c", ROOT, str(servers.config), str(text), *more],
        stdout=subprocess.PIPE,
        text=True,
    )
    forked = None
    try:
        assert root.stdout is not None
        ours, forked = json.loads(root.stdout.readline())
        # What ran away from its parents is among those that told their number.
        below = {pid for pid in descendants(root.pid) if pid != forked} | set(ours)
        assert all(map(alive, ours)), "a server had ended before"
        root.kill()
        root.wait()
        # The promise is 250 ms.
        assert wait_until(lambda: not any(map(alive, below)), 1.0), "something of ours is left"
        assert forked is None or alive(forked)
        with boot(config=servers.config) as system:
            assert system.kit.extension("sh").call("add", a=1, b=1) == "2"
    finally:
        root.kill()
        root.wait()
        root.stdout.close()
        if forked is not None:
            kill(forked)
