"""The half-normal law."""

from __future__ import annotations

import math
from typing import Any

import pyro.distributions
import torch
import torch.distributions
from torch import Tensor
from torch.distributions.transforms import AbsTransform, AffineTransform, Transform

from likelihoods.distributions.base import (
    STORED,
    Value,
    at_ends,
    between,
    floating,
    log_nonnegative,
    promote,
    quantile,
    register_kl,
)
from likelihoods.distributions.normal import Normal
from likelihoods.distributions.univariate import Univariate
from likelihoods.special import LOG_2, log_ndtr

ROOT_2, ROOT_HALF = math.sqrt(2.0), math.sqrt(0.5)
HALF_LOG_2_BY_PI = 0.5 * math.log(2.0 / math.pi)


class HalfNormal(Univariate, pyro.distributions.HalfNormal):  # type: ignore[misc]  # Pyro makes this class on import
    r"""The law of |X| for a normal X about 0: density √(2/π) · exp(-z²/2) / scale for y >= 0, z = y / scale.

    Args:
        scale: root mean square, positive.
        validate_args: whether to check the parameters; torch's default if None.

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1994), Continuous Univariate Distributions 1, section 13.10.

    >>> HalfNormal(2.0).log_prob(torch.tensor([1.0, -1.0]))
    tensor([-1.0439,    -inf])
    """

    scale: Tensor = STORED  # a plain attribute, where torch reads it off base_dist

    def __init__(self, scale: Value = 1.0, *, validate_args: bool | None = None) -> None:
        (self.scale,) = promote(scale)
        self._settle(validate_args)

    # What torch's TransformedDistribution stores

    @property
    def base_dist(self) -> Normal:
        """The law of ±y / scale. Not of ±y: torch takes the divergence of two folded laws for that of their bases."""
        return Normal(torch.zeros_like(self.scale), 1.0, validate_args=False)

    @property
    def transforms(self) -> list[Transform]:
        """What takes ±y / scale to y."""
        return [AffineTransform(0.0, self.scale), AbsTransform()]

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats; -inf for value < 0."""
        value = floating(value, self.scale)
        z = value.clamp(min=0.0) / self.scale
        return (HALF_LOG_2_BY_PI - self.scale.log()) - 0.5 * z * z + log_nonnegative(value)

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return at_ends(torch.erf(self._distance(value)), value, 0.0, torch.inf, 0.0, 1.0)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        x = self._distance(value)
        near = x < 0.5
        small, large = torch.where(near, x, 0.5), torch.where(near, 0.5, x)
        log_cdf = torch.where(near, torch.erf(small).log(), torch.log1p(-torch.erfc(large)))
        return at_ends(log_cdf, value, 0.0, torch.inf, -torch.inf, 0.0)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        x = self._distance(value)
        near = x < 0.5
        small, large = torch.where(near, x, 0.5), torch.where(near, 0.5, x)
        log_sf = torch.where(near, torch.log1p(-torch.erf(small)), LOG_2 + log_ndtr(-ROOT_2 * large))
        return at_ends(log_sf, value, 0.0, torch.inf, 0.0, -torch.inf)

    def _distance(self, value: Tensor) -> Tensor:
        """Return y / (scale · √2) within the support, √½ outside it."""
        inside = between(floating(value, self.scale), 0.0, torch.inf, self.scale.detach())
        return ROOT_HALF * (inside / self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        p = between(value, 0.0, 1.0, torch.full_like(value, 0.25))
        lower = p < 0.5
        z = torch.where(
            lower,
            ROOT_2 * torch.erfinv(torch.where(lower, p, 0.25)),
            -torch.special.ndtri(0.5 * (1.0 - torch.where(lower, 0.5, p))),
        )
        return quantile(self.scale * z, value, 0.0, torch.inf)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(math.sqrt(2.0 / math.pi) * self.scale)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self._full((1.0 - 2.0 / math.pi) * self.scale * self.scale)

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full(torch.zeros_like(self.scale))

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full((0.5 - HALF_LOG_2_BY_PI) + self.scale.log())

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in the scale."""
        shape = self._extended_shape(sample_shape)
        return self.scale * torch.randn(shape, dtype=self.scale.dtype, device=self.scale.device).abs()

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples."""
        with torch.no_grad():
            return self.rsample(sample_shape)


# Divergences


@register_kl(HalfNormal, torch.distributions.HalfNormal)
@register_kl(torch.distributions.HalfNormal, HalfNormal)
@register_kl(HalfNormal, HalfNormal)
def _kl_half_normal_half_normal(p: torch.distributions.HalfNormal, q: torch.distributions.HalfNormal) -> Tensor:
    """Return (t - log(1 + t)) / 2, where 1 + t is the ratio of the squared scales."""
    t = (p.scale - q.scale) / q.scale * ((p.scale + q.scale) / q.scale)
    return 0.5 * t + (q.scale / p.scale).log()
