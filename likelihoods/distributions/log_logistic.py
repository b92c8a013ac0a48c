"""The log-logistic law."""

from __future__ import annotations

import math
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import logsigmoid

from likelihoods.distributions.base import Value, at_ends, between, floating, log_positive, promote, quantile
from likelihoods.distributions.univariate import Univariate
from likelihoods.special import log_ratio, polynomial

BEND = tuple((-1) ** n * 2 * (n + 1) / math.factorial(2 * n + 3) for n in range(10))  # (sin b - b cos b) / b³ in b²


class LogLogistic(Univariate, TorchDistribution):
    r"""The log-logistic law: log y is logistic; the odds of exceeding y are (y / scale)^-concentration.

    The density is (concentration / y) · r / (1 + r)² for y > 0, r = (y / scale)^concentration.

    Args:
        scale: the median, positive.
        concentration: shape, positive; the moment of order n exists below it.
        validate_args: whether to check the parameters; torch's default if None.

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1995), Continuous Univariate Distributions 2, section 23.11.

    >>> LogLogistic(2.0, 3.0).log_prob(torch.tensor([2.0, -1.0]))
    tensor([-0.9808,    -inf])
    """

    arg_constraints = {"scale": constraints.positive, "concentration": constraints.positive}
    support = constraints.positive
    has_rsample = True

    def __init__(self, scale: Value = 1.0, concentration: Value = 1.0, *, validate_args: bool | None = None) -> None:
        self.scale, self.concentration = promote(scale, concentration)
        self._settle(validate_args)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats; -inf for value <= 0."""
        value = floating(value, self.scale)
        ratio = log_ratio(value, self.scale)
        side = self.concentration * torch.copysign(torch.ones_like(ratio), ratio.detach())
        distance = side * ratio  # |log odds|, apart from the first term so that slopes near 0 and inf do not cancel
        density = (-1.0 - side) * ratio - 2.0 * torch.log1p(torch.exp(-distance))
        return density + (self.concentration.log() - self.scale.log()) + log_positive(value)

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return at_ends(self._log_odds(value).sigmoid(), value, 0.0, torch.inf, 0.0, 1.0)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return at_ends(logsigmoid(self._log_odds(value)), value, 0.0, torch.inf, -torch.inf, 0.0)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return at_ends(logsigmoid(-self._log_odds(value)), value, 0.0, torch.inf, 0.0, -torch.inf)

    def _log_odds(self, value: Tensor) -> Tensor:
        """Return concentration · log(y / scale) within the support, 0 outside it."""
        inside = between(floating(value, self.scale), 0.0, torch.inf, self.scale.detach())
        return self.concentration * log_ratio(inside, self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        p = between(value, 0.0, 1.0, torch.full_like(value, 0.5))
        return quantile(self._at_log_odds(p.log() - torch.log1p(-p)), value, 0.0, torch.inf)

    def _at_log_odds(self, log_odds: Tensor) -> Tensor:
        return self.scale * (log_odds / self.concentration).exp()

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean; infinite for a concentration of at most 1."""
        b = math.pi / self.concentration.clamp(min=1.0)
        return self._full(torch.where(self.concentration > 1.0, self.scale * b / b.sin(), torch.inf))

    @property
    def variance(self) -> Tensor:
        """The variance; infinite for a concentration of at most 2."""
        b = math.pi / self.concentration.clamp(min=2.0)
        variance = self.scale * self.scale * b**4 * polynomial(b * b, BEND) / (b.sin() ** 2 * b.cos())
        return self._full(torch.where(self.concentration > 2.0, variance, torch.inf))

    @property
    def mode(self) -> Tensor:
        """The mode; 0 for a concentration of at most 1."""
        k = self.concentration.clamp(min=1.0)
        return self._full(self.scale * ((k - 1.0) / (k + 1.0)) ** k.reciprocal())

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full(2.0 + self.scale.log() - self.concentration.log())

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in both parameters."""
        shape = self._extended_shape(sample_shape)
        above, below = torch.empty((2, *shape), dtype=self.scale.dtype, device=self.scale.device).exponential_()
        return self._at_log_odds(above.log() - below.log())
