"""What store and tracker acknowledged is there after `kill -9` at any instant. A thousand of them in `make soak`."""

from __future__ import annotations

import kill_loop
import pytest

KILLS = 12


@pytest.mark.timeout(300)
def test_what_was_acknowledged_survives_kills_at_random_instants(tmp_path):
    expected = kill_loop.storm(tmp_path, KILLS, seed=11)
    assert expected.operations > KILLS


def test_what_is_lost_or_wrong_is_told(tmp_path):
    """The look itself: it must see what a store that forgets would do."""
    expected = kill_loop.storm(tmp_path, 1, seed=3)
    expected.contents = {"0": "put", "1": "gone"}
    expected.runs = {}
    with kill_loop.boot() as system:
        told = list(kill_loop.look(system, expected, tmp_path / "nowhere"))
        assert told == [("content", "0", "put", False)]
        system.pit.artifacts.put(kill_loop.content(0), name="another")
        system.pit.artifacts.put(kill_loop.content(1), name="n1")
        run = system.pit.dag.submit({"a": []})
        expected.runs = {str(run): ["a"]}
        told = list(kill_loop.look(system, expected, tmp_path / "nowhere"))
        assert told == [
            ("names", "0"),
            ("content", "1", "gone", True),
            ("run", str(run), "a"),
        ]


def test_a_life_that_never_begins_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(kill_loop.sys, "executable", "/bin/false")
    with pytest.raises(AssertionError, match="life 0 ended by itself"):
        kill_loop.storm(tmp_path, 1, seed=5)
