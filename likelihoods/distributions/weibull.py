"""The Weibull law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions.transforms import AffineTransform, PowerTransform, Transform

from likelihoods.distributions.base import (
    Value,
    at_ends,
    between,
    floating,
    log_positive,
    promote,
    quantile,
    register_kl,
)
from likelihoods.distributions.exponential import Exponential
from likelihoods.distributions.univariate import Univariate
from likelihoods.special import log1mexpexp, log_ratio, one_minus_exp, safe_exp

EULER = 0.5772156649015329
CONCENTRATED = 50.0  # from here on the series for the variance beats the difference of two gamma functions


class Weibull(Univariate, pyro.distributions.Weibull):  # type: ignore[misc]  # Pyro makes this class on import
    r"""The Weibull law, with density (concentration / y) · h · exp(-h) for y > 0, h = (y / scale)^concentration.

    Args:
        scale: the quantile at 1 - 1/e, positive.
        concentration: shape, positive; 1 gives the exponential law.
        validate_args: whether to check the parameters; torch's default if None.

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 21.

    >>> Weibull(2.0, 1e3).log_prob(torch.tensor([2.0, -1.0]))
    tensor([5.2146,   -inf])
    """

    has_rsample = True

    def __init__(self, scale: Value = 1.0, concentration: Value = 1.0, *, validate_args: bool | None = None) -> None:
        self.scale, self.concentration = promote(scale, concentration)
        self._settle(validate_args)

    # What torch's classes store

    @property
    def concentration_reciprocal(self) -> Tensor:
        """One over the concentration."""
        return self.concentration.reciprocal()

    @property
    def base_dist(self) -> Exponential:
        """The law of the hazard (y / scale)^concentration."""
        return Exponential(torch.ones_like(self._full(self.scale)), validate_args=False)

    @property
    def transforms(self) -> list[Transform]:
        """What takes the hazard to y."""
        return [PowerTransform(self.concentration_reciprocal), AffineTransform(0.0, self.scale)]

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats; -inf for value <= 0."""
        value = floating(value, self.scale)
        ratio = log_ratio(value, self.scale)
        density = (self.concentration - 1.0) * ratio - safe_exp(self.concentration * ratio)
        return density + (self.concentration.log() - self.scale.log()) + log_positive(value)

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return at_ends(one_minus_exp(safe_exp(self._log_hazard(value))), value, 0.0, torch.inf, 0.0, 1.0)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return at_ends(log1mexpexp(self._log_hazard(value)), value, 0.0, torch.inf, -torch.inf, 0.0)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return at_ends(-safe_exp(self._log_hazard(value)), value, 0.0, torch.inf, 0.0, -torch.inf)

    def _log_hazard(self, value: Tensor) -> Tensor:
        """Return concentration · log(y / scale) within the support, 0 outside it."""
        inside = between(floating(value, self.scale), 0.0, torch.inf, self.scale.detach())
        return self.concentration * log_ratio(inside, self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        p = between(value, 0.0, 1.0, torch.full_like(value, 0.5))
        return quantile(self._at_hazard(-torch.log1p(-p)), value, 0.0, torch.inf)

    def _at_hazard(self, hazard: Tensor) -> Tensor:
        return self.scale * (hazard.log() / self.concentration).exp()

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(self.scale * torch.lgamma(1.0 + self.concentration_reciprocal).exp())

    @property
    def variance(self) -> Tensor:
        """The variance."""
        mean = self.scale * torch.lgamma(1.0 + self.concentration_reciprocal).exp()
        return self._full(mean * mean * torch.expm1(self._log_ratio_of_moments()))

    def _log_ratio_of_moments(self) -> Tensor:
        """Return log E Y² - 2 log E Y = log Γ(1 + 2x) - 2 log Γ(1 + x), x = 1 / concentration; ~ (πx)²/6 as x -> 0."""
        x = self.concentration_reciprocal
        direct = torch.lgamma(1.0 + 2.0 * x) - 2.0 * torch.lgamma(1.0 + x)
        j = torch.arange(2.0, 15.0, dtype=x.dtype, device=x.device)
        coefficients = torch.special.zeta(j, torch.ones_like(j)) * (2.0**j - 2.0) / j * (-1.0) ** j
        small = x.clamp(max=1.0 / CONCENTRATED)
        series = (small.unsqueeze(-1) ** j * coefficients).sum(-1)
        return torch.where(self.concentration > CONCENTRATED, series, direct)

    @property
    def mode(self) -> Tensor:
        """The mode; 0 for a concentration of at most 1."""
        k = self.concentration.clamp(min=1.0)
        return self._full(self.scale * ((k - 1.0) / k) ** k.reciprocal())

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        log_scale = self.scale.log() - self.concentration.log()
        return self._full(EULER * (1.0 - self.concentration_reciprocal) + log_scale + 1.0)

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in both parameters."""
        shape = self._extended_shape(sample_shape)
        return self._at_hazard(torch.empty(shape, dtype=self.scale.dtype, device=self.scale.device).exponential_())

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples."""
        with torch.no_grad():
            return self.rsample(sample_shape)


# Divergences


@register_kl(Weibull, Weibull)
def _kl_weibull_weibull(p: Weibull, q: Weibull) -> Tensor:
    """Return the closed form of Bauckhage (2013), arXiv:1310.3713."""
    ratio = q.concentration / p.concentration
    log_scales = (p.scale / q.scale).log()
    power = (q.concentration * log_scales + torch.lgamma(1.0 + ratio)).exp()
    return power - q.concentration * log_scales - ratio.log() - 1.0 - EULER * (1.0 - ratio)
