"""The inverse Gaussian law."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import STORED, Value, at_ends, between, floating, log_positive, promote, register_kl
from likelihoods.distributions.inversion import invert
from likelihoods.distributions.tails import BothTails
from likelihoods.distributions.univariate import implicit
from likelihoods.special import HALF_LOG_2PI, LOG_2, e1_scaled, polynomial

ROOT_HALF = math.sqrt(0.5)
NODES, WEIGHTS = (tuple(x.tolist()) for x in np.polynomial.legendre.leggauss(8))
FAR = 30.0  # from here on the slope of erfcx is taken from its asymptotic series
ERFCX_SLOPE = tuple((-1.0) ** k * math.prod(range(1, 2 * k + 2, 2)) / 2.0**k for k in range(9))


class InverseGaussian(BothTails, TorchDistribution):
    r"""The inverse Gaussian (Wald) law: the time at which Brownian motion with drift first reaches a level.

    The density is √(concentration / (2π y³)) · exp(-concentration · (y - mean)² / (2 mean² y)) for y > 0.

    Args:
        mean: mean, positive.
        concentration: shape, positive; the variance is mean³ / concentration.
        validate_args: whether to check the parameters; torch's default if None.

    Source: R. S. Chhikara, J. L. Folks (1989), The Inverse Gaussian Distribution; M. C. K. Tweedie (1957),
    doi:10.1214/aoms/1177706964.

    >>> InverseGaussian(2.0, 3.0).log_prob(torch.tensor([2.0, -1.0]))
    tensor([-1.4094,    -inf])
    """

    arg_constraints = {"mean": constraints.positive, "concentration": constraints.positive}
    support = constraints.positive
    has_rsample = True
    mean: Tensor = STORED  # the parameter, with the batch shape, instead of torch's property

    def __init__(self, mean: Value = 1.0, concentration: Value = 1.0, *, validate_args: bool | None = None) -> None:
        self.mean, self.concentration = promote(mean, concentration)
        self._settle(validate_args)
        self.mean = self._full(self.mean)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats; -inf for value <= 0."""
        value = floating(value, self.mean)
        inside = between(value, 0.0, torch.inf, self.mean.detach())
        deviation = (inside - self.mean) / self.mean
        exponent = (0.5 * self.concentration) * deviation * (deviation / inside)
        return (0.5 * self.concentration.log() - HALF_LOG_2PI) - 1.5 * inside.log() - exponent + log_positive(value)

    # Distribution function

    def log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return log_cdf and log_sf, which cost no more together than one of them."""
        below, above = self._log_tails(value)
        below = at_ends(below, value, 0.0, torch.inf, -torch.inf, 0.0)
        return below, at_ends(above, value, 0.0, torch.inf, 0.0, -torch.inf)

    def _log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return log_cdf and log_sf, by what is left of them when the density's exponential is taken out.

        With a, b = √(c/2y) (y/m ∓ 1) the two are exp(-a²) (erfcx(-a) + erfcx(b)) / 2 and
        exp(-a²) (erfcx(a) - erfcx(b)) / 2: no exp(2c/m), which overflows.
        """
        y = between(floating(value, self.mean), 0.0, torch.inf, self.mean.detach())
        root = (0.5 * self.concentration / y).sqrt()
        a, b = root * ((y - self.mean) / self.mean), root * ((y + self.mean) / self.mean)
        left = a < 0
        below = torch.where(left, -a, 1.0)
        log_lower = (torch.special.erfcx(below) + torch.special.erfcx(b)).log() - LOG_2 - a * a
        start = torch.where(a > -1.0, a, 1.0)
        log_upper = _log_erfcx_difference(start, torch.where(a > -1.0, 2.0 * root, 1.0)) - LOG_2 - a * a
        log_cdf = torch.where(left, log_lower, torch.log1p(-torch.where(left, -1.0, log_upper).exp()))
        log_sf = torch.where(a > -1.0, log_upper, torch.log1p(-torch.where(a > -1.0, -1.0, log_lower).exp()))
        return log_cdf, log_sf

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        zero = torch.zeros((), dtype=self.mean.dtype, device=self.mean.device)
        return invert(self, value, zero, zero + torch.inf, self.mode)

    # Moments

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self._full(self.mean**3 / self.concentration)

    @property
    def mode(self) -> Tensor:
        """The mode."""
        x = 1.5 * self.mean / self.concentration
        return self._full(self.mean / (torch.hypot(x, torch.ones_like(x)) + x))

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        mean_log = self.mean.log() - e1_scaled(2.0 * self.concentration / self.mean)
        return self._full(0.5 + HALF_LOG_2PI - 0.5 * self.concentration.log() + 1.5 * mean_log)

    # Sampling

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, by the method of J. R. Michael, W. R. Schucany, R. W. Haas (1976), doi:10.2307/2683801."""
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)
            normal = torch.randn(shape, dtype=self.mean.dtype, device=self.mean.device)
            h = 0.5 * self.mean * normal * normal / self.concentration
            smaller = self.mean / (1.0 + h + (h * (2.0 + h)).sqrt())  # the smaller root, without a difference
            keep = torch.rand_like(normal) * (self.mean + smaller) <= self.mean
            return torch.where(keep, smaller, self.mean * (self.mean / smaller))

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in both parameters."""
        return implicit(self, self.sample(sample_shape))


def _log_erfcx_difference(a: Tensor, gap: Tensor) -> Tensor:
    """Return log(erfcx(a) - erfcx(a + gap)), a > -1; the integral of the slope where the difference would cancel."""
    close = gap < 0.5 * a.clamp(min=1.0)
    half = 0.5 * torch.where(close, gap, 0.5)
    nodes, weights = (torch.tensor(x, dtype=a.dtype, device=a.device) for x in (NODES, WEIGHTS))
    t = (a + half).unsqueeze(-1) + half.unsqueeze(-1) * nodes
    integral = half.log() + (_erfcx_fall(t) * weights).sum(-1).log()
    difference = torch.special.erfcx(a) - torch.special.erfcx(a + torch.where(close, 1.0, gap))
    return torch.where(close, integral, difference.log())


def _erfcx_fall(t: Tensor) -> Tensor:
    """Return -erfcx'(t) = 2/√π - 2t·erfcx(t)."""
    far = t > FAR
    near_t, far_t = torch.where(far, 0.0, t), torch.where(far, t, FAR)
    u = (far_t * far_t).reciprocal()
    series = u * polynomial(u, ERFCX_SLOPE) / math.sqrt(math.pi)
    return torch.where(far, series, 2.0 / math.sqrt(math.pi) - 2.0 * near_t * torch.special.erfcx(near_t))


# Divergences


@register_kl(InverseGaussian, InverseGaussian)
def _kl_inverse_gaussian_inverse_gaussian(p: InverseGaussian, q: InverseGaussian) -> Tensor:
    """Return the closed form: the law is an exponential family in y and 1/y, with E 1/Y = 1/mean + 1/concentration."""
    t = (q.concentration - p.concentration) / p.concentration
    deviation = (p.mean - q.mean) / q.mean
    return 0.5 * (t - torch.log1p(t) + q.concentration * deviation * deviation / p.mean)
