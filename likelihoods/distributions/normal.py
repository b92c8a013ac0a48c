"""The normal law."""

from __future__ import annotations

import math
from typing import Any

import pyro.distributions
import torch
from torch import Tensor

from likelihoods.distributions.base import Value, promote
from likelihoods.distributions.univariate import Univariate
from likelihoods.special import HALF_LOG_2PI, log_ndtr

ROOT_HALF = math.sqrt(0.5)


class Normal(Univariate, pyro.distributions.Normal):
    r"""The normal law, with density exp(-z²/2) / (scale √(2π)), z = (y - loc) / scale.

    Args:
        loc: mean, real.
        scale: standard deviation, positive.
        validate_args: whether to check the parameters; torch's default if None.

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 13.

    >>> Normal(0.0, 2.0).log_prob(torch.tensor(1.0))
    tensor(-1.7371)
    """

    def __init__(self, loc: Value = 0.0, scale: Value = 1.0, *, validate_args: bool | None = None) -> None:
        self.loc, self.scale = promote(loc, scale)
        self._settle(validate_args)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        z = (value - self.loc) / self.scale
        return -0.5 * z * z - (self.scale.log() + HALF_LOG_2PI)

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return 0.5 * torch.erfc((self.loc - value) / self.scale * ROOT_HALF)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return log_ndtr((value - self.loc) / self.scale)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return log_ndtr((self.loc - value) / self.scale)

    def log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``log_cdf`` and ``log_sf``: the larger from the smaller, which saves half of the time."""
        z = (value - self.loc) / self.scale
        right = z >= 0
        smaller = log_ndtr(torch.where(right, -z, z))
        larger = torch.log1p(-smaller.exp())
        return torch.where(right, larger, smaller), torch.where(right, smaller, larger)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        standard: Tensor = torch.special.ndtri(value)
        return self.loc + self.scale * standard

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(self.loc)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self._full(self.scale * self.scale)

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self._full(self.scale)

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full(self.loc)

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full(0.5 + HALF_LOG_2PI + self.scale.log())

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in both parameters."""
        shape = self._extended_shape(sample_shape)
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + self.scale * noise

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples."""
        with torch.no_grad():
            return self.rsample(sample_shape)
