"""What a component's `health()` may return, and what `system.health()` says."""

from __future__ import annotations


class Health:
    """How a component is: return one from `health()`.

    Attributes:
        state: `healthy`, `degraded` or `unhealthy`.
        reason: Why, for people.
    """

    __slots__ = ("reason", "state")

    def __init__(self, state: str = "healthy", reason: str | None = None) -> None:
        """Keeps both.

        Raises:
            ValueError: `state` is none of the three words.
        """
        if state not in ("healthy", "degraded", "unhealthy"):
            raise ValueError(f"`{state}` is no state; healthy, degraded and unhealthy are")
        self.state = state
        self.reason = reason

    @classmethod
    def degraded(cls, reason: str) -> Health:
        """It works, with less than it should have."""
        return cls("degraded", reason)

    @classmethod
    def unhealthy(cls, reason: str) -> Health:
        """It does not work."""
        return cls("unhealthy", reason)

    def __str__(self) -> str:
        """State and reason, for people."""
        return f"{self.state}: {self.reason}" if self.reason else self.state

    def __eq__(self, other: object) -> bool:
        """Two are equal when state and reason are."""
        if not isinstance(other, Health):
            return NotImplemented
        return (self.state, self.reason) == (other.state, other.reason)

    def __hash__(self) -> int:
        """Of state and reason."""
        return hash((self.state, self.reason))

    def __repr__(self) -> str:
        """State and reason."""
        return f"Health({self.state!r}, {self.reason!r})"


class SystemHealth:
    """How a whole system is.

    Attributes:
        state: `unhealthy` when a required component is; `degraded` when any other is not healthy; else `healthy`.
        reason: Which component made it so, and its reason; None of a healthy system.
        components: The state and reason of each component, by name. One that the boot went on without is `unhealthy`,
            and so is one that did not answer in time.
    """

    __slots__ = ("components", "reason", "state")

    def __init__(
        self, state: str, components: dict[str, Health], reason: str | None = None
    ) -> None:
        """Keeps them."""
        self.state = state
        self.reason = reason
        self.components = components

    def __str__(self) -> str:
        """The state, and a line for each component that is not healthy."""
        return "\n".join(
            [self.state, *(f"  `{name}` is {one}" for name, one in self._ill().items())]
        )

    def __repr__(self) -> str:
        """The state, and who is not healthy."""
        return f"SystemHealth({self.state!r}, {self._ill()!r})"

    def _ill(self) -> dict[str, Health]:
        return {name: one for name, one in self.components.items() if one.state != "healthy"}
