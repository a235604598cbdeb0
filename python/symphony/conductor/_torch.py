"""`TorchPolicy`: a small PyTorch network that corrects the heuristic by what it has seen.

Importing this module imports torch. The heuristic counts the nodes that a run has left; the network
learns by how much a run's real remaining work differs from that count, from the outcomes of earlier
runs, and its correction is added to the heuristic's score. The invariants kept here: an untrained
network corrects by nothing; one whose predictions were lately worse than none is not listened to; a
choice runs at most one forward pass; and a learning step is bounded, and taken on the report of an
outcome and never in a choice.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

import torch
from torch import nn

from symphony.conductor._heuristics import ShortestRemaining

if TYPE_CHECKING:
    from collections.abc import Sequence

    from symphony._core import Outcome, ReadyNode
    from symphony._work.kit import OrchestraKit

FEATURES = 10
_WIDTH = 32
_BATCH = 64
_SAMPLES = 4096
_CACHE = 8192
_OPEN_RUNS = 1024
_OPEN_PER_RUN = 4
_RECORDED_PER_CHOICE = 8
_SECONDS_BETWEEN_STEPS = 0.25
_SMOOTHING = 0.1
_LARGEST = 8.0

Shape = tuple[str, str, str, int, int]


class ResidualNetwork(nn.Module):
    """Features of a node in, correction of its run's remaining work out.

    A correction of 0.5 says that the run takes half as long again as its count of nodes says.
    """

    def __init__(self) -> None:
        """Starts with a last layer of zeros: the correction is nothing."""
        super().__init__()
        self.enter = nn.Linear(FEATURES, _WIDTH)
        self.inner = nn.Linear(_WIDTH, _WIDTH)
        self.leave = nn.Linear(_WIDTH, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """One correction for each row."""
        hidden = torch.relu(self.enter(features))
        hidden = hidden + torch.relu(self.inner(hidden))
        corrections: torch.Tensor = self.leave(hidden).squeeze(-1)
        return corrections


class _Averages:
    """Running means of seconds by key, bounded by dropping the key that was not seen longest."""

    __slots__ = ("_limit", "_means")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._means: OrderedDict[object, float] = OrderedDict()

    def add(self, key: object, seconds: float) -> None:
        known = self._means.pop(key, None)
        mean = seconds if known is None else known + _SMOOTHING * (seconds - known)
        self._means[key] = mean
        if len(self._means) > self._limit:
            self._means.popitem(last=False)

    def get(self, key: object) -> float | None:
        return self._means.get(key)


class _Open:
    """A recorded decision whose run has not ended: its label is not known yet."""

    __slots__ = ("features", "left", "remaining", "seconds", "shape")

    def __init__(self, features: list[float], remaining: int, shape: Shape) -> None:
        self.features = features
        self.remaining = remaining
        self.left = remaining
        self.seconds = 0.0
        self.shape = shape


class TorchPolicy(ShortestRemaining):
    """`ShortestRemaining` with learnt durations: the network's score is added to the heuristic's.

    Attributes:
        network: The network; its weights may be saved and loaded as those of any module.
        steps: Learning steps taken.
        learning_rate: The size of a step.
    """

    learning_rate: float = 0.02

    def __init__(self, kit: OrchestraKit) -> None:
        """Builds the network and runs it once, so that the first choice does not pay for that."""
        super().__init__(kit)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.network = ResidualNetwork()
        self.steps = 0
        self._velocity = [torch.zeros_like(weights) for weights in self.network.parameters()]
        self._seconds = _Averages(1024)
        self._shapes = _Averages(4096)
        self._mean: float | None = None
        self._open: OrderedDict[int, list[_Open]] = OrderedDict()
        self._samples: deque[tuple[list[float], float]] = deque(maxlen=_SAMPLES)
        self._fresh = 0
        self._stepped_at = time.monotonic()
        self._cache: dict[tuple[object, ...], float] = {}
        self._error_with = 0.0
        self._error_without = 0.0
        with torch.inference_mode():
            self.network(torch.zeros(1, FEATURES))

    @property
    def trusted(self) -> bool:
        """Whether the network's predictions were lately better than none."""
        return self.steps > 0 and self._error_with < self._error_without

    def choose(self, ready: Sequence[ReadyNode]) -> Sequence[ReadyNode]:
        """The ready nodes, the greatest sum of heuristic and correction first."""
        scores = [self.score(node) for node in ready]
        if self.trusted:
            corrections = self._corrections(ready)
            scores = [
                score - node.remaining * correction
                for score, node, correction in zip(scores, ready, corrections)
            ]
        chosen = self.ordered(ready, scores)
        for node in chosen[:_RECORDED_PER_CHOICE]:
            self._record(node)
        return chosen

    def observe(self, outcome: Outcome) -> None:
        """Learns how long things take; now and then takes one bounded learning step."""
        seconds = outcome.seconds
        if outcome.ok:
            self._mean = (
                seconds if self._mean is None else self._mean + 0.01 * (seconds - self._mean)
            )
            self._seconds.add((outcome.extension, outcome.operation), seconds)
        self._close(outcome.run, seconds)
        if self._fresh >= _BATCH:
            now = time.monotonic()
            if now - self._stepped_at >= _SECONDS_BETWEEN_STEPS:
                self._stepped_at = now
                self._fresh = 0
                self.learn()

    def learn(self) -> None:
        """One step of gradient descent on the latest samples and on some older ones."""
        if len(self._samples) < _BATCH:
            return
        samples = list(self._samples)
        older = samples[:-_BATCH]
        batch = samples[-_BATCH:] + older[:: max(1, len(older) // _BATCH)][:_BATCH]
        features = torch.tensor([sample[0] for sample in batch])
        labels = torch.tensor([sample[1] for sample in batch])
        predictions = self.network(features)
        # The newest samples were never learnt from: how well they are foretold decides on trust.
        self._judge(predictions[:_BATCH].detach(), labels[:_BATCH])
        loss = nn.functional.smooth_l1_loss(predictions, labels)
        weights = list(self.network.parameters())
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            norm = math.sqrt(sum(float(gradient.pow(2).sum()) for gradient in gradients))
            if not math.isfinite(norm):
                nn.init.zeros_(self.network.leave.weight)
                nn.init.zeros_(self.network.leave.bias)
                self._velocity = [torch.zeros_like(value) for value in weights]
            else:
                rate = self.learning_rate * min(1.0, 1.0 / (norm + 1e-9))
                for value, velocity, gradient in zip(weights, self._velocity, gradients):
                    velocity.mul_(0.9).add_(gradient)
                    value.sub_(rate * velocity)
        self.steps += 1
        self._cache.clear()

    def _judge(self, predictions: torch.Tensor, labels: torch.Tensor) -> None:
        """Follows the error with and without the network on samples that it has not learnt from."""
        with_network = float((predictions - labels).abs().mean())
        without = float(labels.abs().mean())
        if not math.isfinite(with_network):
            with_network = 2.0 * without + 1.0
        weight = 1.0 if self.steps == 0 else 0.2
        self._error_with += weight * (with_network - self._error_with)
        self._error_without += weight * (without - self._error_without)

    def _corrections(self, ready: Sequence[ReadyNode]) -> list[float]:
        """The corrections, cached by the shape of the graph; one forward pass for the rest."""
        keys = [self._cache_key(node) for node in ready]
        missing = {key: node for key, node in zip(keys, ready) if key not in self._cache}
        if missing:
            if len(self._cache) + len(missing) > _CACHE:
                self._cache.clear()
                missing = dict(zip(keys, ready))
            rows = [self.features(node) for node in missing.values()]
            with torch.inference_mode():
                found = self.network(torch.tensor(rows)).clamp(-0.95, _LARGEST).tolist()
            self._cache.update(zip(missing, found))
        return [self._cache[key] for key in keys]

    def features(self, node: ReadyNode) -> list[float]:
        """What the network sees of a node."""
        remaining, path = node.remaining, node.path
        mean = self._mean or 1e-3
        expected = self._seconds.get((node.extension, node.operation))
        rest = self._shapes.get(_shape(node))
        return [
            node.priority / 1000.0,
            math.log1p(node.age),
            math.log1p(remaining),
            math.log1p(path),
            1.0 if node.warm else 0.0,
            math.log1p(node.queue),
            0.0 if expected is None else _log_ratio(expected, mean),
            0.0 if rest is None else min(_LARGEST, rest / (mean * max(1, remaining)) - 1.0),
            0.0 if rest is None else 1.0,
            path / max(1, remaining),
        ]

    def _cache_key(self, node: ReadyNode) -> tuple[object, ...]:
        """Nodes of one shape, in a like situation, share a correction."""
        return (
            *_shape(node),
            node.priority,
            node.warm,
            node.queue.bit_length(),
            int(node.age * 16.0).bit_length(),
        )

    def _record(self, node: ReadyNode) -> None:
        """Keeps what was known at a decision until the rest of its run has been seen."""
        records = self._open.get(node.run)
        if records is None:
            if len(self._open) >= _OPEN_RUNS:
                self._open.popitem(last=False)
            records = self._open[node.run] = []
        if len(records) < _OPEN_PER_RUN and all(
            record.remaining != node.remaining for record in records
        ):
            records.append(_Open(self.features(node), node.remaining, _shape(node)))

    def _close(self, run: int, seconds: float) -> None:
        """Counts an outcome of a run; a record whose rest has been seen becomes a sample."""
        records = self._open.get(run)
        if records is None:
            return
        still_open: list[_Open] = []
        for record in records:
            record.seconds += seconds
            record.left -= 1
            if record.left > 0:
                still_open.append(record)
                continue
            self._shapes.add(record.shape, record.seconds)
            count = (self._mean or 1e-3) * max(1, record.remaining)
            label = max(-1.0, min(_LARGEST, record.seconds / count - 1.0))
            self._samples.append((record.features, label))
            self._fresh += 1
        if still_open:
            self._open[run] = still_open
        else:
            del self._open[run]


def _shape(node: ReadyNode) -> Shape:
    """The place in its graph by which a node is known again in other runs."""
    return node.extension, node.operation, node.node, node.remaining, node.path


def _log_ratio(seconds: float, mean: float) -> float:
    """By what power of e something takes longer than the mean, within bounds."""
    return max(-_LARGEST, min(_LARGEST, math.log((seconds + 1e-6) / (mean + 1e-6))))
