"""Conductors: who decides what runs next.

`Conductor` (which is `Fifo`) comes with this import; the heuristics and `TorchPolicy` are fetched
when they are first asked for, so that only `TorchPolicy` imports torch.
"""

from __future__ import annotations

from symphony.conductor._base import Conductor, Fifo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from symphony._core import Outcome as Outcome
    from symphony._core import ReadyNode as ReadyNode
    from symphony.conductor._heuristics import ShortestRemaining as ShortestRemaining
    from symphony.conductor._heuristics import WarmFirst as WarmFirst
    from symphony.conductor._torch import TorchPolicy as TorchPolicy

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
    "Outcome": "symphony._core",
    "ReadyNode": "symphony._core",
    "ShortestRemaining": "symphony.conductor._heuristics",
    "TorchPolicy": "symphony.conductor._torch",
    "WarmFirst": "symphony.conductor._heuristics",
}


def __getattr__(name: str) -> object:
    """Fetches a name from its module."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module `symphony.conductor` has no attribute `{name}`")
    import sys

    __import__(home)
    value: object = getattr(sys.modules[home], name)
    globals()[name] = value
    return value
