"""Ready nodes and a kit for the tests of Conductors, in place of the engine's."""

from __future__ import annotations

from types import SimpleNamespace


def ready(run, node="n", **fields):
    known = {
        "extension": "e",
        "operation": "o",
        "priority": 0,
        "age": 0.0,
        "remaining": 3,
        "path": 1,
        "warm": True,
        "queue": 0,
    }
    return SimpleNamespace(run=run, node=node, **{**known, **fields})


def runs(chosen):
    return [node.run for node in chosen]


class Kit:
    def __init__(self):
        self.asked = []

    def work(self):
        return self

    def attach(self, conductor):
        self.conductor = conductor

    def run(self, forever):
        self.asked.append((self.conductor, forever))
        return "summary"
