"""A recovery tells how far it is. That no start's deadline ends one that comes further is shown in `make soak`."""

from __future__ import annotations

import pytest
from recoveries import Recovered, fill, lose_index
from symphony import boot

LEAST = 60_000
MOST = 960_000


@pytest.mark.timeout(600)
def test_a_long_recovery_tells_how_far_it_is(workshop):
    count = LEAST
    fill(workshop, 0, count)
    recovered = Recovered(workshop)
    # It is asked twice a second: a fast machine must have more to do.
    while len(recovered.told) < 2 and count < MOST:
        fill(workshop, count, count)
        count *= 2
        recovered = Recovered(workshop)
    assert (recovered.artifacts, recovered.bad) == (count, [])
    assert len(recovered.told) >= 2, recovered.seconds
    assert {(event.component, event.phase) for event in recovered.told} == {
        ("artifact-store", "pit")
    }
    done = [event.progress[0] for event in recovered.told]
    assert done == sorted(set(done))
    assert all(0 < event.progress[0] <= event.progress[1] for event in recovered.told)
    assert all("artifact-store" in str(event) for event in recovered.told)


def test_a_start_that_has_nothing_to_recover_tells_nothing(workshop):
    with boot(config=workshop.config) as system:
        system.pit.artifacts.put(b"one")
    lose_index(workshop.folder)
    recovered = Recovered(workshop)
    assert (recovered.artifacts, recovered.told) == (1, [])
