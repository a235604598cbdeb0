"""The base Conductor, which serves the oldest run first.

The system makes one, by injection, in the last phase. The engine asks it only when more nodes are
ready than slots are free, on one thread, and goes on without it when it fails or is late. The
invariant kept here: a Conductor only orders; it can neither lose a node nor run one twice.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeVar, Union

    from symphony._core import Outcome, ReadyNode
    from symphony._work.conductor_thread import RunSummary
    from symphony._work.kit import OrchestraKit

    Self = TypeVar("Self", bound="Conductor")
    Choice = Union[Sequence[ReadyNode], ReadyNode]


class Conductor:
    """Decides what runs next; this one serves the oldest run first.

    Subclass it and override `choose`, and `observe` to learn from what happened.

    Attributes:
        kit: The Orchestra Kit; `kit.pit` and `kit.bus` are reached through it.
    """

    kit: OrchestraKit

    def __init__(self, kit: OrchestraKit) -> None:
        """Keeps the kit."""
        self.kit = kit

    @classmethod
    def from_components(cls: type[Self], kit: OrchestraKit) -> Self:  # noqa: PYI019 - on 3.9 too.
        """A Conductor on these components: `cls(kit)`."""
        return cls(kit)

    def run(self, forever: bool = False) -> RunSummary:
        """Works until nothing is left to do, or for ever.

        Args:
            forever: Return only at `shutdown()` or a signal.

        Returns:
            What the work came to.

        Raises:
            SymphonyError: It was made without a kit (`contract-mismatch`).
        """
        if not hasattr(self, "kit"):
            from symphony.exceptions import SymphonyError

            raise SymphonyError(
                f"`{type(self).__name__}` has no `kit`, and nothing can run",
                code="contract-mismatch",
                hints=["take `kit: OrchestraKit` in its `__init__`, and call `super().__init__(kit)`"],
            )
        work = self.kit.work()
        work.attach(self)
        return work.run(forever)

    def choose(self, ready: Sequence[ReadyNode]) -> Choice:
        """The ready nodes in order of preference, or the one to run next.

        Args:
            ready: The whole ready set of all runs.

        Returns:
            Nodes of `ready`; those that are left out come last, oldest run first.
        """
        return sorted(ready, key=_oldest_first)

    def observe(self, outcome: Outcome) -> None:
        """Is told what became of each node; does nothing here."""


def _oldest_first(node: ReadyNode) -> tuple[int, int]:
    """The higher priority, then the older run."""
    return -node.priority, node.run


Fifo = Conductor
