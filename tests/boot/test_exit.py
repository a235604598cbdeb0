"""What is never shut down ends while the interpreter does, when no thread of Python can be started any more (3.12)."""

from __future__ import annotations

import time

import boot_scripts
import pytest
from workshop import ECHO

SCRIPT = """
from typing import AsyncIterator, Iterator
from symphony import Health
class First:
    def stop(self): say("first")
class Second:
    def __init__(self, first: First): pass
    def start(self): pass
    def health(self): return not hanging or time.sleep(60)
    def stop(self): say("second")
class Third: pass
def third(second: Second) -> Iterator[Third]:
    yield Third()
    say("third")
class Fourth:
    def __init__(self, third: Third): pass
    async def start(self): pass
    async def stop(self): say("fourth")
@component(main_thread=True)
class Fifth:
    def __init__(self, fourth: Fourth): pass
    def stop(self): say("fifth")
hanging = False
system = boot(components=[First, Second, third, Fourth, Fifth], config="Symphony.toml")
say("below", *everything_below())
"""


@pytest.fixture(autouse=True)
def extension(workshop):
    workshop.extension("echo", ECHO, 'activation = "eager"')


def test_everything_is_stopped_in_reverse_at_exit(tmp_path):
    ended = boot_scripts.run(SCRIPT + "sys.exit(6)\n", tmp_path)
    below, *stops = ended.stdout.splitlines()
    assert (ended.returncode, ended.stderr) == (6, ""), ended.stdout
    assert stops == ["fifth", "fourth", "third", "second", "first"]
    assert boot_scripts.gone([int(pid) for pid in below.split()[1:]])


def test_a_component_whose_thread_was_given_up_does_not_keep_the_exit(tmp_path):
    more = """
hanging = True
say("health", "gave no answer within 300 ms" in str(system.health(timeout=0.3)))
hanging = False
say("end", time.monotonic())
sys.exit(6)
"""
    ended = boot_scripts.run(SCRIPT + more, tmp_path)
    over = time.monotonic()
    assert (ended.returncode, ended.stderr) == (6, ""), ended.stdout
    below, health, end, *stops = ended.stdout.splitlines()
    assert health == "health True"
    assert stops == ["fifth", "fourth", "third", "second", "first"]
    assert over - float(end.split()[1]) < 4 * 3.0
    assert boot_scripts.gone([int(pid) for pid in below.split()[1:]])
