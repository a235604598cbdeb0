"""A `state` that can be no folder: refused by the plan and by `check` with the reason, and nothing is made there."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from conftest import run_python, symphony
from symphony import BootError, SystemConfig, boot

PLACES = {
    "processes": ("/proc", "it is in the kernel's own file system `proc`"),
    "below-processes": ("/proc/self/state", "file system `proc`"),
    "devices": ("/dev", "it is in the folder of devices"),
    "device": ("/dev/null", "it is a device"),
    "below-device": ("/dev/full/state", "`/dev/full`, which is a device"),
    "pipe": ("pipe", "it is a named pipe"),
    "socket": ("socket", "it is a socket"),
    "file": ("file", "it is a file, not a folder"),
    "below-file": ("file/deep/state", "file`, which is a file, not a folder"),
    "dangling": ("dangling", "absent`, which does not exist"),
    "below-dangling": ("dangling/state", "dangling`, which is a link to"),
    "circle": ("circle", "it is a link that leads in a circle"),
    "long-name": ("n" * 5000, "a name in it has 5000 bytes"),
    "long-path": ("d/" * 2500, "leave room for"),
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("file").write_bytes(b"")
    Path("dangling").symlink_to(tmp_path / "absent")
    Path("circle").symlink_to("circle")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        yield tmp_path


def listing(folder: Path) -> dict[str, int]:
    return {
        str(path): path.lstat().st_ino for path in [*folder.rglob("*"), *Path("/dev").iterdir()]
    }


@pytest.mark.parametrize(("state", "reason"), PLACES.values(), ids=PLACES.keys())
def test_a_boot_is_refused_by_its_plan_and_makes_nothing(place, state, reason):
    manifest = place / "Symphony.toml"
    manifest.write_text(f'[system]\nname = "demo"\nstate = "{state}"\n')
    before = listing(place)
    with pytest.raises(BootError) as refused:
        boot(config=manifest)
    error = refused.value
    assert error.code == "state-invalid"
    assert reason in str(error)
    assert "set `state`" in error.hints[0]
    assert "Symphony.toml:3" in str(error)
    with pytest.raises(BootError, match="state folder") as refused:
        boot(config=SystemConfig(state=state))
    assert refused.value.code == "state-invalid"
    assert listing(place) == before


def test_check_tells_each_with_its_line(place):
    for name, (state, _) in PLACES.items():
        folder = place / "systems" / name
        folder.mkdir(parents=True)
        written = state if state.startswith("/") or "d/d/" in state else f"../../{state}"
        text = f'[system]\nname = "demo"\nstate = "{written}"\n'
        (folder / "Symphony.toml").write_text(text)
    before = listing(place)
    done = symphony("check", "systems", "--json", cwd=place)
    assert done.returncode == 1, done.stderr
    told = {
        Path(fault["file"]).parent.name: fault for fault in json.loads(done.stdout)["diagnostics"]
    }
    assert told.keys() == PLACES.keys()
    for name, (_, reason) in PLACES.items():
        fault = told[name]
        assert (fault["code"], fault["severity"], fault["line"]) == ("state-invalid", "error", 3)
        assert reason in fault["message"]
        assert fault["hint"]
    assert listing(place) == before


def test_a_temporary_state_below_a_file_names_the_variable(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    source = "from symphony import boot\nboot()"
    done = run_python(source, env={**os.environ, "TMPDIR": str(tmp_path / "file")})
    assert done.returncode == 1
    assert "which is a file, not a folder" in done.stderr
    assert "set `TMPDIR`" in done.stderr
