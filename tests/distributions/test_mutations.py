"""The battery can fail: families broken on purpose, one formula each, and the check that must catch it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import register_kl

from likelihoods.distributions import (
    Categorical,
    Cauchy,
    Exponential,
    Gumbel,
    Laplace,
    Normal,
    Poisson,
    Uniform,
    Weibull,
)
from tests.distributions.checks import density, moments, probability, protocol, samples
from tests.distributions.test_battery import load


class WrongConstant(Normal):
    """log √(2π) forgotten."""

    def log_prob(self, value: Tensor) -> Tensor:
        z = (value - self.loc) / self.scale
        return -0.5 * z * z - self.scale.log()


class SlightlyWrongConstant(Normal):
    """A constant typed with eleven digits."""

    def log_prob(self, value: Tensor) -> Tensor:
        z = (value - self.loc) / self.scale
        return -0.5 * z * z - self.scale.log() - 0.91893853320


class WrongScaleSlope(Laplace):
    """A detached scale: right values, wrong slopes."""

    def log_prob(self, value: Tensor) -> Tensor:
        return -((value - self.loc) / self.scale.detach()).abs() - (2.0 * self.scale).log()


class Overflowing(Cauchy):
    """z², which overflows far out."""

    def log_prob(self, value: Tensor) -> Tensor:
        z = (value - self.loc) / self.scale
        return -math.log(math.pi) - self.scale.log() - torch.log1p(z * z)


class TailOfTheOtherSide(Normal):
    """The sign of the upper tail."""

    def log_sf(self, value: Tensor) -> Tensor:
        return torch.special.log_ndtr((value - self.loc) / self.scale)


class TailByDifference(Normal):
    """1 - cdf, which has no digits left far out."""

    def log_sf(self, value: Tensor) -> Tensor:
        return (1.0 - self.cdf(value)).log()


class UnbroadcastMean(Normal):
    """The mean in the shape of its parameter, not of the batch."""

    @property
    def mean(self) -> Tensor:
        return self.loc


class SingleWhere(Weibull):
    """The value outside the support goes into the logarithm; only the result is replaced."""

    def log_prob(self, value: Tensor) -> Tensor:
        z = (value / self.scale).log()
        inside = (
            (self.concentration / self.scale).log() + (self.concentration - 1.0) * z - (self.concentration * z).exp()
        )
        return torch.where(value > 0.0, inside, -torch.inf)


class FiniteOutside(Exponential):
    """The density goes on below nought, as torch's does with validation off."""

    def log_prob(self, value: Tensor) -> Tensor:
        return self.rate.log() - self.rate * value


class RaisesOutside(Exponential):
    """Validation of values, as torch does it."""

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return super().log_prob(value)


class UnclampedCdf(Uniform):
    """A cdf that leaves [0, 1] beyond the ends."""

    def cdf(self, value: Tensor) -> Tensor:
        return (value - self.low) / (self.high - self.low)


class OpenEnd(Uniform):
    """A quantile at 1 that stops short of the end."""

    def icdf(self, value: Tensor) -> Tensor:
        return super().icdf(value * (1.0 - 1e-6))


class WrongSamplerScale(Laplace):
    """Samples 5 % too wide."""

    def rsample(self, sample_shape=torch.Size()) -> Tensor:
        return self.loc + 1.05 * (super().rsample(sample_shape) - self.loc)


class WrongSampler(Laplace):
    """Samples of a normal law with the right variance."""

    def rsample(self, sample_shape=torch.Size()) -> Tensor:
        return self.loc + self.stddev * torch.randn(self._extended_shape(sample_shape), dtype=self.loc.dtype)


class SamplerWithoutSlope(Gumbel):
    """Samples of the right law whose slope in the scale is missing."""

    def rsample(self, sample_shape=torch.Size()) -> Tensor:
        noise = torch.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype).log_().neg_().log_()
        return self.loc - self.scale.detach() * noise


class QuantileOffByOne(Poisson):
    """The count after the smallest one."""

    def icdf(self, value: Tensor) -> Tensor:
        return super().icdf(value) + 1.0


class LeftContinuousQuantile(Poisson):
    """cdf(y) > p in place of cdf(y) >= p: wrong at ties alone."""

    def icdf(self, value: Tensor) -> Tensor:
        count = super().icdf(value)
        return torch.where(self.cdf(count) == value, count + 1.0, count)


class FactorialByDifference(Poisson):
    """The textbook formula: differences of large numbers, unstable in float32."""

    def _textbook(self, value: Tensor) -> None:
        return None

    def _log_mass(self, count: Tensor) -> Tensor:
        return torch.xlogy(count, self.rate) - self.rate - (count + 1.0).lgamma()


class WrongEntropy(Gumbel):
    """The normal law's entropy."""

    def entropy(self) -> Tensor:
        return self._full(0.5 * math.log(2.0 * math.pi * math.e) + self.scale.log())


