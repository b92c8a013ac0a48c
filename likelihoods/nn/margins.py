"""Losses of a class, or a set of classes, that ask for a margin between scores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor, nn

from likelihoods.nn.base import Case, Derived, Row, indices, paired


class OfScores(Derived):
    """Abstract: the losses of a score for each class, ``(N, C)`` or ``(C)``."""

    def _raw(self, *predictions: Any) -> Tensor:
        (scores,) = predictions
        raw: Tensor = scores
        return raw


@final
class MultiMarginLoss(OfScores, nn.MultiMarginLoss):
    """torch.nn.MultiMarginLoss: the row ``multi_margin``, whose likelihood is normalised over the classes.

    >>> import torch
    >>> loss = MultiMarginLoss()
    >>> loss(torch.tensor([[0.5, 0.0, 0.2]]), torch.tensor([0]))
    tensor(0.4000)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of scores ``(N, C)`` or ``(C)`` and classes ``(N)`` or ``()``, reduced."""
        return self.derived(input, target) if self.strict else super().forward(input, target)

    def _row(self, soft: bool = False) -> Row:
        return self._named("multi_margin", p=self.p, margin=self.margin, weight=self.weight)

    def _case(self, *inputs: Any) -> Case:
        scores, target = inputs
        return Case(self._row(), scores, indices(target))


@final
class MultiLabelMarginLoss(OfScores, nn.MultiLabelMarginLoss):
    """torch.nn.MultiLabelMarginLoss: the row ``multi_label_margin``, whose likelihood is normalised over all sets of classes.

    >>> import torch
    >>> loss = MultiLabelMarginLoss()
    >>> scores, classes = torch.tensor([[0.1, 0.2, 0.4, 0.8]]), torch.tensor([[3, 0, -1, 1]])  # 3 and 0; -1 ends the list
    >>> loss(scores, classes)
    tensor(0.8500)
    >>> loss.likelihood(scores).event_shape  # 1 for each class of the set
    torch.Size([4])
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of scores ``(N, C)`` or ``(C)`` and lists of classes of that shape, each ended by -1, reduced."""
        return self.derived(input, target) if self.strict else super().forward(input, target)

    def _row(self, soft: bool = False) -> Row:
        return self._named("multi_label_margin")

    def _case(self, *inputs: Any) -> Case:
        scores, target = inputs
        if scores.shape != target.shape:
            raise ValueError(
                f"The scores have shape {tuple(scores.shape)} and the lists of classes {tuple(target.shape)}; they must be the "
                f"same: end each list with -1 and fill it up."
            )
        listed = (target >= 0).to(scores.dtype).cumprod(-1)
        return Case(self._row(), scores, torch.zeros_like(scores).scatter_add(-1, target.clamp_min(0), listed))


@final
class MultiLabelSoftMarginLoss(OfScores, nn.MultiLabelSoftMarginLoss):
    """torch.nn.MultiLabelSoftMarginLoss: the row ``multi_label_soft_margin``, independent labels of a set.

    With ``weight`` the relation is that of one label.

    >>> import torch
    >>> loss = MultiLabelSoftMarginLoss()
    >>> loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])), loss.nll(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
    (tensor(0.6931), tensor(1.3863))
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of log-odds ``(..., C)`` and targets of 0 and 1 of that shape, reduced."""
        return self.derived(input, target) if self.strict else super().forward(input, target)

    def _row(self, soft: bool = False) -> Row:
        if soft:
            return self._named("bce_with_logits", soft=True)
        labels = self._named("multi_label_soft_margin")
        if self.weight is None:
            return labels
        each = self._named("bce_with_logits", weight=self.weight / self.weight.shape[-1])
        return replace(labels, relation=each.relation)

    def _case(self, *inputs: Any) -> Case:
        scores, target = inputs
        # a target may be a probability
        return Case(self._row(soft=True), *paired(scores.unsqueeze(-1), target), weight=self.weight, labels=True)
