"""What a callback of the user's raises costs what it was asked for, is told with its traceback, and it is asked again.

In processes of their own: pytest puts a hook of its own in front of the interpreter's, which takes anything.
"""

from __future__ import annotations

import pytest
from conftest import ECHO, run_python

RAISES = {
    "KeyError": "raise KeyError('mine')",
    "SystemExit": "raise SystemExit(3)",
    "base": "raise type('Own', (BaseException,), {})('mine')",
    "surrogate": r"raise ValueError('\ud800 mine')",
}
HOOKS = {
    "the interpreter's": "",
    "one of Python": "sys.unraisablehook = lambda found: print('told', found.exc_type.__name__, file=sys.stderr)",
    "one that raises": "def hook(found): raise RuntimeError('hook')\nsys.unraisablehook = hook",
}


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
@pytest.mark.parametrize("line", RAISES.values(), ids=RAISES)
def test_an_observer_that_raises_goes_on(hook, line):
    done = run_python(f"""
import sys
from symphony import boot
{hook}
seen = []
def observer(event):
    seen.append(event.name)
    if len(seen) == 3:
        {line}
with boot(observer=observer) as system:
    assert system.report.ok
print(seen[-1], len(seen) > 30)
""")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["boot-finished", "True"]
    assert done.stderr
    if not hook:
        assert "in observer" in done.stderr


@pytest.mark.parametrize("line", RAISES.values(), ids=RAISES)
def test_a_log_handler_that_raises_loses_that_line_alone(line):
    done = run_python(f"""
import logging, sys
from symphony import boot
class Handler(logging.Handler):
    lines = []
    def emit(self, record):
        self.lines.append(record.getMessage())
        if len(self.lines) in (2, 5):
            {line}
logger = logging.getLogger("symphony.boot")
logger.addHandler(Handler())
logger.setLevel(logging.DEBUG)
with boot():
    pass
print(len(Handler.lines), Handler.lines[-1])
""")
    assert done.returncode == 0, done.stderr
    count, _, last = done.stdout.partition(" ")
    assert int(count) > 30
    assert "shut down in" in last
    assert done.stderr.count("in emit") == 2


@pytest.mark.parametrize("asked", ["choose", "observe"])
@pytest.mark.parametrize("line", RAISES.values(), ids=RAISES)
def test_a_conductor_that_raises_is_asked_again(workshop, asked, line):
    workshop.extension("lab", ECHO)
    workshop.system("slots = 1")
    nodes = (
        f'[[node]]\nid = "n{n}"\ncall = "lab.echo"\nwith = {{ value = 1 }}\n' for n in range(4)
    )
    workshop.melody('[melody]\nname = "m"\n' + "".join(nodes))
    done = run_python(
        f"""
import sys
from symphony import Conductor, boot
class Mine(Conductor):
    asked = 0
    def {asked}(self, given):
        Mine.asked += 1
        if Mine.asked == 1:
            {line}
        return given
with boot(Mine, config="Symphony.toml") as system:
    for _ in range(3):
        runs = [system.submit("melody.toml", {{}}) for _ in range(3)]
        system.run()
        assert all(run.result() for run in runs)
print(Mine.asked > 1)
""",
        cwd=workshop.folder,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True"]
    assert f"in {asked}" in done.stderr
