"""`system.override()`: something else in a component's place for a while, in tests above all.

What is overridden is neither stopped nor built again: it is put back exactly where it was. Invariant:
whichever of several overrides of one component ends first, its consumers see the last one that has
not ended, and after the last of all what they saw before the first.
"""

from __future__ import annotations

from symphony._components.annotations import text_of
from symphony._core import ExtensionHandle, Sites, checked_seconds, wait_for_calls
from symphony._swap import members
from symphony._swap import swap as swapping
from symphony._work.pit import Pit
from symphony.exceptions import InvalidValueError, StoppedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any

    from symphony._boot.container import Live
    from symphony._boot.starter import Starter
    from symphony._core import Holder


class Override:
    """A context manager: inside it something else stands in a component's place."""

    def __init__(
        self, starter: Starter, key: Any, new: Any, drain: float, caller: FrameType
    ) -> None:
        """Called by `system.override()`."""
        if isinstance(key, (str, ExtensionHandle)):
            raise InvalidValueError(
                f"extension `{key if isinstance(key, str) else key.name}` cannot be overridden",
                hints=["swap it for another version: `system.swap(name, folder)`"],
            )
        self._starter = starter
        self._key = key
        self._new = new
        self._drain = checked_seconds("drain", drain)
        self._caller: FrameType | None = caller
        self._entry: _Entry | None = None

    def __enter__(self) -> Any:
        """Builds, starts and health-checks what stands in, then has every consumer see it.

        Returns:
            The object that stands in.

        Warns:
            RuntimeWarning: A consumer keeps the real one where nothing reaches it, as in a list or a closure.

        Raises:
            BootError: It did not start, is not well, or needs what is not there; nothing has changed then.
        """
        if self._entry is not None or self._caller is None:
            raise InvalidValueError("an override is entered once")
        starter, caller, new = self._starter, self._caller, self._new
        self._caller = self._new = None
        standing = swapping.standing(starter, self._key)
        live = swapping.bring_up(starter, standing, self._key, new, caller)
        try:
            with swapping.swaps_of(starter.container).lock:
                self._entry = _Entry(starter, swapping.standing(starter, self._key), live)
        except BaseException:
            swapping.take_down(starter, live)
            raise
        held = swapping.kept_by_consumers(starter, self._entry.below, text_of(self._key))
        if held:
            self._tell(held)
        return live.instance

    def _tell(self, held: list[Holder]) -> None:
        """Warns of consumers that no override reaches: they go on with the real one."""
        import warnings

        name = self._entry.below.spec.name if self._entry is not None else ""
        lines = [f"{one.place}: {one.what}; {one.edit}" for one in held]
        text = "\n  ".join([f"`{name}` is overridden, and goes on where it was kept:", *lines])
        try:
            warnings.warn(text, RuntimeWarning, stacklevel=3)
        except BaseException:
            # Warnings are errors here: then nothing is overridden.
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Puts back what stood there, and stops what stood in.

        Raises:
            Exception: What its stop raised, where the block itself raised nothing.
        """
        entry, self._entry = self._entry, None
        starter = self._starter
        if entry is None or starter.container.stopped:
            return
        swaps = swapping.swaps_of(starter.container)
        refused: BaseException | None = None
        with swaps.lock:
            try:
                entry.leave()
            except Exception as raised:  # noqa: BLE001 - a consumer's own; what stood in is stopped first.
                refused = raised
        wait_for_calls(entry.live.instance, self._drain)
        failed = swapping.take_down(starter, entry.live) or refused
        if failed is not None and error is None:
            raise failed


class _Entry:
    """One override that has not ended.

    Attributes:
        live: What stands in.
        below: What stood there until then.
        root: What stood there before the first of all overrides of it.
        own: The steps of a Pit member that stands aside, with the first override of it that has not ended.
        attributes: The places that were rewritten.
    """

    __slots__ = ("_consumers", "_starter", "attributes", "below", "live", "own", "root")

    def __init__(self, starter: Starter, below: Live, live: Live) -> None:
        """Has every consumer of what stands there see what stands in."""
        container = starter.container
        swaps = swapping.swaps_of(container)
        self._starter = starter
        self.live = live
        self.below = below
        self.root = next((one.root for one in swaps.overrides if one.live is below), below)
        self._consumers = {*container.lives, *swaps.retired}
        self.own: Any = None
        sites = swapping.find_sites(starter, below, below.instance, None)
        self._stand()
        container.replace(below, live)
        try:
            sites.put(below.instance, live.instance)
        except BaseException:
            container.replace(live, below)
            self._go()
            raise
        # What holds the consumers' objects themselves would keep them from being drained.
        self.attributes = sites.attributes
        container.bind_late(live)
        swaps.overrides.append(self)

    def stands_for(self, live: Live) -> bool:
        """Whether this one, or what it stands for, is that component."""
        return live is self.live or live is self.root

    def _stand(self) -> None:
        """Has the shutdown stop what stands in, too.

        Raises:
            StoppedError: The system is being shut down.
        """
        slot, root = self.root.slot, self.root
        first = not any(
            one.root is root for one in swapping.swaps_of(self._starter.container).overrides
        )
        if isinstance(root, members.Member) and first:
            own = slot.exchange(self.live.stepper)
            if own is None or not slot.retire(own):
                raise StoppedError("the system is being shut down")
            self.own = own
        elif not slot.retire(self.live.stepper):
            raise StoppedError("the system is being shut down")

    def _go(self) -> None:
        """Takes it back."""
        slot, root = self.root.slot, self.root
        if self.own is None:
            slot.reclaim([self.live.stepper])
            return
        others = [
            one
            for one in swapping.swaps_of(self._starter.container).overrides
            if one.root is root and one is not self
        ]
        if others:
            # It came first and goes before the others: one of them has its part now.
            others[0].own, self.own = self.own, None
            slot.reclaim([others[0].live.stepper])
            slot.exchange(others[0].live.stepper)
            return
        slot.reclaim([self.own])
        slot.exchange(self.own)

    def leave(self) -> None:
        """Has every consumer see again what it saw before.

        Raises:
            Exception: A consumer refused it; all others have it.
        """
        starter, live = self._starter, self.live
        container = starter.container
        swaps = swapping.swaps_of(container)
        same = [one for one in swaps.overrides if one.root is self.root]
        self._go()
        swaps.overrides.remove(self)
        if same[-1] is not self:
            # Consumers see another one, which goes back to what is left below it.
            above = same[same.index(self) + 1]
            above.attributes += [
                place for place in self.attributes if place not in above.attributes
            ]
            return
        below = same[-2].live if len(same) > 1 else self.root
        now = swapping.consumers_of(container)
        since = [consumer for consumer in now if consumer not in self._consumers]
        sites = Sites.find_again(container, self.attributes, live, live.instance, since)
        if type(starter.pit) is Pit:
            sites.add_pit(starter.pit, live.instance)
        container.replace(live, below)
        sites.restore(live.instance, below.instance)
