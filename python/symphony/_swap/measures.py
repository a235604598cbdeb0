"""What the variants of an experiment did, in figures and in words; and the shares that they have.

Made by experiments on components and on extensions alike.
"""

from __future__ import annotations

from symphony.exceptions import InvalidValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class VariantReport:
    """What one variant did.

    Attributes:
        share: Its share of the calls, as asked for.
        calls: How many calls it had.
        errors: How many of them raised.
        p50: The median of the last calls' seconds; `None` before the first.
        p90: Their 90th percentile.
        p95: Their 95th percentile.
        p99: Their 99th percentile.
    """

    __slots__ = ("calls", "errors", "p50", "p90", "p95", "p99", "share")

    def __init__(self, share: float, calls: int, errors: int, seconds: list[float]) -> None:
        """Takes the seconds of the last calls, in any order."""
        seconds.sort()
        self.share = share
        self.calls = calls
        self.errors = errors
        self.p50 = _quantile(seconds, 0.5)
        self.p90 = _quantile(seconds, 0.9)
        self.p95 = _quantile(seconds, 0.95)
        self.p99 = _quantile(seconds, 0.99)

    def __repr__(self) -> str:
        """Its counts."""
        return (
            f"<VariantReport calls={self.calls} errors={self.errors} p50={self.p50} p99={self.p99}>"
        )


class ExperimentReport:
    """What the variants of an experiment did; its `str()` is its whole text.

    Attributes:
        component: The component's name.
        variants: A report of each variant, by name.
    """

    __slots__ = ("component", "variants")

    def __init__(self, component: str, variants: dict[str, VariantReport]) -> None:
        """Keeps both."""
        self.component = component
        self.variants = variants

    def __getitem__(self, name: str) -> VariantReport:
        """The report of one variant."""
        return self.variants[name]

    def __str__(self) -> str:
        """The whole text."""
        width = max(map(len, self.variants), default=0)
        lines = [f"experiment on `{self.component}`"]
        for name, one in self.variants.items():
            lines.append(
                f"  {name:<{width}}  {one.share:6.1%}  {one.calls} calls, {one.errors} errors, "
                f"p50 {_duration(one.p50)}, p90 {_duration(one.p90)}, p99 {_duration(one.p99)}"
            )
        return "\n".join(lines)


def shares_of(variants: Mapping[str, Any], split: Mapping[str, float] | None) -> dict[str, float]:
    """The share of each variant; weights are made to sum to one.

    Raises:
        InvalidValueError: They are none.
    """
    if not variants:
        raise InvalidValueError("an experiment needs variants")
    if split is None:
        return dict.fromkeys(variants, 1 / len(variants))
    if set(split) != set(variants):
        raise InvalidValueError(
            "`split` does not name the variants",
            hints=["give each of them a share: " + ", ".join(f"`{name}`" for name in variants)],
        )
    total = sum(split.values())
    if not 0 < total < float("inf") or any(not share >= 0 for share in split.values()):
        raise InvalidValueError(
            "the shares of `split` are no shares", hints=["they are positive numbers"]
        )
    return {name: split[name] / total for name in variants}


def _quantile(seconds: list[float], share: float) -> float | None:
    """The nearest-rank quantile of sorted seconds."""
    if not seconds:
        return None
    return seconds[min(len(seconds) - 1, int(share * len(seconds)))]


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1e6:.0f} us" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"
