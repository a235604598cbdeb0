"""The state folder belongs to whoever works in it, also when that work was given up at a deadline."""

from __future__ import annotations

import time
import traceback

import pytest
from symphony import BootTimeoutError, StateLockedError, boot

ARTIFACTS = 80_000


def until_let_go_of(workshop, refusals=None):
    """A system as soon as nobody else has the state."""
    end = time.monotonic() + 60
    while True:
        try:
            return boot(config=workshop.config)
        except StateLockedError as error:
            if refusals is not None:
                refusals.append(error)
            assert time.monotonic() < end, "the state is never let go of"
            time.sleep(0.02)


def test_a_start_that_was_given_up_keeps_the_state_until_it_has_ended(workshop):
    with boot(config=workshop.config) as system:
        store = system.pit.artifacts
        for number in range(ARTIFACTS):
            store.put(b"%d" % number, name=f"file-{number}")
        state = next(workshop.folder.rglob("index.redb"))
    # Its stop may have been given up too, where the machine is busy.
    until_let_go_of(workshop).shutdown()
    # To make the index anew takes longer than the phase may.
    state.unlink()
    workshop.system('[system.phases.pit]\ntimeout = "20ms"\n')
    with pytest.raises(BootTimeoutError):
        boot(config=workshop.config)
    workshop.system("")
    refusals: list[StateLockedError] = []
    with until_let_go_of(workshop, refusals) as system:
        store = system.pit.artifacts
        assert (len(store.find()), store.verify()["bad"]) == (ARTIFACTS, [])
        assert store.get(store.versions("file-7")[0]) == b"7"
    assert refusals, "two systems had the folder"
    text = "".join(traceback.format_exception(None, refusals[0], None))
    assert "`artifact-store` was given up there at a deadline and still works" in text


def test_handles_of_a_system_that_is_down_keep_nothing(workshop):
    with boot(config=workshop.config) as system:
        pit = system.pit
        held = (pit.artifacts, pit.dag, pit.stale)
        artifact = held[0].put(b"bytes")
    for _ in range(3):
        with boot(config=workshop.config) as system:
            assert system.pit.artifacts.get(artifact) == b"bytes"
    assert len(held) == 3
