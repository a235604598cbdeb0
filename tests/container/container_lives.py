"""Components that write down their steps, and their consumers."""

# The annotations are read at run time.

from __future__ import annotations

from symphony import Handle, Late


class Life:
    """Writes down its steps; a call of what is stopped raises."""

    log: list[str] = []

    def __init__(self) -> None:
        self.stopped = False

    def start(self) -> None:
        self.log.append(f"start {type(self).__name__}")

    def stop(self) -> None:
        self.stopped = True
        self.log.append(f"stop {type(self).__name__}")

    def name(self) -> str:
        assert not self.stopped, "called after its stop"
        return type(self).__name__


class Store(Life):
    pass


class Better(Life):
    pass


class ByAttribute:
    def __init__(self, store: Store) -> None:
        self._store = store

    def name(self) -> str:
        return self._store.name()


class BySlot:
    __slots__ = ("__hidden", "handle", "late", "plain")

    def __init__(self, store: Store, handle: Handle[Store], late: Late[Store]) -> None:
        self.plain = store
        self.__hidden = store
        self.handle = handle
        self.late = late
