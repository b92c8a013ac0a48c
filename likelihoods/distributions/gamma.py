"""The gamma law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import (
    Value,
    at_ends,
    between,
    choose,
    derived,
    floating,
    log_positive,
    promote,
    quantile,
    register_kl,
)
from likelihoods.distributions.looks import ORDINARY, in_sight, moderate, within
from likelihoods.distributions.tails import BothTails
from likelihoods.distributions.univariate import implicit
from likelihoods.incomplete import gammaincinv, log_gammainc
from likelihoods.special import HALF_LOG_2PI, NEAR, analytic, log1pmx, near_log1pmx, stirling, stirling_slope
from likelihoods.wide import FEW, by_blocks, digamma_block, is_wide, log_factorial, power_block


def log_kernel(concentration: Tensor, ratio: Tensor, excess: Tensor) -> Tensor:
    """Return log(x^a exp(-x) / Γ(a)) from ratio = x/a and excess = x/a - 1, as Stirling's tail and a deviance."""
    bend = torch.where(excess.abs() < NEAR, near_log1pmx(excess), ratio.log() - excess)
    constant = 0.5 * concentration.log() - HALF_LOG_2PI - stirling(concentration)
    return torch.addcmul(constant, concentration, bend)


def textbook(y: Tensor, concentration: Tensor, x: Tensor, like: Tensor) -> Tensor:
    """Return log(x^a exp(-x) / (Γ(a)·y)) as it is written, from float64 x and y, in the dtype of ``like``."""
    a = concentration.double()
    return (torch.addcmul(torch.log(a / y), a, x.log()) - x - log_factorial(a, like)).to(like.dtype)


def _textbook_by_rate(value: Tensor, concentration: Tensor, rate: Tensor) -> Tensor:
    y = value.double()
    return textbook(y, concentration, y * rate, value)


def _textbook_by_mean(value: Tensor, concentration: Tensor, mean: Tensor) -> Tensor:
    y = value.double()
    return textbook(y, concentration, y / mean * concentration, value)


def _rate_block(value: Tensor, concentration: Tensor, rate: Tensor) -> Tensor:
    y = value.double()
    x = y * rate
    return power_block(x, y, concentration.double()).sub_(x).to(value.dtype)


def _rate_slope_block(value: Tensor, concentration: Tensor, rate: Tensor) -> Tensor:
    return (value.double() * rate).log_().sub(digamma_block(concentration.double())).to(value.dtype)


_many_by_rate = analytic(  # of float32 numbers
    lambda *arguments: by_blocks(_rate_block, *arguments),
    lambda value, concentration, rate: ((concentration.double() - 1.0) / value - rate).to(value.dtype),
    analytic(
        lambda *arguments: by_blocks(_rate_slope_block, *arguments),
        lambda value, concentration, rate: value.reciprocal(),
        lambda value, concentration, rate: -torch.polygamma(1, concentration),
        lambda value, concentration, rate: rate.reciprocal(),
    ),
    lambda value, concentration, rate: (concentration.double() / rate - value).to(value.dtype),
)


def log_kernel_slope(concentration: Tensor, x: Tensor) -> Tensor:
    """Return log(x) - digamma(a), the derivative of ``log_kernel`` in a."""
    excess = (x - concentration) / concentration
    near = excess.abs() < 0.5
    log_ratio = torch.where(near, torch.log1p(torch.where(near, excess, 0.0)), (x / concentration).log())
    return log_ratio + (0.5 / concentration - stirling_slope(concentration))


def _by_rate(value: Tensor, concentration: Tensor, rate: Tensor) -> Tensor:
    x = (rate * value).clamp(max=torch.finfo(value.dtype).max)
    return log_kernel(concentration, x / concentration, (x - concentration) / concentration) - value.log()


def _by_mean(value: Tensor, concentration: Tensor, mean: Tensor) -> Tensor:
    return log_kernel(concentration, value / mean, (value - mean) / mean) - value.log()


def _by_mean_in_concentration(value: Tensor, concentration: Tensor, mean: Tensor) -> Tensor:
    excess = (value - mean) / mean
    near = excess.abs() < NEAR
    bend = torch.where(near, log1pmx(torch.where(near, excess, 0.0)), (value / mean).log() - excess)
    return bend + (0.5 / concentration - stirling_slope(concentration))


by_rate = analytic(
    _by_rate,
    lambda value, concentration, rate: (concentration - 1.0) / value - rate,
    lambda value, concentration, rate: log_kernel_slope(concentration, rate * value),
    lambda value, concentration, rate: concentration / rate - value,
)
by_mean = analytic(
    _by_mean,
    lambda value, concentration, mean: (concentration * ((mean - value) / mean) - 1.0) / value,
    _by_mean_in_concentration,
    lambda value, concentration, mean: concentration * ((value - mean) / mean) / mean,
)