class WrongVariance(Laplace):
    """The square of the scale."""

    @property
    def variance(self) -> Tensor:
        return self._full(self.scale * self.scale)

    @property
    def stddev(self) -> Tensor:
        return self._full(self.scale)


class WrongMode(Gumbel):
    """The mean in place of the mode."""

    @property
    def mode(self) -> Tensor:
        return self.mean


class WrongKL(Normal):
    """A divergence with its arguments exchanged: still nought for equal laws."""


@register_kl(WrongKL, WrongKL)
def _kl_exchanged(p: WrongKL, q: WrongKL) -> Tensor:
    ratio, gap = q.scale / p.scale, (p.loc - q.loc) / p.scale
    return 0.5 * (ratio * ratio + gap * gap - 1.0) - ratio.log()


class CoarseInterval(Normal):
    """The mass of an interval as a difference of cdfs."""

    def log_mass(self, low: Tensor, high: Tensor) -> Tensor:
        return (self.cdf(high) - self.cdf(low)).log()


class LosesValidation(Normal):
    """expand and copies work, but validate_args is forgotten and bad parameters pass."""

    def __init__(self, loc=0.0, scale=1.0, *, validate_args=None) -> None:
        super().__init__(loc, scale, validate_args=False)


class LooksAtValues(Normal):
    """A branch on the values: it waits for the device, and neither compiles nor vectorises."""

    def log_prob(self, value: Tensor) -> Tensor:
        if bool((value == self.loc).all()):
            return super().log_prob(value)
        return super().log_prob(value)


class Float64(Normal):
    """A constant tensor that turns float32 into float64."""

    def log_prob(self, value: Tensor) -> Tensor:
        return super().log_prob(value) + torch.zeros(1, dtype=torch.float64)


class KinkAtLoc(Normal):
    """The right value and first slope, and no second one."""

    def log_prob(self, value: Tensor) -> Tensor:
        z = (value - self.loc) / self.scale
        return -0.5 * z * z.detach() * 2.0 + (0.5 * z * z).detach() - self.scale.log() - 0.5 * math.log(2.0 * math.pi)


class UnevenlyEnumerated(Categorical):
    """enumerate_support forgets the last category."""

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return super().enumerate_support(expand)[:-1]


MUTATIONS: list[tuple[str, type, Callable]] = [
    ("normal", WrongConstant, density.check_log_prob),
    ("normal", WrongConstant, density.check_total_mass),
    ("normal", SlightlyWrongConstant, density.check_log_prob),
    ("laplace", WrongScaleSlope, density.check_slopes),
    ("cauchy", Overflowing, density.check_extreme),
    ("normal", TailOfTheOtherSide, probability.check_tails),
    ("normal", TailByDifference, probability.check_tails),
    ("normal", UnbroadcastMean, protocol.check_shapes),
    ("weibull", SingleWhere, density.check_mixed_batch),
    ("exponential", FiniteOutside, density.check_outside),
    ("exponential", RaisesOutside, density.check_outside),
    ("uniform", UnclampedCdf, probability.check_outside),
    ("uniform", OpenEnd, probability.check_icdf),
    ("laplace", WrongSamplerScale, samples.check_samples),
    ("laplace", WrongSampler, samples.check_goodness_of_fit),
    ("gumbel", SamplerWithoutSlope, samples.check_rsample),
    ("poisson", QuantileOffByOne, probability.check_icdf),
    ("poisson", LeftContinuousQuantile, probability.check_icdf),
    ("poisson", FactorialByDifference, density.check_log_prob_float32),
    ("gumbel", WrongEntropy, moments.check_entropy),
    ("laplace", WrongVariance, moments.check_moments),
    ("gumbel", WrongMode, moments.check_mode),
    ("normal", WrongKL, moments.check_kl),
    ("normal", CoarseInterval, probability.check_log_mass),
    ("normal", LosesValidation, protocol.check_parameters_are_validated),
    ("normal", LooksAtValues, protocol.check_compiles),
    ("normal", LooksAtValues, protocol.check_functional),
    ("normal", Float64, density.check_log_prob_float32),
    ("normal", KinkAtLoc, density.check_curvature),
    ("categorical", UnevenlyEnumerated, protocol.check_enumeration),
]


@pytest.mark.parametrize(("name", "broken", "check"), MUTATIONS, ids=lambda x: getattr(x, "__name__", x))
def test_caught(name: str, broken: type, check: Callable) -> None:
    case = load(name)
    check(case)
    mutant = dataclasses.replace(case, family=broken)
    with pytest.raises((AssertionError, ValueError, RuntimeError, pytest.fail.Exception)) as caught:
        check(mutant)
    assert not isinstance(caught.value, NotImplementedError)
