"""What a Melody puts together for a call has the limits of every other value; more is refused before it is sent."""

from __future__ import annotations

import pytest
from kit_processes import running
from symphony.exceptions import SymphonyError

HALVES = """
@extension.operation
def half() -> list:
    return [None] * 4_300_000

@extension.operation
def both(left: object, right: object = None) -> object:
    return [len(left), right]
"""
MELODY = """
[melody]
name = "joined"
[[node]]
id = "half"
call = "halves.half"
[[node]]
id = "joined"
call = "halves.both"
"""
TOO_MANY = ['{ left = "${half}", right = "${half}" }', '{ left = ["${half}", "${half}"] }']


@pytest.mark.timeout(120)
def test_too_many_values_fail_their_node_and_kill_nothing(shared_workshop):
    shared_workshop.extension("halves", HALVES)
    with running(shared_workshop) as system:
        halves = system.kit.extension("halves")
        halves.activate()
        process = halves.pid
        for inputs in TOO_MANY:
            melody = shared_workshop.melody(MELODY + f"with = {inputs}\n")
            with pytest.raises(SymphonyError, match="more than 8388608 single values"):
                system.submit(melody).result(timeout=60)
        assert halves.call("both", left=[1, 2], right=3) == [2, 3]
        assert halves.pid == process
