"""A stop on a full disk tells what it could not write, loses nothing acknowledged, and lets go of the state."""

from __future__ import annotations

import json

import machines
import pytest
from workshop import run_python

# Prints what was acknowledged, then stops, or fails to start, without room for one byte more.
SCRIPT = """
import json, logging, os, pathlib, resource, sys
from symphony import BootError, boot
from symphony import Pit
folder, durability, room, way, index = sys.argv[1:]
if way == "logged":
    logging.basicConfig(format="%(levelname)s %(message)s")
state = pathlib.Path(folder, "state")
manifest = pathlib.Path(folder, "Symphony.toml")
manifest.write_text(f'[system]\\nname = "full"\\nstate = "state"\\ndurability = "{durability}"\\n')
filler = pathlib.Path(folder, "filler")

def fill():
    if room == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        return
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass

def ease():
    if room == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    else:
        filler.unlink()

class Fails:
    def __init__(self, pit: Pit) -> None:
        acknowledge(pit)
        fill()
        raise ValueError("it fails")

known = {}

def acknowledge(pit):
    known["ids"] = [pit.artifacts.put(b"%d" % number, name="made") for number in range(50)]
    known["run"] = pit.dag.submit({"a": [], "b": ["a"]})
    pit.dag.complete(known["run"], "a", artifact=known["ids"][0])
    pit.stale.pin(known["ids"][1])

told = []
if index == "there":
    with boot(config=manifest) as system:
        system.pit.artifacts.put(b"before")
if way == "rollback":
    try:
        boot(config=manifest, components=[Fails])
    except BootError as error:
        for stop in error.rollback_errors:
            # Without the hints, which end the text of an error before Python 3.11.
            causes = [stop.message]
            while (stop_cause := stop.__cause__) is not None:
                causes.append(getattr(stop_cause, "message", str(stop_cause)))
                stop = stop_cause
            told.append(": ".join(causes))
        told += [hint for stop in error.rollback_errors for hint in stop.hints]
else:
    system = boot(config=manifest)
    acknowledge(system.pit)
    fill()
    system.shutdown()
ease()
with boot(config=manifest) as system:
    pit = system.pit
    there = {
        "ids": sorted(pit.artifacts.versions("made")) == sorted(known["ids"]),
        "bad": pit.artifacts.verify()["bad"],
        "content": all(pit.artifacts.get(id) == b"%d" % n for n, id in enumerate(known["ids"])),
        "ready": pit.dag.ready(known["run"]),
        "pinned": pit.stale.explain(known["ids"][1]),
    }
print(json.dumps({"there": there, "told": told}, default=str))
"""


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("room", "durability", "index", "way"),
    [
        ("disk", "process", "there", "plain"),
        ("disk", "process", "new", "logged"),
        ("disk", "power", "new", "rollback"),
        ("limit", "power", "there", "plain"),
        ("limit", "process", "new", "rollback"),
    ],
)
def test_what_could_not_be_written_is_told_and_what_was_acknowledged_is_there(
    tmp_path, room, durability, index, way
):
    disk = machines.with_small_disk(tmp_path, 4) if room == "disk" else None
    done = run_python(SCRIPT, str(tmp_path), durability, room, way, index, preexec_fn=disk)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    told = "\n".join(said["told"]) if way == "rollback" else done.stderr
    path = tmp_path / "state" / "artifact-store" / "index.redb"
    reason, hint = {
        "limit": ("File too large (os error 27)", "raise this process's limit on file sizes"),
        "disk": ("No space left on device (os error 28)", "free space on the disk that holds"),
    }[room]
    assert f"the index `{path}` failed: " in told
    assert reason in told
    assert hint in told
    assert "`artifact-store` did not stop" in told
    if way == "logged":
        assert "WARNING `artifact-store` did not stop" in told
    there = said["there"]
    assert there.pop("ids")
    assert there.pop("content")
    assert "pinned" in there.pop("pinned")
    assert there == {"bad": [], "ready": ["b"]}
