"""A store whose index was lost, and how a boot tells that it is made anew."""

from __future__ import annotations

import time
from pathlib import Path

from symphony import boot


def fill(workshop, first: int, count: int) -> None:
    """Puts so many artifacts more, and loses the index."""
    with boot(config=workshop.config) as system:
        put = system.pit.artifacts.put
        for number in range(first, first + count):
            put(b"%d" % number, name=f"file-{number}")
    lose_index(workshop.folder)


def lose_index(folder: Path) -> None:
    """As a disk that was mended may have lost it."""
    (index,) = folder.rglob("index.redb")
    index.unlink()


class Recovered:
    """A boot that made the index anew: its events, how long it took, and what was there then."""

    def __init__(self, workshop, **options: float) -> None:
        events = []
        begin = time.monotonic()
        with boot(config=workshop.config, observer=events.append, **options) as system:
            self.seconds = time.monotonic() - begin
            self.artifacts = len(system.pit.artifacts.find())
            self.bad = system.pit.artifacts.verify()["bad"]
        self.told = [event for event in events if event.name == "component-progressed"]
