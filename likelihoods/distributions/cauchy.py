"""The Cauchy law."""

from __future__ import annotations

import math
from typing import Any

import pyro.distributions
import torch
from torch import Tensor

from likelihoods.distributions.base import Value, promote
from likelihoods.distributions.univariate import Univariate
from likelihoods.special import symmetric_log_cdf

LOG_PI = math.log(math.pi)
LOG_4PI = math.log(4.0 * math.pi)
LOG_HALF_PI = math.log(0.5 * math.pi)


class Cauchy(Univariate, pyro.distributions.Cauchy):  # type: ignore[misc]  # Pyro makes this class on import
    r"""The Cauchy (Lorentz) law, with density 1 / (π scale (1 + z²)), z = (y - loc) / scale.

    It has no mean; the variance is infinite.

    Args:
        loc: median and mode, real.
        scale: half the distance between the quartiles, positive.
        validate_args: whether to check the parameters; torch's default if None.

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 16.

    >>> Cauchy(0.0, 2.0).log_prob(torch.tensor(1.0))
    tensor(-2.0610)
    """

    def __init__(self, loc: Value = 0.0, scale: Value = 1.0, *, validate_args: bool | None = None) -> None:
        self.loc, self.scale = promote(loc, scale)
        self._settle(validate_args)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        distance = torch.hypot(value - self.loc, self.scale)  # z² would overflow, from z = 2e19 in float32
        return torch.sub(self.scale.log(), distance.log(), alpha=2.0).sub_(LOG_PI)

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        z = (self.loc - value) / self.scale
        return (
            torch.atan2(torch.ones_like(z), z) / math.pi
        )  # the angle at which a lighthouse at height 1 sees the value

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return symmetric_log_cdf((value - self.loc) / self.scale, _log_tail)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return symmetric_log_cdf((self.loc - value) / self.scale, _log_tail)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        below = value <= 0.5
        tail = torch.where(below, value, 1.0 - value)
        distance = torch.tan(math.pi * torch.where(tail < 0.0, torch.nan, tail)).reciprocal()
        return self.loc + self.scale * torch.where(below, -distance, distance)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean, which does not exist: NaN."""
        return self._full(torch.full_like(self.loc, torch.nan))

    @property
    def variance(self) -> Tensor:
        """The variance, infinite."""
        return self._full(torch.full_like(self.loc, torch.inf))

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full(self.loc)

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full(LOG_4PI + self.scale.log())

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in both parameters."""
        shape = self._extended_shape(sample_shape)
        noise = torch.empty(shape, dtype=self.loc.dtype, device=self.loc.device).cauchy_()
        return self.loc + self.scale * noise


def _log_tail(z: Tensor) -> Tensor:
    """Return log P((Y - loc)/scale > z) for z >= 0, finite however far out.

    The tail is (1/π) acot(z) = (2/π) atan(1/s), s = z + √(1 + z²), by halving the angle.
    """
    s = z + torch.hypot(z, torch.ones((), dtype=z.dtype, device=z.device))
    bounded = s.clamp(max=1e8).reciprocal()  # below 1e-8 the quotient atan(x)/x is 1 in every precision
    return torch.log(torch.atan(bounded) / bounded) - s.log() - LOG_HALF_PI
