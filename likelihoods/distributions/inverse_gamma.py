"""The inverse gamma law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import kl_divergence
from torch.distributions.transforms import PowerTransform, Transform

from likelihoods.distributions.base import (
    STORED,
    Value,
    at_ends,
    between,
    derived,
    floating,
    log_positive,
    promote,
    quantile,
    register_kl,
)
from likelihoods.distributions.gamma import Gamma, log_kernel, log_kernel_slope, textbook
from likelihoods.distributions.looks import ORDINARY, in_sight, moderate, within
from likelihoods.distributions.tails import BothTails
from likelihoods.distributions.univariate import implicit
from likelihoods.incomplete import gammaincinv, log_gammainc
from likelihoods.special import HALF_LOG_2PI, analytic, stirling, stirling_slope
from likelihoods.wide import by_blocks


def _log_density(value: Tensor, concentration: Tensor, rate: Tensor) -> Tensor:
    scaled = (rate / value).clamp(max=torch.finfo(value.dtype).max)
    kernel = log_kernel(concentration, scaled / concentration, (scaled - concentration) / concentration)
    return kernel - value.log()


log_density = analytic(
    _log_density,
    lambda value, concentration, rate: (rate / value - (concentration + 1.0)) / value,
    lambda value, concentration, rate: log_kernel_slope(concentration, rate / value),
    lambda value, concentration, rate: concentration / rate - value.reciprocal(),
)


def _textbook(value: Tensor, concentration: Tensor, rate: Tensor) -> Tensor:
    y = value.double()
    return textbook(y, concentration, rate / y, value)


class InverseGamma(BothTails, pyro.distributions.InverseGamma):
    """The inverse gamma law, that of 1/X for a gamma X: density rate^a y^(-a-1) exp(-rate/y) / Γ(a) for y > 0.

    Args:
        concentration: shape a, positive.
        rate: the gamma law's rate, a scale for y, positive.
        validate_args: whether to check the parameters; torch's default if None.

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 17, section 8.1.

    >>> InverseGamma(2.0, 3.0).log_prob(torch.tensor([1.0, -1.0]))
    tensor([-0.8028,    -inf])
    """

    concentration: Tensor = STORED  # plain attributes, where Pyro reads them off base_dist
    rate: Tensor = STORED

    def __init__(self, concentration: Value, rate: Value, *, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = promote(concentration, rate)
        self._settle(validate_args)

    # What torch's TransformedDistribution stores

    @derived
    def base_dist(self) -> Gamma:
        """The law of 1/y."""
        return Gamma(self.concentration, self.rate, validate_args=False).expand(self._batch_shape)

    @derived
    def transforms(self) -> list[Transform]:
        """What takes 1/y to y."""
        return [PowerTransform(-self.rate.new_ones(()))]

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats; -inf for value <= 0."""
        value = floating(value, self.rate)
        a, rate = self.concentration, self.rate
        if in_sight(value, a, rate) and moderate(a) and within(value, *ORDINARY) and within(rate, *ORDINARY):
            return by_blocks(_textbook, value, a, rate)
        return log_density(_inside(value), self.concentration, self.rate) + log_positive(value)

    # Distribution function

    def log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return log P(Y <= value) and log P(Y > value): of 1/Y they are P(1/Y >= 1/value) and P(1/Y < 1/value)."""
        value = floating(value, self.rate)
        above, below = log_gammainc(self.concentration, self.rate / _inside(value))
        below = at_ends(below, value, 0.0, torch.inf, -torch.inf, 0.0)
        return below, at_ends(above, value, 0.0, torch.inf, 0.0, -torch.inf)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        p = between(value, 0.0, 1.0, torch.full_like(value, 0.5))
        lower = p <= 0.5
        root = self.rate / gammaincinv(self.concentration, torch.where(lower, p.log(), torch.log1p(-p)), ~lower)
        root = root.to(p.dtype)
        finite = ~(root == torch.inf)  # beyond, the quantile is infinite to this dtype
        root = torch.where(finite, implicit(self, torch.where(finite, root, 1.0), p), torch.inf)
        return quantile(root, value, 0.0, torch.inf)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean; infinite for concentration <= 1."""
        light = self.concentration > 1.0
        mean = self.rate / torch.where(light, self.concentration - 1.0, 1.0)
        return self._full(torch.where(light, mean, torch.inf))

    @property
    def variance(self) -> Tensor:
        """The variance; infinite for concentration <= 2."""
        light = self.concentration > 2.0
        a = torch.where(light, self.concentration, 3.0)
        mean = self.rate / (a - 1.0)
        return self._full(torch.where(light, mean * mean / (a - 2.0), torch.inf))

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full(self.rate / (self.concentration + 1.0))

    def entropy(self) -> Tensor:
        """Return the entropy in nats: a + log(rate) + lgamma(a) - (1 + a)·digamma(a), in Stirling's tail and its slope."""
        a = self.concentration
        tail = stirling(a) - (1.0 + a) * stirling_slope(a) + 0.5 / a
        return self._full(tail - 1.5 * a.log() + HALF_LOG_2PI + 0.5 + self.rate.log())

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in the parameters (implicitly: Figurnov et al. 2018, arXiv:1805.08498)."""
        return implicit(self, self.sample(sample_shape))

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples: the gamma deviate is that of shape a + 1 times U^(1/a), in log space."""
        with torch.no_grad():
            a = self.concentration.expand(self._extended_shape(sample_shape))
            log_gamma = torch._standard_gamma(a + 1.0).log() - torch.empty_like(a).exponential_() / a
            limits = torch.finfo(a.dtype)
            return torch.exp(self.rate.log() - log_gamma).clamp(limits.tiny, limits.max)


def _inside(value: Tensor) -> Tensor:
    return between(value, 0.0, torch.inf, torch.ones_like(value))


# Divergences


@register_kl(InverseGamma, InverseGamma)
def _kl_inverse_gamma_inverse_gamma(p: InverseGamma, q: InverseGamma) -> Tensor:
    """Return that of the gamma laws of 1/y: a divergence does not depend on the scale of measurement."""
    return kl_divergence(Gamma(p.concentration, p.rate), Gamma(q.concentration, q.rate))


@register_kl(InverseGamma, Gamma)
def _kl_inverse_gamma_gamma(p: InverseGamma, q: Gamma) -> Tensor:
    c, d = q.concentration, q.rate
    log_y = p.rate.log() - torch.digamma(p.concentration)
    return d * p.mean - (c - 1.0) * log_y - c * d.log() + torch.lgamma(c) - p.entropy()


@register_kl(Gamma, InverseGamma)
def _kl_gamma_inverse_gamma(p: Gamma, q: InverseGamma) -> Tensor:
    a, b = q.concentration, q.rate
    light = p.concentration > 1.0
    inverse = torch.where(light, p.rate / torch.where(light, p.concentration - 1.0, 1.0), torch.inf)  # mean of 1/y
    log_y = torch.digamma(p.concentration) - p.rate.log()
    return b * inverse + (a + 1.0) * log_y - a * b.log() + torch.lgamma(a) - p.entropy()
