"""Safe mode: after two boots that failed the next leaves out what was starting, says so, and touches nothing else."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from symphony import BootError, Conductor, SystemConfig, boot
from symphony.exceptions import BootTimeoutError, ExtensionError, PlanError, StateLockedError
from workshop import ECHO, symphony, wait_until

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("nothing_left")]

# Outside of the folder of the extension: what it lies in has not changed.
BROKEN = """
import os, pathlib, time
mark = pathlib.Path(__file__).resolve().parents[2] / "mark"
if mark.exists():
    word = mark.read_text()
    if word == "raise":
        raise RuntimeError("as the test wants it")
    pathlib.Path(mark.parent / "started").touch()
    time.sleep(30)
"""
EAGER = 'activation = "eager"\n'
SLOW = 'activation = "eager"\n[extension.limits]\nstart = "25s"\n'


@pytest.fixture
def broken(workshop):
    """A system with a good and a bad extension, and one that needs the bad one."""
    workshop.system("")
    workshop.extension("bad", BROKEN + ECHO, SLOW)
    workshop.extension("good", ECHO, EAGER)
    workshop.extension("needy", ECHO, 'requires = ["bad"]\n' + EAGER)
    (workshop.folder / "mark").write_text("raise")
    return workshop


def fails(workshop, **more):
    with pytest.raises(BootError, match="`bad` failed to start"):
        boot(config=SystemConfig(workshop.config, **more))


def record(workshop):
    return workshop.folder / ".symphony" / "boots"


def statuses(system):
    return {one["name"]: one["status"] for one in json.loads(system.report.to_json())["components"]}


def test_the_third_boot_leaves_out_what_fails_and_says_so(broken):
    fails(broken)
    fails(broken)
    seen = []
    with boot(config=broken.config, observer=seen.append) as system:
        assert system.kit.extension("good").call("echo", value=1) == 1
        safe = system.report.safe_mode
        assert safe["without"] == ["bad", "needy"]
        assert not safe["asked_for"]
        assert safe["reason"] == (
            "`bad` was starting when the last 2 boots failed: "
            "extension `bad` did not start: RuntimeError: as the test wants it"
        )
        assert json.loads(system.report.to_json())["safe_mode"] == safe
        assert statuses(system)["bad"] == statuses(system)["needy"] == "failed"
        assert system.health().state == "degraded"
        assert "safe mode leaves it out" in str(system.health())
        assert [str(event) for event in seen if event.name == "safe-mode"] == [
            f"safe mode, without `bad`, `needy`: {safe['reason']}"
        ]
        assert "safe mode, without `bad`, `needy`" in str(system.report)
        with pytest.raises(ExtensionError, match="safe mode leaves it out"):
            system.kit.extension("bad").call("echo", value=1)
        with pytest.raises(ExtensionError, match="it requires `bad`, which is left out"):
            system.kit.extension("needy").call("echo", value=1)


def test_it_stays_left_out_until_it_changes_or_a_whole_boot_succeeds(broken):
    fails(broken)
    fails(broken)
    for _ in range(2):
        with boot(config=broken.config) as system:
            assert system.report.safe_mode is not None
    fails(broken, safe_mode="off")
    with boot(config=broken.config) as system:
        assert system.report.safe_mode["without"] == ["bad", "needy"]
    # What is repaired has its chances, and is left out again where it fails as before.
    fails(broken, safe_mode="off")
    os.utime(broken.folder / "extensions" / "bad" / "bad.py")
    fails(broken)
    fails(broken)
    with boot(config=broken.config) as system:
        assert system.report.safe_mode is not None
    (broken.folder / "mark").unlink()
    with boot(config=SystemConfig(broken.config, safe_mode="off")) as system:
        assert system.kit.extension("bad").call("echo", value=1) == 1
    assert not record(broken).exists()
    with boot(config=broken.config) as system:
        assert system.report.safe_mode is None
        assert statuses(system)["bad"] == "ready"


def test_a_success_in_between_forgets(broken):
    fails(broken)
    assert record(broken).exists()
    (broken.folder / "mark").unlink()
    with boot(config=broken.config) as system:
        assert system.report.safe_mode is None
        # While it runs it is no failed boot, however it ends.
        assert not record(broken).exists()
    (broken.folder / "mark").write_text("raise")
    fails(broken)
    fails(broken)
    with boot(config=broken.config) as system:
        assert system.report.safe_mode is not None


SCRIPT = "import sys; from symphony import boot; boot(config=sys.argv[1]).shutdown()"


def starting(workshop):
    """A boot in a process of its own whose bad extension is just starting."""
    (workshop.folder / "started").unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(workshop.config)], stderr=subprocess.DEVNULL
    )
    assert wait_until((workshop.folder / "started").exists, 20)
    # And that one alone.
    assert wait_until(lambda: '{"settled":"good"}' in record(workshop).read_text(), 20)
    return process


def test_a_boot_that_is_killed_counts_and_one_that_is_interrupted_does_not(broken):
    (broken.folder / "mark").write_text("hang")
    for number in (signal.SIGINT, signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
        process = starting(broken)
        process.send_signal(number)
        assert process.wait(20) != 0
    # One was killed. Its state is free at once.
    process = starting(broken)
    process.kill()
    process.wait(20)
    with boot(config=broken.config) as system:
        safe = system.report.safe_mode
        assert safe["without"] == ["bad", "needy"]
        assert safe["reason"].endswith("the last one was killed")


def test_one_that_hangs_until_the_boots_deadline_is_left_out(broken):
    (broken.folder / "mark").write_text("hang")
    for _ in range(2):
        with pytest.raises(BootTimeoutError):
            boot(config=broken.config, timeout=1.0)
    with boot(config=broken.config) as system:
        safe = system.report.safe_mode
        assert safe["without"] == ["bad", "needy"]
        assert safe["reason"].endswith("the boot was not done within 1 s")


def no_conductor() -> Conductor:
    raise ValueError("it is being written")


def test_a_fault_of_the_conductor_and_of_the_plan_count_neither_way(broken):
    fails(broken)

    def needs(missing: SystemConfig) -> int:
        return 0

    (broken.folder / "mark").unlink()
    for _ in range(2):
        with pytest.raises(BootError, match="`no_conductor` failed"):
            boot(no_conductor, config=broken.config)
        with pytest.raises(PlanError):
            boot(config=broken.config, components=[needs])
        with pytest.raises(BootError):
            boot(config=SystemConfig(broken.config, members=["none"]))
    # Nor do they forget what failed before.
    (broken.folder / "mark").write_text("raise")
    fails(broken)
    with boot(config=broken.config) as system:
        assert system.report.safe_mode["without"] == ["bad", "needy"]


def test_whatever_lies_where_the_record_belongs_costs_no_boot(broken):
    (broken.folder / "mark").unlink()
    with boot(config=broken.config):
        pass
    kept = broken.folder / "kept"
    kept.write_text("theirs")
    places = [record(broken), record(broken).with_name("boots.new")]
    takers = {
        "torn": lambda path: path.write_bytes(b'{"failed": [{"beg\xff\x00'),
        "pipe": os.mkfifo,
        "link": lambda path: path.symlink_to(kept),
        "endless": lambda path: path.symlink_to("/dev/zero"),
        "folder": lambda path: (path.mkdir(), (path / "full").touch()),
    }
    for name, take in takers.items():
        for place in places:
            take(place)
            with boot(config=broken.config) as system:
                assert system.report.safe_mode is None, name
            if place.is_dir():
                shutil.rmtree(place)
    assert kept.read_text() == "theirs"


def test_a_boot_that_still_runs_has_not_failed(broken):
    fails(broken)
    (broken.folder / "mark").write_text("hang")
    process = starting(broken)
    with pytest.raises(StateLockedError) as refused:
        boot(config=broken.config)
    assert refused.value.report.safe_mode is None
    process.send_signal(signal.SIGINT)
    process.wait(20)


def test_it_can_be_turned_off_and_needs_a_state_that_lasts(broken, tmp_path):
    broken.system('safe_mode = "off"')
    for _ in range(3):
        fails(broken)
    for number in range(3):
        fails(broken, state=tmp_path / f"state{number}", safe_mode="auto")
    with pytest.raises(BootError, match=r"`system\.safe_mode` must be one of `auto`, `on` and `off`"):
        boot(config=SystemConfig(broken.config, safe_mode="perhaps"))


def test_on_request_no_extension_starts_before_its_first_call(broken):
    with boot(config=SystemConfig(broken.config, safe_mode="on")) as system:
        assert system.report.safe_mode["asked_for"]
        assert system.report.safe_mode["without"] == ["bad", "good", "needy"]
        assert system.kit.extension("good").pid is None
        assert system.kit.extension("good").call("echo", value=1) == 1
    assert not record(broken).exists()


CRASHES = """
import os, signal
from symphony import component

