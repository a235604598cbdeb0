"""What each Conductor prefers, without the core."""

from __future__ import annotations

from ready_nodes import Kit, ready, runs
from symphony.conductor import Conductor, Fifo, ShortestRemaining, WarmFirst


def test_the_base_serves_the_oldest_run_first_and_a_higher_priority_before_it():
    nodes = [ready(3), ready(1, "b"), ready(2, priority=100), ready(1, "a")]
    chosen = Fifo(Kit()).choose(nodes)
    assert runs(chosen) == [2, 1, 1, 3]
    assert [node.node for node in chosen[1:3]] == ["b", "a"]


def test_from_components_is_the_class_called_with_the_kit_and_run_asks_the_kit():
    class Mine(Conductor):
        pass

    kit = Kit()
    conductor = Mine.from_components(kit)
    assert type(conductor) is Mine
    assert conductor.run(forever=True) == "summary"
    assert kit.asked == [(conductor, True)]


def test_shortest_remaining_prefers_the_short_run_then_the_longest_path():
    nodes = [
        ready(1, remaining=9),
        ready(2, "leaf", remaining=4, path=1),
        ready(2, "root", remaining=4, path=3),
    ]
    chosen = ShortestRemaining(Kit()).choose(nodes)
    assert [node.node for node in chosen] == ["root", "leaf", "n"]


def test_a_run_that_waits_long_enough_overtakes_every_shorter_one():
    policy = ShortestRemaining(Kit())
    long_run = ready(1, remaining=500, age=1000.0)
    assert runs(policy.choose([ready(2, remaining=1), long_run])) == [1, 2]


def test_warm_first_starts_no_extension_while_a_warm_one_has_work():
    nodes = [ready(1, remaining=2, warm=False), ready(2, remaining=9, warm=True)]
    assert runs(WarmFirst(Kit()).choose(nodes)) == [2, 1]
    assert runs(ShortestRemaining(Kit()).choose(nodes)) == [1, 2]
