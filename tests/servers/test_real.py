"""Servers that others wrote, and the end of everything with the root."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from kit_processes import alive, running
from workshop import ROOT, descendants, wait_until

pytestmark = pytest.mark.timeout(120)

HOLDS = """
import os, sys, time
from symphony import boot
system = boot(config=sys.argv[1]).__enter__()
print(system.kit.extension("tools").call("child")["pid"], flush=True)
system.kit.extension("words").call("diagnostics", path="x.txt", text="bad")
if os.fork() == 0:
    time.sleep(30)
    os._exit(0)
print("held", flush=True)
time.sleep(100)
"""


def test_ruff_is_an_extension_by_its_manifest_of_the_examples(servers):
    folder = ROOT / "examples" / "servers" / "ruff"
    servers.system("", json.dumps([str(folder)]))
    with running(servers) as system:
        ruff = system.kit.extension("ruff")
        text = "import os\nx = [1,2]  # 😀\n"
        found = ruff.call("diagnostics", path="new.py", text=text)
        assert "F401" in [one["code"] for one in found]
        edits = ruff.call("format", path="new.py", text=text)
        assert any("[1, 2]" in edit["newText"] for edit in edits)
        assert ruff.call("diagnostics", path="new.py", text="x = 1\n") == []


def test_the_kill_of_the_root_leaves_no_server_though_a_fork_holds_its_pipes(servers):
    servers.server("tools", "mcp", "stay", more=servers.grants('["sleep"]'))
    servers.server("words", "lsp")
    root = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(servers.config)], stdout=subprocess.PIPE, text=True
    )
    assert root.stdout is not None
    child = int(root.stdout.readline())
    assert root.stdout.readline().strip() == "held"
    below = descendants(root.pid)
    forked = [pid for pid in below if is_copy(pid, root.pid)]
    try:
        os.kill(root.pid, signal.SIGKILL)
        root.wait()
        left = [pid for pid in below if pid not in forked]
        assert child in left
        assert wait_until(lambda: not any(alive(pid) for pid in left)), "a process is left"
    finally:
        for pid in forked:
            os.kill(pid, signal.SIGKILL)
        root.stdout.close()


def is_copy(pid: int, root: int) -> bool:
    """Whether a process is a plain fork of the root."""
    with open(f"/proc/{pid}/cmdline", "rb") as one, open(f"/proc/{root}/cmdline", "rb") as other:
        return one.read() == other.read()