@component(required=False)
class Fragile:
    def __init__(self):
        os.kill(os.getpid(), signal.SIGKILL)

@component
class Needed:
    pass
"""


def test_an_optional_component_that_takes_the_process_down_is_left_out(workshop, monkeypatch):
    workshop.system('components = ["fragile"]')
    workshop.extension("good", ECHO, EAGER)
    (workshop.folder / "fragile.py").write_text(CRASHES)
    path = {"PYTHONPATH": str(workshop.folder)}
    for _ in range(2):
        ended = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(workshop.config)],
            check=False,
            env=os.environ | path,
            timeout=60,
        )
        assert ended.returncode == -signal.SIGKILL
    monkeypatch.syspath_prepend(str(workshop.folder))
    with boot(config=workshop.config) as system:
        assert system.report.safe_mode["without"] == ["Fragile"]
        assert statuses(system)["Fragile"] == "failed"
        assert statuses(system)["Needed"] == statuses(system)["good"] == "ready"


FORKS = """
import os, signal, time
from symphony import component

@component(required=False)
class Forks:
    def __init__(self):
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
        with open("children", "a") as file:
            print(child, file=file)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_child_that_was_forked_in_a_start_does_not_look_like_a_boot_that_runs(workshop):
    workshop.system('components = ["forks"]')
    (workshop.folder / "forks.py").write_text(FORKS)
    says = "import sys; from symphony import boot; print(boot(config=sys.argv[1]).report.safe_mode)"
    program = [sys.executable, "-W", "ignore", "-c", says, str(workshop.config)]
    said = workshop.folder / "said"
    try:
        # Not a pipe, which the children would hold.
        with said.open("w") as out:
            ended = [
                subprocess.run(program, check=False, cwd=workshop.folder, stdout=out, timeout=60)
                for _ in range(3)
            ]
        assert [one.returncode for one in ended] == [-signal.SIGKILL, -signal.SIGKILL, 0]
        assert "'without': ['Forks']" in said.read_text()
    finally:
        for child in (workshop.folder / "children").read_text().split():
            os.kill(int(child), signal.SIGKILL)


