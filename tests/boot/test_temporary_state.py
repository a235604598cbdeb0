"""The state of a system without a configuration: a temporary folder, gone with it, or with the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from conftest import run_python, wait_until

KILLED = """
import os, sys
from symphony import boot
system = boot()
system.pit.artifacts.put(b"x" * 100_000)
print(os.getpid(), flush=True)
sys.stdin.read()
"""


def states(folder):
    return [name for name in os.listdir(folder) if name.startswith("symphony-")]


def test_what_killed_systems_left_is_removed_by_the_next_boot(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    killed = []
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdout.readline()
        killed.append(process)
    living = killed.pop()
    for process in killed:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert len(states(tmp_path)) == 3
    others = tmp_path / f"symphony-{killed[0].pid}-notes"
    others.mkdir()
    source = """
    import time
    from symphony import boot
    with boot():
        time.sleep(0.5)
    """
    done = run_python(source, env=environment)
    assert done.returncode == 0, done.stderr
    left = [others.name, next(name for name in states(tmp_path) if f"-{living.pid}-" in name)]
    assert sorted(states(tmp_path)) == sorted(left)
    living.communicate()
    assert living.returncode == 0
    assert wait_until(lambda: states(tmp_path) == [others.name])
