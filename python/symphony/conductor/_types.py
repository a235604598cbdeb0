"""What a Conductor is asked with and told, as protocols: the engine makes the objects."""

from __future__ import annotations

from typing import Protocol


class ReadyNode(Protocol):
    """One node that could run now."""

    @property
    def run(self) -> int:
        """Its run; a later run has a greater number."""
        ...

    @property
    def node(self) -> str:
        """Its id in the Melody."""
        ...

    @property
    def extension(self) -> str:
        """The extension or Pit member that it calls."""
        ...

    @property
    def operation(self) -> str:
        """The operation that it calls."""
        ...

    @property
    def priority(self) -> int:
        """The priority of its run."""
        ...

    @property
    def age(self) -> float:
        """Seconds since its run was submitted."""
        ...

    @property
    def remaining(self) -> int:
        """Nodes left in its run, this one among them."""
        ...

    @property
    def path(self) -> int:
        """Nodes on the longest path from it to the end of its run, this one among them."""
        ...

    @property
    def warm(self) -> bool:
        """Whether its extension is running."""
        ...

    @property
    def queue(self) -> int:
        """Calls that wait in its extension's queue."""
        ...


class Outcome(Protocol):
    """What became of one node."""

    @property
    def run(self) -> int:
        """Its run."""
        ...

    @property
    def node(self) -> str:
        """Its id in the Melody."""
        ...

    @property
    def extension(self) -> str:
        """The extension or Pit member that it called."""
        ...

    @property
    def operation(self) -> str:
        """The operation that it called."""
        ...

    @property
    def seconds(self) -> float:
        """How long the call took."""
        ...

    @property
    def ok(self) -> bool:
        """Whether it gave a result."""
        ...
