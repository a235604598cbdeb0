"""`SwapReport`: what a swap did, in words.

Made by swaps, experiments and overrides of components, Pit members and extensions alike.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from symphony._swap.holders import Holder


class SwapReport:
    """What a swap did; its `str()` is its whole text.

    Attributes:
        component: The component's, member's or extension's name.
        old: The class of what was taken out; of an extension its version and folder.
        new: The class of what took its place; of an extension its version and folder.
        rewritten: Consumer and attribute of each injection site that was rewritten.
        handles: How many handles were.
        holders: Who still holds the old object, with `file:line` and the edit; empty when it is drained.
        drained: Whether nobody holds it any more. If not, it is left running and stopped with the system.
        stop_error: What its stop raised.
        notes: What else there is to know: what was stopped with it, what the new one lacks.
        seconds: How long all of it took.
    """

    __slots__ = (
        "component",
        "drained",
        "handles",
        "holders",
        "new",
        "notes",
        "old",
        "rewritten",
        "seconds",
        "stop_error",
    )

    def __init__(
        self,
        component: str,
        old: str,
        new: str,
        rewritten: list[tuple[str, str]] | None = None,
        handles: int = 0,
    ) -> None:
        """What is known once the sites are rewritten."""
        self.component = component
        self.old = old
        self.new = new
        self.rewritten: tuple[tuple[str, str], ...] = tuple(rewritten or ())
        self.handles = handles
        self.holders: tuple[Holder, ...] = ()
        self.drained = True
        self.stop_error: BaseException | None = None
        self.notes: tuple[str, ...] = ()
        self.seconds = 0.0

    def __str__(self) -> str:
        """The whole text."""
        sites = (
            ", ".join(f"`{consumer}.{name}`" for consumer, name in self.rewritten) or "no attribute"
        )
        handles = f" and {self.handles} handle{'s' * (self.handles != 1)}" if self.handles else ""
        lines = [
            f"swapped `{self.component}`: `{self.old}` -> `{self.new}` in {self.seconds * 1e3:.1f} ms",
            f"  rewritten: {sites}{handles}",
        ]
        if not self.drained:
            lines.append(
                "  the old one is not drained: it is left running until the system is shut down"
            )
        elif self.stop_error is not None:
            kind = type(self.stop_error).__name__
            lines.append(f"  the old one is drained; its stop failed: {kind}: {self.stop_error}")
        else:
            lines.append("  the old one is drained and stopped")
        lines += [f"  {note}" for note in self.notes]
        if self.holders:
            lines.append("  still held by:")
            lines += ["    " + str(holder).replace("\n", "\n    ") for holder in self.holders]
        return "\n".join(lines)

    def __repr__(self) -> str:
        """Which component, and whether the old object is gone."""
        return f"<SwapReport {self.component!r} drained={self.drained}>"
