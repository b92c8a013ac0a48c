"""Losses of a number: each element of the input is a prediction, and the element of the target at its place the number."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from likelihoods.kernels.numbers import any_negative
from likelihoods.nn.base import Case, Derived, Row, paired


class OneNumber(Derived):
    """Abstract: the losses of one prediction a number, whatever the shape."""

    def _raw(self, *predictions: Any) -> Tensor:
        (prediction,) = predictions
        raw: Tensor = prediction.unsqueeze(-1)
        return raw

    def _case(self, *inputs: Any) -> Case:
        prediction, target = inputs
        return Case(self._row(), *paired(prediction.unsqueeze(-1), target))


@final
class L1Loss(OneNumber, nn.L1Loss):
    """torch.nn.L1Loss: the row ``l1``.

    >>> import torch
    >>> loss = L1Loss()
    >>> loss(torch.tensor([1.0, 2.0]), torch.tensor([1.5, 2.0]))
    tensor(0.2500)
    >>> loss.likelihood(torch.tensor([1.0, 2.0])).stddev
    tensor([1.4142, 1.4142])
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return |input - target|, reduced; both of one shape, whatever it is."""
        return self.derived(input, target) if self.strict else super().forward(input, target)

    def _row(self, soft: bool = False) -> Row:
        return self._named("l1")


@final
class MSELoss(OneNumber, nn.MSELoss):
    """torch.nn.MSELoss: the row ``mse``, a Gaussian whose variance is 1/2.

    >>> import torch
    >>> loss = MSELoss()
    >>> loss(torch.tensor([1.0, 2.0]), torch.tensor([1.5, 2.0]))
    tensor(0.1250)
    >>> loss.relation.sentence()
    'loss = NLL - 0.572365'
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return (input - target)², reduced; both of one shape, whatever it is."""
        return self.derived(input, target) if self.strict else super().forward(input, target)

    def _row(self, soft: bool = False) -> Row:
        return self._named("mse")


@final
class SmoothL1Loss(OneNumber, nn.SmoothL1Loss):
    """torch.nn.SmoothL1Loss: the row ``smooth_l1``; ``l1`` where beta is 0.

    >>> import torch
    >>> SmoothL1Loss(beta=0.5)(torch.tensor([1.0, 2.0]), torch.tensor([1.5, 2.0]))
    tensor(0.1250)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss, reduced; both of one shape, whatever it is."""
        return self.derived(input, target) if self.strict else super().forward(input, target)

    def _row(self, soft: bool = False) -> Row:
        return self._named("smooth_l1", beta=self.beta) if self.beta else self._named("l1")


@final
class HuberLoss(OneNumber, nn.HuberLoss):
    """torch.nn.HuberLoss: the row ``huber``.

    >>> import torch
    >>> HuberLoss(delta=0.5)(torch.tensor([1.0, 2.0]), torch.tensor([1.5, 2.0]))
    tensor(0.0625)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss, reduced; both of one shape, whatever it is."""
        return self.derived(input, target) if self.strict else super().forward(input, target)

    def _row(self, soft: bool = False) -> Row:
        return self._named("huber", delta=self.delta)


@final
class PoissonNLLLoss(OneNumber, nn.PoissonNLLLoss):
    """torch.nn.PoissonNLLLoss: the row ``poisson_nll``.

    With ``full=True`` torch adds Stirling's approximation of log y!, so that its value is off the likelihood's by up to
    0.04 nats a target; ``.nll`` has log y! itself.

    >>> import torch
    >>> loss = PoissonNLLLoss(full=True)
    >>> prediction, count = torch.zeros(1), torch.tensor([2.0])
    >>> loss(prediction, count), loss.nll(prediction, count)
    (tensor(1.6518), tensor(1.6931))
    """

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        """Return the loss, reduced; both of one shape, whatever it is."""
        return self.derived(log_input, target) if self.strict else super().forward(log_input, target)

    def _row(self, soft: bool = False) -> Row:
        return self._named("poisson_nll", log_input=self.log_input, full=self.full, eps=self.eps)


@final
class GaussianNLLLoss(Derived, nn.GaussianNLLLoss):
    """torch.nn.GaussianNLLLoss: the row ``gaussian_nll``.

    ``likelihood(input, var)`` has the variance as its second input.

    >>> import torch
    >>> loss = GaussianNLLLoss(full=True)
    >>> loss(torch.zeros(1), torch.ones(1), torch.ones(1))
    tensor(1.4189)
    >>> loss.likelihood(torch.zeros(1), torch.tensor([4.0])).scale
    tensor([2.])
    """

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        """Return the loss, reduced.

        Args:
            input: any shape.
            target: the same.
            var: the same, or without its last axis, or with one axis of length 1, or a number.

        Raises:
            ValueError: a negative variance; shapes that do not fit.
        """
        return self.derived(input, target, var) if self.strict else super().forward(input, target, var)

    def _row(self, soft: bool = False) -> Row:
        return self._named("gaussian_nll", full=self.full, eps=self.eps)

    def _raw(self, *predictions: Any) -> Tensor:
        mean, given = predictions
        variance = given if isinstance(given, Tensor) else torch.full_like(mean, given)
        if any_negative(variance):
            raise ValueError(
                f"A variance is negative, {variance.min().item():g}; predict its logarithm, or the scale through a link."
            )
        if variance.shape != mean.shape:
            if variance.shape == mean.shape[:-1]:
                variance = variance.unsqueeze(-1)
            elif variance.dim() != mean.dim() or [
                v for m, v in zip(mean.shape, variance.shape, strict=True) if m != v
            ] != [1]:
                raise ValueError(
                    f"var has shape {tuple(variance.shape)} and the input {tuple(mean.shape)}; they must be the same, or var "
                    f"without the last axis or with one axis of length 1."
                )
        return torch.stack([mean, variance.expand_as(mean)], -1)

    def _case(self, *inputs: Any) -> Case:
        mean, target, variance = inputs
        return Case(self._row(), *paired(self._raw(mean, variance), target))
