"""The half-Cauchy law."""

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
from likelihoods.distributions.cauchy import Cauchy
from likelihoods.distributions.univariate import Univariate

TWO_BY_PI = 2.0 / math.pi


class HalfCauchy(Univariate, pyro.distributions.HalfCauchy):  # type: ignore[misc]  # Pyro makes this class on import
    r"""The law of |X| for a Cauchy X about 0: density 2 / (π · scale · (1 + z²)) for y >= 0, z = y / scale.

    Args:
        scale: the median, positive.
        validate_args: whether to check the parameters; torch's default if None.

    Source: A. Gelman (2006), doi:10.1214/06-BA117A.

    >>> HalfCauchy(2.0).log_prob(torch.tensor([1.0, -1.0]))
    tensor([-1.3679,    -inf])
    """

    scale: Tensor = STORED  # a plain attribute, where torch reads it off base_dist

    def __init__(self, scale: Value = 1.0, *, validate_args: bool | None = None) -> None:
        (self.scale,) = promote(scale)
        self._settle(validate_args)

    # What torch's TransformedDistribution stores

    @property
    def base_dist(self) -> Cauchy:
        """The law of ±y / scale. Not of ±y: torch takes the divergence of two folded laws for that of their bases."""
        return Cauchy(torch.zeros_like(self.scale), 1.0, validate_args=False)

    @property
    def transforms(self) -> list[Transform]:
        """What takes ±y / scale to y."""
        return [AffineTransform(0.0, self.scale), AbsTransform()]

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats; -inf for value < 0."""
        value = floating(value, self.scale)
        largest = torch.finfo(value.dtype).max
        log_distance = torch.hypot(value.clamp(0.0, largest), self.scale).log()  # no square, which overflows
        infinite = (value.detach() - largest).clamp(min=0.0)
        return (self.scale.log() + math.log(TWO_BY_PI)) - 2.0 * log_distance + (log_nonnegative(value) - infinite)

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        left, lower, upper = self._tails(value)
        return at_ends(torch.where(left, lower, 1.0 - upper), value, 0.0, torch.inf, 0.0, 1.0)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        left, lower, upper = self._tails(value)
        log_cdf = torch.where(left, lower.log(), torch.log1p(-upper))
        return at_ends(log_cdf, value, 0.0, torch.inf, -torch.inf, 0.0)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        left, lower, upper = self._tails(value)
        log_sf = torch.where(left, torch.log1p(-lower), upper.log())
        return at_ends(log_sf, value, 0.0, torch.inf, 0.0, -torch.inf)

    def _tails(self, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return whether y is left of the median, the cdf (1/2 if not), and 1 - cdf (1/2 if so)."""
        median = self.scale.detach()
        y = between(floating(value, self.scale), 0.0, torch.inf, median)
        left = y < median
        lower = torch.atan(torch.where(left, y, median) / self.scale)  # not atan2, whose slope squares its arguments
        upper = torch.atan(self.scale / torch.where(left, median, y))
        return left, TWO_BY_PI * lower, TWO_BY_PI * upper

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        p = between(value, 0.0, 1.0, torch.full_like(value, 0.25))
        left = p < 0.5
        lower = torch.tan((0.5 * math.pi) * torch.where(left, p, 0.25))
        upper = torch.tan((0.5 * math.pi) * (1.0 - torch.where(left, 0.75, p)))
        return quantile(torch.where(left, self.scale * lower, self.scale / upper), value, 0.0, torch.inf)

    # Moments

    @property
    def mean(self) -> Tensor:
        """Infinite."""
        return self._full(torch.full_like(self.scale, torch.inf))

    @property
    def variance(self) -> Tensor:
        """Infinite."""
        return self._full(torch.full_like(self.scale, torch.inf))

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full(torch.zeros_like(self.scale))

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full(math.log(2.0 * math.pi) + self.scale.log())

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in the scale."""
        shape = self._extended_shape(sample_shape)
        return self.scale * torch.empty(shape, dtype=self.scale.dtype, device=self.scale.device).cauchy_().abs()

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples."""
        with torch.no_grad():
            return self.rsample(sample_shape)


# Divergences


@register_kl(HalfCauchy, torch.distributions.HalfCauchy)
@register_kl(torch.distributions.HalfCauchy, HalfCauchy)
@register_kl(HalfCauchy, HalfCauchy)
def _kl_half_cauchy_half_cauchy(p: torch.distributions.HalfCauchy, q: torch.distributions.HalfCauchy) -> Tensor:
    """Return the divergence of the Cauchy laws (F. Chyzak, F. Nielsen (2019), arXiv:1905.10965): folding loses nothing."""
    t = (p.scale - q.scale) / (p.scale + q.scale)
    return -torch.log1p(-t * t)
