"""A calling thread that cannot be freed: told, and with `on_hang="abort"` ended with exit 70."""

from __future__ import annotations

import pytest
from workshop import descendants, run_python, wait_until

SCRIPT = """
import sys, time
from symphony import boot

def make():
    while True:
        try:
            {hang}
        except BaseException:
            pass

boot(make, config={config!r}, timeout=0.5, on_hang={on_hang!r})
"""

SWALLOWS = "time.sleep(0.01)"
HOLDS = "import re; re.match('(a*)*b', 'a' * 28)"


@pytest.mark.parametrize("hang", [SWALLOWS, HOLDS], ids=["swallows", "holds the interpreter"])
def test_a_thread_that_cannot_be_freed_ends_the_process_with_70(workshop, hang):
    source = SCRIPT.format(hang=hang, config=str(workshop.config), on_hang="abort")
    done = run_python(source, timeout=60)
    assert done.returncode == 70, done.stderr
    assert "`make`" in done.stderr
    assert "the thread that called `boot()` cannot be freed" in done.stderr
    assert wait_until(lambda: not descendants())


def test_a_thread_that_cannot_be_freed_is_told_of_and_nothing_is_left(workshop):
    source = SCRIPT.format(hang=SWALLOWS, config=str(workshop.config), on_hang="report")
    source = "import threading, os\n" + source.replace(
        "boot(make", "threading.Timer(5, lambda: os._exit(3)).start()\nboot(make"
    )
    done = run_python(source, timeout=60)
    assert done.returncode == 3
    assert done.stderr.count("cannot be freed") == 1
    assert wait_until(lambda: not descendants())
