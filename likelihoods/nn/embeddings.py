"""Losses of scores, distances and angles: which label a pair has, or which of two is the closer or the better one."""

from __future__ import annotations

import abc
from typing import Any, final

import torch
from torch import Tensor, nn

from likelihoods.nn.base import Case, Derived, Row, paired
from likelihoods.nn.numbers import OneNumber

SQUARED_NORM = 9.999999960041972e-13  # torch adds it to each squared norm of a cosine: 1e-12, as a float32 has it


@final
class HingeEmbeddingLoss(OneNumber, nn.HingeEmbeddingLoss):
    """torch.nn.HingeEmbeddingLoss: the row ``hinge_embedding``, whose likelihood is normalised over the two labels.

    >>> import torch
    >>> loss = HingeEmbeddingLoss()
    >>> distance, label = torch.tensor([0.5, 0.5]), torch.tensor([1.0, -1.0])
    >>> loss(distance, label), loss.nll(distance, label)
    (tensor(0.5000), tensor(0.6931))
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of distances of any shape and labels 1 (alike) or -1, reduced."""
        return self.derived(input, target) if self.strict else super().forward(input, target)

    def _row(self, soft: bool = False) -> Row:
        return self._named("hinge_embedding", margin=self.margin)


@final
class CosineEmbeddingLoss(Derived, nn.CosineEmbeddingLoss):
    """torch.nn.CosineEmbeddingLoss: the row ``cosine_embedding`` of the cosine of the two inputs.

    ``likelihood(input1, input2)`` is the law of the label: whether the pair is alike.

    >>> import torch
    >>> loss = CosineEmbeddingLoss()
    >>> a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]])
    >>> loss(a, b, torch.tensor([1.0]))
    tensor(0.2929)
    >>> loss.likelihood(a, b).probs  # of -1 and of 1
    tensor([[0.3979, 0.6021]])
    """

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """Return the loss of inputs ``(N, D)`` or ``(D)`` and labels 1 (alike) or -1, ``(N)`` or ``()``, reduced."""
        return self.derived(input1, input2, target) if self.strict else super().forward(input1, input2, target)

    def _row(self, soft: bool = False) -> Row:
        return self._named("cosine_embedding", margin=self.margin)

    def _raw(self, *predictions: Any) -> Tensor:
        one, other = predictions
        squares = ((one * one).sum(-1) + SQUARED_NORM) * ((other * other).sum(-1) + SQUARED_NORM)
        cosine: Tensor = (one * other).sum(-1) / squares.sqrt()
        return cosine.unsqueeze(-1)

    def _case(self, *inputs: Any) -> Case:
        one, other, target = inputs
        return Case(self._row(), *paired(self._raw(one, other), target))


@final
class MarginRankingLoss(Derived, nn.MarginRankingLoss):
    """torch.nn.MarginRankingLoss: the row ``margin_ranking`` of the two scores.

    ``likelihood(input1, input2)`` is the law of the label: which of the two ranks higher.

    >>> import torch
    >>> loss = MarginRankingLoss(margin=1.0)
    >>> first, second = torch.tensor([0.3]), torch.tensor([0.1])
    >>> loss(first, second, torch.tensor([1.0]))
    tensor(0.8000)
    """

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """Return the loss of scores of one shape and labels 1 (the first ranks higher) or -1, reduced."""
        return self.derived(input1, input2, target) if self.strict else super().forward(input1, input2, target)

    def _row(self, soft: bool = False) -> Row:
        return self._named("margin_ranking", margin=self.margin)

    def _raw(self, *predictions: Any) -> Tensor:
        return torch.stack(predictions, -1)

    def _case(self, *inputs: Any) -> Case:
        first, second, target = inputs
        return Case(self._row(), *paired(self._raw(first, second), target))


class Triplet(Derived):
    """Abstract: the losses of an anchor, something like it and something unlike it; the first of the two should be closer."""

    def _case(self, *inputs: Any) -> Case:
        raw = self._raw(*inputs)
        return Case(self._row(), raw, torch.ones_like(raw[..., 0]))  # 1: the positive is the closer one

    swap: bool

    @abc.abstractmethod
    def _distance(self, one: Tensor, other: Tensor) -> Tensor:
        """Return the distance of each pair."""

    def _raw(self, *predictions: Any) -> Tensor:
        anchor, positive, negative = predictions
        near, far = self._distance(anchor, positive), self._distance(anchor, negative)
        if self.swap:
            far = torch.minimum(far, self._distance(positive, negative))
        return torch.stack([near, far], -1)


@final
class TripletMarginLoss(Triplet, nn.TripletMarginLoss):
    """torch.nn.TripletMarginLoss: the row ``triplet_margin`` of the two distances.

    The distances are torch.pairwise_distance's, which adds ``eps`` to each difference. ``likelihood(anchor, positive,
    negative)`` is the law of which is closer.

    >>> import torch
    >>> loss = TripletMarginLoss()
    >>> anchor, positive, negative = torch.zeros(1, 2), torch.ones(1, 2), 3 * torch.ones(1, 2)
    >>> loss(anchor, positive, negative), loss(anchor, negative, positive)
    (tensor(0.), tensor(3.8284))
    """

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the loss of inputs ``(N, D)`` or ``(D)``, reduced."""
        return self.derived(anchor, positive, negative) if self.strict else super().forward(anchor, positive, negative)

    def _row(self, soft: bool = False) -> Row:
        return self._named("triplet_margin", margin=self.margin)

    def _distance(self, one: Tensor, other: Tensor) -> Tensor:
        return torch.pairwise_distance(one, other, self.p, self.eps)


@final
class TripletMarginWithDistanceLoss(Triplet, nn.TripletMarginWithDistanceLoss):
    """torch.nn.TripletMarginWithDistanceLoss: the row ``triplet_margin`` of the two distances.

    ``likelihood(anchor, positive, negative)`` is the law of which is closer.

    >>> import torch
    >>> loss = TripletMarginWithDistanceLoss(distance_function=lambda a, b: (a - b).abs().sum(-1))
    >>> loss(torch.zeros(1, 2), torch.ones(1, 2), 3 * torch.ones(1, 2))
    tensor(0.)
    """

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the loss of inputs that the distance takes, reduced."""
        return self.derived(anchor, positive, negative) if self.strict else super().forward(anchor, positive, negative)

    def _row(self, soft: bool = False) -> Row:
        return self._named("triplet_margin", margin=self.margin)

    def _distance(self, one: Tensor, other: Tensor) -> Tensor:
        assert self.distance_function is not None  # torch's type allows it; its constructor puts a distance there
        return self.distance_function(one, other)
