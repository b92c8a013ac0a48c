"""The exponential law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
from torch import Tensor

from likelihoods.distributions.base import (
    Value,
    at_ends,
    between,
    floating,
    log_nonnegative,
    promote,
    quantile,
    register_kl,
)
from likelihoods.distributions.univariate import Univariate
from likelihoods.special import log1mexp, one_minus_exp


class Exponential(Univariate, pyro.distributions.Exponential):  # type: ignore[misc]  # Pyro makes this class on import
    r"""The exponential law, with density rate · exp(-rate · y) for y >= 0.

    Args:
        rate: reciprocal of the mean, positive.
        validate_args: whether to check the parameters; torch's default if None.

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 19.

    >>> Exponential(2.0).log_prob(torch.tensor([1.0, -1.0]))
    tensor([-1.3069,    -inf])
    """

    def __init__(self, rate: Value = 1.0, *, validate_args: bool | None = None) -> None:
        (self.rate,) = promote(rate)
        self._settle(validate_args)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats; -inf for value < 0."""
        value = floating(value, self.rate)
        density = torch.addcmul(self.rate.log(), self.rate, value.clamp(min=0.0), value=-1.0)
        return density.add_(log_nonnegative(value))

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return at_ends(one_minus_exp(self._hazard(value)), value, 0.0, torch.inf, 0.0, 1.0)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return at_ends(log1mexp(self._hazard(value)), value, 0.0, torch.inf, -torch.inf, 0.0)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return at_ends(-self._hazard(value), value, 0.0, torch.inf, 0.0, -torch.inf)

    def _hazard(self, value: Tensor) -> Tensor:
        """Return rate · y within the support, 1 outside it."""
        return self.rate * between(floating(value, self.rate), 0.0, torch.inf, self.rate.detach().reciprocal())

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        p = between(value, 0.0, 1.0, torch.full_like(value, 0.5))
        return quantile(-torch.log1p(-p) / self.rate, value, 0.0, torch.inf)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(self.rate.reciprocal())

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self._full((self.rate * self.rate).reciprocal())

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self._full(self.rate.reciprocal())

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full(torch.zeros_like(self.rate))

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full(1.0 - self.rate.log())

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in the rate."""
        shape = self._extended_shape(sample_shape)
        return torch.empty(shape, dtype=self.rate.dtype, device=self.rate.device).exponential_() / self.rate


# Divergences


@register_kl(Exponential, Exponential)
def _kl_exponential_exponential(p: Exponential, q: Exponential) -> Tensor:
    """Return t - log(1 + t), where t = q.rate / p.rate - 1 is exact to the last digit for nearly equal rates."""
    t = (q.rate - p.rate) / p.rate
    return t - torch.log1p(t)