FRAGILE = """
import os, signal
from symphony import component

@component(required=False)
class Fragile:
    def __init__(self):
        if "CRASHES" in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)

@component
class App:
    def __init__(self, fragile: Fragile):
        self.fragile = fragile
"""
GIVEN = (
    "import sys; from symphony import boot; from fragile import Fragile;"
    "boot(config=sys.argv[1], components=[Fragile]).shutdown()"
)


@pytest.fixture
def fragile(workshop, monkeypatch):
    """A module with an optional component that boots of the state leave out, though it is well by now, and its user."""
    workshop.system("")
    (workshop.folder / "fragile.py").write_text(FRAGILE)
    for _ in range(2):
        ended = subprocess.run(
            [sys.executable, "-c", GIVEN, str(workshop.config)],
            check=False,
            env=os.environ | {"PYTHONPATH": str(workshop.folder), "CRASHES": "1"},
            timeout=60,
        )
        assert ended.returncode == -signal.SIGKILL
    monkeypatch.syspath_prepend(str(workshop.folder))
    sys.modules.pop("fragile", None)
    return importlib.import_module("fragile")


def test_what_the_boot_needs_by_now_is_not_left_out(workshop, fragile):
    with boot(config=workshop.config, components=[fragile.Fragile]) as system:
        assert system.report.safe_mode["without"] == ["Fragile"]
        assert statuses(system)["Fragile"] == "failed"
    with boot(config=workshop.config, components=[fragile.Fragile, fragile.App]) as system:
        assert statuses(system)["Fragile"] == statuses(system)["App"] == "ready"
        assert system.report.safe_mode is None
    # It is well: the next boot has nothing to do without.
    assert not record(workshop).exists()


