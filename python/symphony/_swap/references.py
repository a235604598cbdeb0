"""Who still refers to an object that was taken out: when it is drained, and who holds it for good.

Called by a swap and by an experiment. Drained means that the reference count is back to the
container's own: what is left are references that the object holds to itself, and those of its
generator and of its own threads and tasks.
"""

from __future__ import annotations

import gc
import sys
import time

from symphony._swap.sites import SHARED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from symphony._boot.container import Live

_LIMIT = 5000
_FUNCTION: Any = type(lambda: None)
_MODULE: Any = type(sys)  # pyright: ignore[reportUnknownVariableType]
_FRAME: Any = type(sys._getframe())
_UNFOLLOWED = (type, _MODULE, _FRAME)
# Before 3.13 a look at a frame's variables leaves a copy of them behind, which refers to each a
# second time.
_SEEN_TWICE = 1 if sys.version_info >= (3, 13) else 2


class _Probe:
    """Something with one reference, by which the count's own references are known."""

    __slots__ = ("instance",)

    def __init__(self) -> None:
        self.instance = object()


def _count(holder: Any) -> int:
    return sys.getrefcount(holder.instance)


_ONE = _count(_Probe())


def wait_drained(live: Live, others: list[Any], seconds: float, idle: Callable[[], bool]) -> bool:
    """Waits until nobody can call the object any more.

    Args:
        live: The component that was taken out.
        others: The other components' objects; what they refer to is not this one's own.
        seconds: How long at most.
        idle: Whether no call is known to be in progress.
    """
    if isinstance(live.instance, SHARED):
        return True
    end = time.monotonic() + seconds
    collect_at = time.monotonic() + min(0.25, seconds / 2)
    pause = 0.0005
    while True:
        if idle() and _is_drained(live, others):
            return True
        now = time.monotonic()
        if now >= end:
            return False
        if now >= collect_at:
            # A ring that is garbage already, such as an exception's traceback, may refer to it.
            gc.collect()
            collect_at = end
        time.sleep(min(pause, end - now))
        pause = min(pause * 2, 0.02)


def _is_drained(live: Live, others: list[Any]) -> bool:
    before = _count(live) - _ONE
    if before <= 0:
        return True
    own = _Own(live, others).count()
    # An own thread may have moved meanwhile; then the next look decides.
    return own >= before and _count(live) - _ONE == before


class _Own:
    """The references to a component's object that it holds itself.

    What the object refers to is its own as long as nobody else refers to that too, as in a garbage collector.
    """

    def __init__(self, live: Live, others: list[Any]) -> None:
        self._root = live.instance
        self._skipped = {id(other) for other in others}
        self._found: dict[int, Any] = {}
        self._edges: dict[int, list[int]] = {}
        self._to_root: dict[int, int] = {}
        self._allowed: set[int] = set()
        self._threads: list[Any] = []
        generator = live.generator
        if generator is not None:
            self._allowed.add(id(generator))
        self._walk([self._root] if generator is None else [self._root, generator])

    def _walk(self, waiting: list[Any]) -> None:
        root = self._root
        for item in waiting:
            self._found[id(item)] = item
        while waiting:
            item = waiting.pop()
            self._mark(item)
            edges = self._edges[id(item)] = []
            for referent in _referents(item):
                if referent is root:
                    self._to_root[id(item)] = self._to_root.get(id(item), 0) + 1
                    continue
                if isinstance(referent, _UNFOLLOWED) or not gc.is_tracked(referent):
                    continue
                if id(referent) in self._skipped:
                    continue
                edges.append(id(referent))
                if id(referent) not in self._found and len(self._found) < _LIMIT:
                    self._found[id(referent)] = referent
                    waiting.append(referent)
        del waiting[:]

    def _mark(self, item: Any) -> None:
        """Threads and tasks are its own, although the interpreter and the loop refer to them too."""
        threading = sys.modules.get("threading")
        if threading is not None and isinstance(item, threading.Thread):
            self._threads.append(item)
            parts = (item, getattr(item, "_target", None), getattr(item, "_args", None))
            self._allowed.update(id(part) for part in parts if part is not None)
        asyncio = sys.modules.get("asyncio")
        if asyncio is not None and isinstance(item, getattr(asyncio, "Task", ())):
            self._allowed.add(id(item))
            task: Any = item
            coroutine: Any = task.get_coro()
            if coroutine is not None:
                self._allowed.add(id(coroutine))

    def count(self) -> int:
        """How many they are."""
        shared = self._shared()
        own = sum(count for item, count in self._to_root.items() if item not in shared)
        threads = {thread.ident for thread in self._threads if id(thread) not in shared}
        if not threads:
            return own
        frames = [frame for ident, frame in sys._current_frames().items() if ident in threads]
        return own + sum(
            _SEEN_TWICE
            for top in frames
            for frame in frames_of(top)
            for value in frame.f_locals.values()
            if value is self._root
        )

    def _shared(self) -> set[int]:
        """What others refer to as well, and all that can be reached from there."""
        inside: dict[int, int] = {}
        for edges in self._edges.values():
            for edge in edges:
                inside[edge] = inside.get(edge, 0) + 1
        probe = object()
        self._found[id(probe)] = probe
        key, probe = id(probe), None
        surplus = sys.getrefcount(self._found[key])
        del self._found[key]
        waiting = [
            item
            for item in self._found
            if item != id(self._root)
            and item not in self._allowed
            and sys.getrefcount(self._found[item]) - surplus > inside.get(item, 0)
        ]
        shared = set(waiting)
        while waiting:
            for edge in self._edges.get(waiting.pop(), ()):
                if edge not in shared and edge != id(self._root):
                    shared.add(edge)
                    waiting.append(edge)
        return shared


def _referents(item: Any) -> list[Any]:
    """What an object refers to; of a function only what it closes over, not its module."""
    if type(item) is _FUNCTION:
        parts = (item.__closure__, item.__defaults__, item.__kwdefaults__)
        return [part for part in parts if part is not None]
    found = gc.get_referents(item)
    if sys.version_info < (3, 11):
        # There the frame stands between a generator and its variables.
        for frame in [part for part in found if type(part) is _FRAME]:
            found.remove(frame)
            found.extend(gc.get_referents(frame))
    return found


def frames_of(frame: Any) -> list[Any]:
    """A frame and those that called it, the innermost first."""
    frames: list[Any] = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames
