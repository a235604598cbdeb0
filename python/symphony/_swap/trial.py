"""What the two kinds of experiment have in common: how one is ended, and that it ends once.

The base of `Experiment` (components) and `ExtensionExperiment` (versions of an extension).
"""

from __future__ import annotations

from symphony._core import checked_seconds
from symphony.exceptions import InvalidValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeVar

    from symphony._boot.starter import Starter
    from symphony._core import ExperimentReport, SwapReport

    Self = TypeVar("Self", bound="Trial")


class Trial:
    """A running experiment: leaving it as a context manager stops it.

    Attributes:
        component: The component's or extension's name.
    """

    def __init__(self, starter: Starter, component: str, variants: Iterable[str]) -> None:
        """Knows the names of what is tried out."""
        self._starter = starter
        self._names = list(variants)
        self._outcome: SwapReport | None = None
        self.component = component

    def report(self) -> ExperimentReport:
        """What the variants did so far."""
        raise NotImplementedError

    def promote(self, name: str, *, drain: float = 5.0) -> SwapReport:
        """Ends the experiment: this variant takes the place for good, the others are stopped.

        Args:
            name: The variant's name.
            drain: Seconds that calls in progress on the others have.

        Returns:
            What was rewritten, and who still holds what went.

        Raises:
            InvalidValueError: There is no such variant, or the experiment is over.
            StoppedError: The system was shut down.
        """
        if name not in self._names:
            names = ", ".join(f"`{one}`" for one in self._names)
            raise InvalidValueError(
                f"there is no variant `{name}`", hints=[f"the variants are {names}"]
            )
        drain = checked_seconds("drain", drain)
        if self._outcome is not None:
            raise InvalidValueError(f"the experiment on `{self.component}` is over")
        return self._end(name, drain)

    def stop(self, *, drain: float = 5.0) -> SwapReport | None:
        """Ends the experiment: what stood in the place before stands there again. May be called twice.

        Args:
            drain: Seconds that calls in progress on the variants have.

        Returns:
            What was rewritten; `None` when the system was shut down meanwhile.
        """
        drain = checked_seconds("drain", drain)
        if self._outcome is not None or self._starter.container.stopped:
            return self._outcome
        return self._end(None, drain)

    def _end(self, name: str | None, drain: float) -> SwapReport:
        """Gives the place to this variant, or to what had it before, stops the others, and keeps the outcome."""
        raise NotImplementedError

    def __enter__(self: Self) -> Self:  # noqa: PYI019 - `Self` came with 3.11.
        """The experiment itself."""
        return self

    def __exit__(self, *_raised: object) -> None:
        """Stops it."""
        self.stop()

    def __repr__(self) -> str:
        """What it is on, and the variants."""
        return f"<{type(self).__name__} on {self.component!r}: {', '.join(self._names)}>"
