"""The loss of a class with the last linear layer inside; torch has it since 2.13."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor, nn

from likelihoods.nn.base import Case, Derived, Row, indices
from likelihoods.nn.classes import MISSING, classes_last, soft_case


@final
class LinearCrossEntropyLoss(Derived, nn.LinearCrossEntropyLoss):
    """torch.nn.LinearCrossEntropyLoss: the row ``cross_entropy`` of its own linear layer's scores.

    >>> import torch
    >>> loss = LinearCrossEntropyLoss(2, 3)
    >>> loss.likelihood(torch.zeros(1, 2)).probs
    tensor([[0.3333, 0.3333, 0.3333]], grad_fn=<SoftmaxBackward0>)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of inputs ``(N, in_features)`` or ``(in_features)``, reduced; targets as CrossEntropyLoss's."""
        return self.derived(input, target) if self.strict else super().forward(input, target)

    def _row(self, soft: bool = False) -> Row:
        given = {"weight": self.weight, "label_smoothing": self.label_smoothing}
        if soft:
            return self._named("soft_cross_entropy", **given)
        ignore = MISSING if self.ignore_index is None else self.ignore_index
        return self._named("cross_entropy", ignore_index=ignore, **given)

    def _raw(self, *predictions: Any) -> Tensor:
        return classes_last(self._scores(*predictions))

    def _case(self, *inputs: Any) -> Case:
        given, target = inputs
        scores = self._scores(given)
        if target.shape == scores.shape:
            return soft_case(self._row(soft=True), scores, target, ignoring=self.ignore_index is not None)
        return Case(self._row(), classes_last(scores), indices(target))

    def _scores(self, given: Tensor) -> Tensor:
        scores: Tensor = self.linear(given)
        return scores.reshape(*given.shape[:-1], self.num_classes, *self.out_features)
