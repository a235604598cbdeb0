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

    def __repr__(self) -> str:
        """State and reason."""
        return f"Health({self.state!r}, {self.reason!r})"


class SystemHealth:
    """How a whole system is.

    Attributes:
        state: The worst of its components' states.
        components: The state and reason of each component, by name.
    """

    __slots__ = ("components", "state")

    def __init__(self, state: str, components: dict[str, Health]) -> None:
        """Keeps both."""
        self.state = state
        self.components = components

    def __repr__(self) -> str:
        """The state, and who is not healthy."""
        ill = {
            name: health for name, health in self.components.items() if health.state != "healthy"
        }
        return f"SystemHealth({self.state!r}, {ill!r})"
