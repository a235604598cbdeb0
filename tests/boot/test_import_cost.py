"""`import symphony`, and a plain boot, import nothing that costs."""

from __future__ import annotations

import pytest
from boot_scripts import run

HEAVY = ("asyncio", "inspect", "dataclasses", "typing", "logging", "ast")


@pytest.mark.parametrize(
    "what",
    [
        "import symphony",
        "import symphony; symphony.boot, symphony.Conductor, symphony.component, symphony.Pit",
        "import symphony\nwith symphony.boot() as system: assert system.report.ok",
        """import symphony
class A: pass
class B:
    def __init__(self, a: A): pass
    def start(self): pass
with symphony.boot(components=[A, B]) as system: system[B]
""",
    ],
)
def test_the_costly_modules_stay_away(what, tmp_path):
    ended = run(
        f"""
import subprocess
script = {what!r} + '''
import sys
print(*[name for name in {HEAVY!r} if name in sys.modules])
'''
sys.exit(subprocess.run([sys.executable, "-I", "-S", "-c",
    "import sys; sys.path[:] = " + repr(sys.path) + "\\n" + script]).returncode)
""",
        tmp_path,
    )
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, "", "")
