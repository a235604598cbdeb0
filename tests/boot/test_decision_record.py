"""The decision record's own listing, and `ConductorBootstrap` step by step."""

from __future__ import annotations

import boot_scripts
import pytest
import symphony
from symphony import BootError, ConductorBootstrap, StoppedError
from workshop import ECHO

# Verbatim, section 3 of the decision record.
LISTING = """
# High-level bootstrap sequence
def main():
    # Phase 1: Minimal Conductor bootstrap
    conductor_bootstrap = ConductorBootstrap()

    # Phase 2: Staged component initialization
    ipc_bus = conductor_bootstrap.initialize_ipc_bus()
    pit_extensions = conductor_bootstrap.initialize_pit_extensions()
    orchestra_kit = conductor_bootstrap.initialize_orchestra_kit(ipc_bus, pit_extensions)

    # Phase 3: Full system with dependency injection
    full_conductor = Conductor.from_components(orchestra_kit)
    full_conductor.run()

"""


def test_the_listing_runs_as_it_is_written_and_leaves_nothing(tmp_path):
    ended = boot_scripts.run(
        "from symphony import Conductor, ConductorBootstrap\n"
        + LISTING
        + "main()\n"
        + "print(*below())\n",
        tmp_path,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert boot_scripts.gone([int(pid) for pid in ended.stdout.split()])
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_bootstrap_that_is_left_half_done_ends_at_exit(steps, workshop, tmp_path):
    workshop.extension("echo", ECHO)
    ended = boot_scripts.run(
        f"""
        bootstrap = symphony.ConductorBootstrap('Symphony.toml')
        if {steps} > 0:
            bus = bootstrap.initialize_ipc_bus()
        if {steps} > 1:
            pit = bootstrap.initialize_pit_extensions()
        print(*below())
        sys.exit(5)
        """,
        tmp_path,
    )
    assert (ended.returncode, ended.stderr) == (5, "")
    supervisor = [int(pid) for pid in ended.stdout.split()]
    assert supervisor
    assert boot_scripts.gone(supervisor)


def test_each_step_gives_what_its_phase_brought_up(nothing_left):
    bootstrap = ConductorBootstrap()
    bus = bootstrap.initialize_ipc_bus()
    assert isinstance(bus, symphony.IpcBus)
    pit = bootstrap.initialize_pit_extensions()
    assert pit.artifacts.get(pit.artifacts.put(b"kept")) == b"kept"
    kit = bootstrap.initialize_orchestra_kit(bus, pit)
    assert kit.pit is pit
    conductor = symphony.Conductor.from_components(kit)
    assert conductor.run().count == 0
    bootstrap._system.shutdown()
    with pytest.raises(StoppedError):
        kit.pit.artifacts.get("0" * 64)


@pytest.mark.parametrize(
    ("calls", "missing"),
    [
        (["initialize_pit_extensions"], "initialize_ipc_bus"),
        (["initialize_orchestra_kit"], "initialize_ipc_bus"),
        (["initialize_ipc_bus", "initialize_orchestra_kit"], "initialize_pit_extensions"),
    ],
)
def test_a_step_out_of_order_names_the_one_that_is_missing(calls, missing, nothing_left):
    bootstrap = ConductorBootstrap()
    for call in calls[:-1]:
        getattr(bootstrap, call)()
    arguments = (None, None) if calls[-1] == "initialize_orchestra_kit" else ()
    with pytest.raises(BootError) as caught:
        getattr(bootstrap, calls[-1])(*arguments)
    assert caught.value.code == "phase-order"
    assert f"before `{missing}()`" in str(caught.value)
    finish(bootstrap, calls[:-1])


def finish(bootstrap: ConductorBootstrap, done: list[str]) -> None:
    """A refused step changes nothing: the boot can be carried on to its end."""
    if "initialize_ipc_bus" not in done:
        bootstrap.initialize_ipc_bus()
    if "initialize_pit_extensions" not in done:
        bootstrap.initialize_pit_extensions()
    starter = bootstrap._starter
    bootstrap.initialize_orchestra_kit(starter.core.bus(), starter.pit)
    bootstrap._system.shutdown()


def test_a_step_twice_is_refused(nothing_left):
    bootstrap = ConductorBootstrap()
    bootstrap.initialize_ipc_bus()
    with pytest.raises(BootError, match="called twice") as caught:
        bootstrap.initialize_ipc_bus()
    assert caught.value.code == "phase-order"
    finish(bootstrap, ["initialize_ipc_bus"])


def test_another_bootstraps_parts_are_refused(nothing_left):
    first, second = ConductorBootstrap(), ConductorBootstrap()
    first.initialize_ipc_bus()
    foreign = first.initialize_pit_extensions()
    bus = second.initialize_ipc_bus()
    second.initialize_pit_extensions()
    with pytest.raises(BootError, match="not those of this bootstrap"):
        second.initialize_orchestra_kit(bus, foreign)
    for bootstrap in (first, second):
        finish(bootstrap, ["initialize_ipc_bus", "initialize_pit_extensions"])


def test_a_failure_inside_a_step_is_its_error_and_rolls_back(workshop, nothing_left):
    workshop.extension("broken", "raise RuntimeError('broken on import')", 'activation = "eager"')
    bootstrap = ConductorBootstrap(config=str(workshop.config))
    bus = bootstrap.initialize_ipc_bus()
    pit = bootstrap.initialize_pit_extensions()
    with pytest.raises(BootError) as caught:
        bootstrap.initialize_orchestra_kit(bus, pit)
    assert caught.value.phase == "orchestra_kit"
    assert "broken" in str(caught.value.component)
    with pytest.raises(StoppedError):
        pit.artifacts.put(b"late")


def test_manifests_at_fault_are_told_before_anything_starts(workshop, nothing_left):
    workshop.system("colour = 3")
    with pytest.raises(symphony.ManifestError, match="colour"):
        ConductorBootstrap(config=str(workshop.config))
