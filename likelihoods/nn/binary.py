"""Losses of a target that is 0 or 1, or -1 or 1."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor, nn

from likelihoods.nn.base import Case, Derived, Row, paired
from likelihoods.nn.numbers import OneNumber


class Grey(Derived):
    """Abstract: the losses whose targets may be any probability of 1, so that the loss is an expected one."""

    weight: Tensor | None

    def _raw(self, *predictions: Any) -> Tensor:
        (prediction,) = predictions
        raw: Tensor = prediction.unsqueeze(-1)
        return raw

    def _case(self, *inputs: Any) -> Case:
        prediction, target = inputs
        return Case(self._row(soft=True), *paired(prediction.unsqueeze(-1), target), weight=self.weight)


@final
class BCELoss(Grey, nn.BCELoss):
    """torch.nn.BCELoss: the row ``bce``, with ``soft=True`` where it is computed, as targets may be grey.

    Torch cuts the loss at 100 nats; the derivation does not. ``weight`` multiplies each element's loss.

    >>> import torch
    >>> loss = BCELoss()
    >>> loss(torch.tensor([0.25]), torch.tensor([1.0]))
    tensor(1.3863)
    >>> loss(torch.tensor([0.0]), torch.tensor([1.0])), loss.derived(torch.tensor([0.0]), torch.tensor([1.0]))
    (tensor(100.), tensor(inf))
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of probabilities, reduced; both of one shape, whatever it is."""
        return self.derived(input, target) if self.strict else super().forward(input, target)

    def _row(self, soft: bool = False) -> Row:
        return self._named("bce", soft=True) if soft else self._named("bce", weight=self.weight)


@final
class BCEWithLogitsLoss(Grey, nn.BCEWithLogitsLoss):
    """torch.nn.BCEWithLogitsLoss: the row ``bce_with_logits``, with ``soft=True`` where it is computed, as targets may be grey.

    ``weight`` multiplies each element's loss. ``pos_weight`` shifts what is learned: see ``.relation``.

    >>> import torch
    >>> loss = BCEWithLogitsLoss(pos_weight=torch.tensor(3.0))
    >>> loss(torch.zeros(1), torch.ones(1)), loss.nll(torch.zeros(1), torch.ones(1))
    (tensor(2.0794), tensor(0.6931))
    >>> loss.relation.untilt(loss.likelihood(torch.tensor(3.0).log())).probs  # what a fair coin teaches, and the coin
    tensor(0.5000)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of log-odds, reduced; both of one shape, whatever it is."""
        return self.derived(input, target) if self.strict else super().forward(input, target)

    def _row(self, soft: bool = False) -> Row:
        given = {"soft": True} if soft else {"weight": self.weight}
        return self._named("bce_with_logits", pos_weight=self.pos_weight, **given)


@final
class SoftMarginLoss(OneNumber, nn.SoftMarginLoss):
    """torch.nn.SoftMarginLoss: the row ``soft_margin``, the log-odds of a label of -1 or 1.

    Torch overflows where the product of both is below -88 in float32; the derivation does not.

    >>> import torch
    >>> wrong, label = torch.tensor([-100.0]), torch.ones(1)
    >>> SoftMarginLoss()(wrong, label), SoftMarginLoss(strict=True)(wrong, label)
    (tensor(inf), tensor(100.))
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return log(1 + exp(-target * input)), reduced; both of one shape, whatever it is."""
        return self.derived(input, target) if self.strict else super().forward(input, target)

    def _row(self, soft: bool = False) -> Row:
        return self._named("soft_margin")
