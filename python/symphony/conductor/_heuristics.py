"""The heuristics that a learning policy starts from and has to face.

The invariant kept here: a score grows with a run's age without bound, so nobody starves.
"""

from __future__ import annotations

from operator import itemgetter

from symphony.conductor._base import Conductor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from symphony._core import ReadyNode

# One class of priority (100) is worth as much as a run that is this many nodes shorter.
_NODES_PER_PRIORITY = 10.0 / 100.0


class ShortestRemaining(Conductor):
    """Serves the run with the fewest nodes left, and inside a run the node on its longest path.

    Attributes:
        ageing: By how many nodes a second of waiting makes a run count as shorter.
    """

    ageing: float = 10.0

    def score(self, node: ReadyNode) -> float:
        """How soon a node should run; the greatest first."""
        return self.ageing * node.age + _NODES_PER_PRIORITY * node.priority - node.remaining

    def choose(self, ready: Sequence[ReadyNode]) -> Sequence[ReadyNode]:
        """The ready nodes by score; of equal ones the longest path, then the oldest run."""
        return self.ordered(ready, [self.score(node) for node in ready])

    @staticmethod
    def ordered(ready: Sequence[ReadyNode], scores: Sequence[float]) -> Sequence[ReadyNode]:
        """The nodes by their scores."""
        ranked = [
            (-score, -node.path, node.run, index, node)
            for index, (node, score) in enumerate(zip(ready, scores))
        ]
        ranked.sort(key=itemgetter(0, 1, 2, 3))
        return [entry[4] for entry in ranked]


class WarmFirst(ShortestRemaining):
    """Prefers nodes whose extension is running already, and then the shortest run.

    Attributes:
        start: By how many nodes a start of the extension makes a run count as longer.
    """

    start: float = 20.0

    def score(self, node: ReadyNode) -> float:
        """How soon a node should run; the greatest first."""
        score = super().score(node)
        return score if node.warm else score - self.start
