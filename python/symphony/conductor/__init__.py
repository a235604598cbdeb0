"""Conductors: who decides what runs next.

`Conductor` (which is `Fifo`) comes with this import; the heuristics and `TorchPolicy` are fetched
when they are first asked for, so that only `TorchPolicy` imports torch.
"""

from __future__ import annotations

from symphony.conductor._base import Conductor, Fifo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from symphony.conductor._heuristics import ShortestRemaining as ShortestRemaining
    from symphony.conductor._heuristics import WarmFirst as WarmFirst
    from symphony.conductor._torch import TorchPolicy as TorchPolicy
    from symphony.conductor._types import Outcome as Outcome
    from symphony.conductor._types import ReadyNode as ReadyNode

__all__ = [
    "Conductor",
    "Fifo",
    "Outcome",
    "ReadyNode",
    "ShortestRemaining",
    "TorchPolicy",
    "WarmFirst",
]

_HOMES = {
    "Outcome": "_types",
    "ReadyNode": "_types",
    "ShortestRemaining": "_heuristics",
    "TorchPolicy": "_torch",
    "WarmFirst": "_heuristics",
}


def __getattr__(name: str) -> object:
    """Fetches a name from its module."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module `symphony.conductor` has no attribute `{name}`")
    import sys

    full = f"symphony.conductor.{home}"
    __import__(full)
    value: object = getattr(sys.modules[full], name)
    globals()[name] = value
    return value
