"""The Laplace law."""

from __future__ import annotations

import math
from typing import Any

import pyro.distributions
import torch
from torch import Tensor

from likelihoods.distributions.base import Value, promote
from likelihoods.distributions.univariate import Univariate
from likelihoods.special import LOG_2, symmetric_log_cdf


class Laplace(Univariate, pyro.distributions.Laplace):  # type: ignore[misc]  # Pyro makes this class on import
    r"""The Laplace (double exponential) law, with density exp(-\|z\|) / (2 scale), z = (y - loc) / scale.

    With scale 1, -log density is the absolute error plus log 2.

    Args:
        loc: mean, median and mode, real.
        scale: mean absolute deviation, positive.
        validate_args: whether to check the parameters; torch's default if None.

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1995), Continuous Univariate Distributions 2, chapter 24.

    >>> Laplace(0.0, 2.0).log_prob(torch.tensor(1.0))
    tensor(-1.8863)
    """

    def __init__(self, loc: Value = 0.0, scale: Value = 1.0, *, validate_args: bool | None = None) -> None:
        self.loc, self.scale = promote(loc, scale)
        self._settle(validate_args)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        z = (value - self.loc) / self.scale
        return -LOG_2 - self.scale.log() - z.abs()

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        z = (value - self.loc) / self.scale
        right = z > 0
        tail = 0.5 * torch.where(right, -z, z).exp()
        return torch.where(right, 1.0 - tail, tail)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return symmetric_log_cdf((value - self.loc) / self.scale, _log_tail)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return symmetric_log_cdf((self.loc - value) / self.scale, _log_tail)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        below = value <= 0.5
        distance = (2.0 * torch.where(below, value, 1.0 - value)).log()
        return self.loc + self.scale * torch.where(below, distance, -distance)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(self.loc)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self._full(2.0 * self.scale * self.scale)

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self._full(math.sqrt(2.0) * self.scale)

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full(self.loc)

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full(1.0 + LOG_2 + self.scale.log())

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in both parameters: an exponential distance with a random sign."""
        shape = self._extended_shape(sample_shape)
        distance = torch.empty(shape, dtype=self.loc.dtype, device=self.loc.device).exponential_()
        sign = 1.0 - 2.0 * torch.empty_like(distance).bernoulli_()
        return self.loc + self.scale * (sign * distance)


def _log_tail(z: Tensor) -> Tensor:
    """Return log P((Y - loc)/scale > z) for z >= 0."""
    return -LOG_2 - z
