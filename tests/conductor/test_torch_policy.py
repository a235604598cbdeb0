"""What `TorchPolicy` learns, on real torch and without the core."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from ready_nodes import Kit, ready, runs
from symphony.conductor import ShortestRemaining, TorchPolicy


@pytest.fixture
def policy():
    return TorchPolicy(Kit())


HEAVY, LIGHT = "heavy", "light"


def teach(policy, steps):
    """Runs of two shapes with as many nodes each, of which one takes ten times as long."""
    run = 0
    for _ in range(steps):
        while len(policy._samples) < 64 or policy._fresh < 64:
            for extension, seconds in ((HEAVY, 0.010), (LIGHT, 0.001)):
                run += 1
                for left in (3, 2, 1):
                    policy.choose([ready(run, f"n{left}", extension=extension, remaining=left)])
                    outcome = SimpleNamespace(
                        run=run,
                        node=f"n{left}",
                        extension=extension,
                        operation="o",
                        seconds=seconds,
                        ok=True,
                    )
                    policy._stepped_at = float("inf")  # Learning is asked for below.
                    policy.observe(outcome)
        policy._fresh = 0
        policy.learn()


def test_untrained_is_the_heuristic(policy):
    nodes = [ready(i, remaining=(i * 7) % 5 + 1, age=i / 10.0, path=i % 3) for i in range(40)]
    assert not policy.trusted
    assert policy.choose(nodes) == ShortestRemaining(Kit()).choose(nodes)
    with torch.inference_mode():
        assert torch.all(policy.network(torch.randn(8, 10)) == 0.0)


def test_it_learns_that_one_shape_takes_longer_and_serves_the_other_first(policy):
    teach(policy, 60)
    assert policy.trusted
    nodes = [
        ready(1, "n3", extension=HEAVY, remaining=3),
        ready(2, "n3", extension=LIGHT, remaining=3),
    ]
    assert runs(ShortestRemaining(Kit()).choose(nodes)) == [1, 2]
    assert runs(policy.choose(nodes)) == [2, 1]


def test_a_trained_choice_asks_the_network_once_for_a_new_shape_and_never_for_a_known_one(policy):
    teach(policy, 20)
    assert policy.trusted
    passes = []
    policy.network.register_forward_hook(lambda *_: passes.append(1))
    nodes = [ready(i, f"n{i % 4}", remaining=i % 4 + 1) for i in range(100)]
    policy.choose(nodes)
    policy.choose(nodes)
    assert len(passes) == 1


def test_a_network_that_is_worse_than_none_is_not_listened_to(policy):
    teach(policy, 20)
    assert policy.trusted
    with torch.no_grad():
        policy.network.leave.bias.fill_(float("nan"))
    policy._fresh = 0
    teach(policy, 1)
    assert not policy.trusted
    nodes = [ready(i, remaining=i % 5 + 1) for i in range(20)]
    assert policy.choose(nodes) == ShortestRemaining(Kit()).choose(nodes)
    assert bool(torch.isfinite(policy.network.leave.bias).all())


def test_what_never_ends_does_not_grow_the_policy(policy):
    for run in range(5000):
        policy.choose([ready(run, remaining=5), ready(run, "m", remaining=4)])
    assert len(policy._open) <= 1024
    assert len(policy._samples) <= 4096
