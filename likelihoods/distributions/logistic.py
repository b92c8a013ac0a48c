"""The logistic law."""

from __future__ import annotations

import math
from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from likelihoods.distributions.base import Value, promote, register_kl
from likelihoods.distributions.normal import Normal
from likelihoods.distributions.univariate import Univariate
from likelihoods.special import HALF_LOG_2PI

VARIANCE = math.pi**2 / 3.0


class Logistic(Univariate, pyro.distributions.Logistic):
    r"""The logistic law, with density exp(-z) / (scale (1 + exp(-z))²), z = (y - loc) / scale.

    Its cdf is the sigmoid of z. The variance is (π scale)² / 3.

    Args:
        loc: mean, median and mode, real.
        scale: scale, positive.
        validate_args: whether to check the parameters; torch's default if None.

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1995), Continuous Univariate Distributions 2, chapter 23.

    >>> Logistic(0.0, 2.0).log_prob(torch.tensor(1.0))
    tensor(-2.1413)
    """

    def __init__(self, loc: Value = 0.0, scale: Value = 1.0, *, validate_args: bool | None = None) -> None:
        self.loc, self.scale = promote(loc, scale)
        self._settle(validate_args)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        z = (self.loc - value) / self.scale
        finite = z.clamp(max=torch.finfo(z.dtype).max)  # or inf would give inf - inf
        return (finite - self.scale.log()).sub_(softplus(z, threshold=40.0), alpha=2.0)

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return self.log_cdf(value).exp()  # torch.sigmoid has no slope in the upper tail: it is s (1 - s)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return logsigmoid((value - self.loc) / self.scale)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return logsigmoid((self.loc - value) / self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        return self.loc + self.scale * torch.logit(value)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(self.loc)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self._full(VARIANCE * self.scale * self.scale)

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self._full(math.sqrt(VARIANCE) * self.scale)

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full(self.loc)

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full(2.0 + self.scale.log())

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in both parameters: the log-ratio of two exponential variables."""
        shape = self._extended_shape(sample_shape)
        noise = torch.empty(shape, dtype=self.loc.dtype, device=self.loc.device).exponential_().log_()
        noise -= torch.empty_like(noise).exponential_().log_()
        return self.loc + self.scale * noise


@register_kl(Logistic, Normal)
def _kl_logistic_normal(p: Logistic, q: Normal) -> Tensor:
    gap = p.loc - q.loc
    square = VARIANCE * p.scale * p.scale + gap * gap
    return HALF_LOG_2PI + (q.scale / p.scale).log() - 2.0 + 0.5 * square / (q.scale * q.scale)