def test_what_is_not_there_is_not_said_to_be_left_out(workshop, fragile):
    seen = []
    with boot(config=workshop.config, observer=seen.append) as system:
        assert system.report.safe_mode is None
        assert system.health().state == "healthy"
    assert "safe-mode" not in [event.name for event in seen]
    assert not record(workshop).exists()


def test_nor_does_its_caller_leave_out_what_the_boot_needs(workshop, fragile):
    without = SystemConfig(workshop.config, without=["Fragile"])
    with boot(config=without, components=[fragile.Fragile]) as system:
        assert statuses(system)["Fragile"] == "failed"
    with pytest.raises(PlanError, match="`Fragile` cannot be left out: the boot needs it"):
        boot(config=without, components=[fragile.Fragile, fragile.App])


def test_what_users_stored_is_untouched(broken):
    (broken.folder / "mark").unlink()
    with boot(config=broken.config) as system:
        artifact = system.pit.artifacts.put(b"theirs", name="kept")
    (broken.folder / "mark").write_text("raise")
    fails(broken)
    fails(broken)
    with boot(config=broken.config) as system:
        assert system.report.safe_mode is not None
        assert system.pit.artifacts.get(artifact) == b"theirs"


def test_the_caller_leaves_out_by_name(broken):
    with boot(config=SystemConfig(broken.config, without=["bad"])) as system:
        assert system.report.safe_mode is None
        assert statuses(system)["bad"] == statuses(system)["needy"] == "failed"
        assert system.health().state == "degraded"
    assert not record(broken).exists()
    with pytest.raises(PlanError, match="there is no `bda` to leave out"):
        boot(config=SystemConfig(broken.config, without=["bda"]))
    with pytest.raises(PlanError, match="`orchestra-kit` cannot be left out: the boot needs it"):
        boot(config=SystemConfig(broken.config, without=["orchestra-kit"]))


def test_the_command_line_is_loud_and_strict(broken):
    config = str(broken.config)
    for _ in range(2):
        assert symphony("run", config).returncode == 1
    degraded = symphony("run", config)
    assert degraded.returncode == 0
    told = "symphony: safe mode, without `bad`, `needy`: `bad` was starting when the last 2 boots"
    assert degraded.stderr.count(told) == 1
    assert "hint: repair or update it" in degraded.stderr
    strict = symphony("run", config, "--strict", "--json")
    assert strict.returncode == 1
    assert json.loads(strict.stdout)["safe_mode"]["without"] == ["bad", "needy"]
    asked = symphony("run", config, "--safe", "--strict", "--json")
    assert asked.returncode == 0
    assert json.loads(asked.stdout)["safe_mode"]["asked_for"]
    assert symphony("run", config, "--no-safe").returncode == 1
    assert symphony("run", config, "--without", "bad").returncode == 0
    # What is measured is the whole system.
    assert symphony("run", config, "--boots", "2").returncode == 1


def test_two_systems_that_meet_count_nothing(broken):
    (broken.folder / "mark").unlink()
    with boot(config=broken.config):
        for _ in range(3):
            with pytest.raises(StateLockedError):
                boot(config=broken.config)
    with boot(config=broken.config) as system:
        assert system.report.safe_mode is None