class Gamma(BothTails, pyro.distributions.Gamma):
    """The gamma law, with density rate^a y^(a-1) exp(-rate·y) / Γ(a) for y >= 0, where a is the concentration.

    Give ``concentration`` with ``rate``, or with ``mean`` = concentration / rate.

    Args:
        concentration: shape, positive.
        rate: inverse scale, positive.
        mean: mean, positive.
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        TypeError: if not exactly one of the two pairs is given.

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 17.

    >>> Gamma(mean=2.0, concentration=3.0).log_prob(torch.tensor(1.0))
    tensor(-0.9768)
    """

    arg_constraints = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
        "mean": constraints.positive,
    }

    def __init__(
        self,
        concentration: Value | None = None,
        rate: Value | None = None,
        *,
        mean: Value | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given: dict[str, Any] = {"concentration": concentration, "rate": rate, "mean": mean}
        _, second = choose("Gamma", given, ("concentration", "rate"), ("concentration", "mean"))
        self.concentration, self.__dict__[second] = promote(given["concentration"], given[second])
        self._settle(validate_args)
        if second == "mean":  # a parameter that is a moment too: it has the full batch shape
            self.mean = self._full(self.mean)

    @derived
    def rate(self) -> Tensor:
        """The inverse scale."""
        return self.concentration / self.mean

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats; -inf for value < 0, its limit at 0."""
        value = floating(value, self.concentration)
        rated = "rate" in self.__dict__
        a, other = self.concentration, self.rate if rated else self.mean
        if in_sight(value, a, other) and moderate(a) and within(value, *ORDINARY) and within(other, *ORDINARY):
            if rated and value.numel() >= FEW and not is_wide(value):
                return _many_by_rate(value, a, other)
            return by_blocks(_textbook_by_rate if rated else _textbook_by_mean, value, a, other)
        inside = between(value, 0.0, torch.inf, torch.ones_like(value))
        density = (by_rate if rated else by_mean)(inside, a, other)
        shape = self.concentration.detach() - 1.0
        return torch.where(value == 0.0, self.rate.log() + torch.xlogy(shape, 0.0), density + log_positive(value))

    # Distribution function

    def log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return log P(Y <= value) and log P(Y > value)."""
        value = floating(value, self.concentration)
        inside = self.rate * between(value, 0.0, torch.inf, torch.ones_like(value))
        below, above = log_gammainc(self.concentration, inside)
        return at_ends(below, value, 0.0, torch.inf, -torch.inf, 0.0), at_ends(
            above, value, 0.0, torch.inf, 0.0, -torch.inf
        )

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        p = between(value, 0.0, 1.0, torch.full_like(value, 0.5))
        lower = p <= 0.5
        root = gammaincinv(self.concentration, torch.where(lower, p.log(), torch.log1p(-p)), lower) / self.rate
        root = root.to(p.dtype)
        found = ~(root < torch.finfo(p.dtype).tiny)  # below it the quantile is 0 to this dtype
        root = torch.where(found, implicit(self, torch.where(found, root, 1.0), p), 0.0)
        return quantile(root, value, 0.0, torch.inf)

    # Moments

    @derived
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(self.concentration / self.rate)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self._full(self.mean * self.mean / self.concentration)

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full((self.concentration - 1.0).clamp(min=0.0) / self.rate)

    def entropy(self) -> Tensor:
        """Return the entropy in nats: a - log(rate) + lgamma(a) + (1 - a)·digamma(a), in Stirling's tail and its slope."""
        a = self.concentration
        tail = stirling(a) + (1.0 - a) * stirling_slope(a) - 0.5 / a
        return self._full(0.5 * a.log() + HALF_LOG_2PI + 0.5 + tail - self.rate.log())

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in the parameters (implicitly: Figurnov et al. 2018, arXiv:1805.08498).

        The slope is that of our own incomplete gamma function; torch's for _standard_gamma is off by up to 1e-4.
        """
        return implicit(self, self.sample(sample_shape))

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples."""
        with torch.no_grad():
            value = torch._standard_gamma(self.concentration.expand(self._extended_shape(sample_shape))) / self.rate
            return value.clamp(min=torch.finfo(value.dtype).tiny)


# Divergences


@register_kl(Gamma, Gamma)
def _kl_gamma_gamma(p: Gamma, q: Gamma) -> Tensor:
    """Return the divergence; each term is nought for equal laws, so that near ones lose no digits."""
    a, b = p.concentration, q.concentration
    tail = stirling(b) - stirling(a) - (b - a) * stirling_slope(a)
    return tail - b * log1pmx((p.mean - q.mean) / q.mean) - 0.5 * log1pmx((b - a) / a)
