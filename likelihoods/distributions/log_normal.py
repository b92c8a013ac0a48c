"""The log-normal law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import kl_divergence
from torch.distributions.transforms import ExpTransform, Transform

from likelihoods.distributions.base import STORED, Value, derived, floating, log_positive, promote, register_kl
from likelihoods.distributions.normal import Normal
from likelihoods.distributions.univariate import Univariate
from likelihoods.special import HALF_LOG_2PI, log_ndtr


class LogNormal(Univariate, pyro.distributions.LogNormal):
    r"""The log-normal law, with density exp(-z²/2) / (y scale √(2π)) for y > 0, z = (log y - loc) / scale.

    Args:
        loc: mean of log y, real.
        scale: standard deviation of log y, positive.
        validate_args: whether to check the parameters; torch's default if None.

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 14.

    >>> LogNormal(0.0, 2.0).log_prob(torch.tensor([1.0, -1.0]))
    tensor([-1.6121,    -inf])
    """

    loc: Tensor = STORED  # plain attributes, where torch reads them off base_dist
    scale: Tensor = STORED

    def __init__(self, loc: Value = 0.0, scale: Value = 1.0, *, validate_args: bool | None = None) -> None:
        self.loc, self.scale = promote(loc, scale)
        self._settle(validate_args)

    # What torch's TransformedDistribution stores

    @derived
    def base_dist(self) -> Normal:  # type: ignore[override]  # torch's own is one of torch's laws
        """The law of log y."""
        return Normal(self.loc, self.scale, validate_args=False).expand(self._batch_shape)

    @derived
    def transforms(self) -> list[Transform]:
        """What takes log y to y."""
        return [ExpTransform()]

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats; -inf for value <= 0."""
        value = floating(value, self.loc)
        log_y = _log(value)
        z = (log_y - self.loc) / self.scale
        return log_positive(value) - log_y - 0.5 * z * z - (self.scale.log() + HALF_LOG_2PI)

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return self.log_cdf(value).exp()

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        inside = log_ndtr((_log(floating(value, self.loc)) - self.loc) / self.scale)
        return torch.where(value <= 0, -torch.inf, torch.where(value == torch.inf, 0.0, inside))

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        inside = log_ndtr((self.loc - _log(floating(value, self.loc))) / self.scale)
        return torch.where(value <= 0, 0.0, torch.where(value == torch.inf, -torch.inf, inside))

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        return torch.exp(self.loc + self.scale * torch.special.ndtri(value))

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(torch.exp(self.loc + 0.5 * self.scale * self.scale))

    @property
    def variance(self) -> Tensor:
        """The variance."""
        square = self.scale * self.scale
        return self._full(torch.expm1(square) * torch.exp(2.0 * self.loc + square))

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full(torch.exp(self.loc - self.scale * self.scale))

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full(self.loc + (0.5 + HALF_LOG_2PI + self.scale.log()))

    # Sampling

    @derived
    def has_rsample(self) -> bool:
        """Samples are differentiable in both parameters."""
        return True

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in both parameters."""
        shape = self._extended_shape(sample_shape)
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return torch.exp(self.loc + self.scale * noise)

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples."""
        with torch.no_grad():
            return self.rsample(sample_shape)


def _log(value: Tensor) -> Tensor:
    """Return log y, of the nearest positive finite number for any other y (NaN stays)."""
    limits = torch.finfo(value.dtype)
    return value.clamp(limits.smallest_normal * limits.eps, limits.max).log()  # from the least subnormal number on


# Divergences


@register_kl(LogNormal, LogNormal)
def _kl_log_normal_log_normal(p: LogNormal, q: LogNormal) -> Tensor:
    """Return the divergence of the laws of log y: a bijection of y changes no divergence."""
    return kl_divergence(p.base_dist, q.base_dist)
