"""An eager extension that never says ready: the boot ends at its deadline, and the process of it with the boot."""

from __future__ import annotations

import boot_scripts
import pytest
from hang_cases import EXIT, GRACE
from workshop import ECHO, write

SCRIPT = """
class Base:
    def stop(self): say("base stopped")
say("began", time.monotonic())
try: boot(components=[Base], config="Symphony.toml", timeout=float(sys.argv[1]))
except BootTimeoutError as error:
    say("ended", time.monotonic())
    say("error", error.code, error.component, error.rollback_errors)
    import json
    document = json.loads(error.report.to_json())
    say("stopped", *(one["name"] for one in document["components"] if one["status"] == "stopped"))
    say(error, *error.hints)
say("below", *everything_below())
say("end", time.monotonic())
sys.exit(7)
"""

SILENT = {
    "sleeps at import": "import time; time.sleep(60)",
    "loops at import": "while True: pass",
    "waits for a child at import": "import subprocess; subprocess.Popen(['sleep', '60']).wait()",
    "swallows everything at import": """
import signal
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
while True:
    try:
        while True: pass
    except BaseException: pass
""",
    "program that never speaks": '["sleep", "60"]',
    "program that starts another": '["sh", "-c", "sleep 60 & wait"]',
}


CASES = [("the boot's", way) for way in SILENT]
CASES += [("its own", "sleeps at import"), ("its own", "program that never speaks")]


@pytest.mark.parametrize(("deadline", "way"), CASES)
def test_an_extension_that_never_says_ready(deadline, way, workshop):
    workshop.extension("echo", ECHO, 'activation = "eager"')
    limit = "400ms" if deadline == "its own" else "50s"
    manifest = f'activation = "eager"\n[extension.limits]\nstart = "{limit}"\n'
    manifest += '[extension.permissions]\nrun = ["sleep"]\n'
    if way.startswith("program"):
        folder = workshop.folder / "extensions" / "silent"
        about = f'[extension]\nname = "silent"\nversion = "0.1.0"\ncommand = {SILENT[way]}\n'
        write(folder / "Symphony.toml", about + manifest)
    else:
        workshop.extension("silent", SILENT[way], manifest)
    timeout = "20" if deadline == "its own" else "1"
    process = boot_scripts.start(SCRIPT, workshop.folder, timeout)
    try:
        # The supervisor, the two extensions, and what one of them may start.
        count = 4 if "child" in way or "another" in way else 3
        boot_scripts.until(lambda: len(boot_scripts.children(process.pid)) == count)
        pids = boot_scripts.children(process.pid)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    over = boot_scripts.now()
    words = dict(line.split(" ", 1) for line in out.splitlines() if " " in line)
    assert (process.returncode, err) == (7, ""), (out, err)
    assert words["error"] == "start-timeout silent ()"
    spent = float(words["ended"]) - float(words["began"])
    # The clock of a start of its own begins when the supervisor is up.
    assert spent < (1 + 4 * GRACE if deadline == "the boot's" else 0.4 + 4 * GRACE), out
    assert over - float(words["end"]) < 4 * EXIT
    assert {"echo", "orchestra-kit", "pit", "ipc-bus"} <= set(words["stopped"].split()), out
    assert "base stopped" not in out
    if deadline == "its own":
        assert "did not say that it is ready within 400 ms" in out
    else:
        assert "`silent` was still in its start after" in out
    # When `boot()` has raised they are gone already, and all that they started.
    assert words.get("below", "") == ""
    assert boot_scripts.gone(pids)
