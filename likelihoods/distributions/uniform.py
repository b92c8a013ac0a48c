"""The uniform law."""

from __future__ import annotations

import math
from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import Value, at_ends, between, floating, promote, quantile
from likelihoods.distributions.univariate import Univariate


class Uniform(Univariate, pyro.distributions.Uniform):
    r"""The uniform law on [low, high], both ends included, with density 1 / (high - low).

    Args:
        low: lower end, real.
        high: upper end, greater than low.
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        ValueError: if validation is on and low >= high somewhere.

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1995), Continuous Univariate Distributions 2, chapter 26.

    >>> Uniform(0.0, 2.0).log_prob(torch.tensor([1.0, 2.5]))
    tensor([-0.6931,    -inf])
    """

    arg_constraints = {"low": constraints.real, "high": constraints.real}

    def __init__(self, low: Value = 0.0, high: Value = 1.0, *, validate_args: bool | None = None) -> None:
        self.low, self.high = promote(low, high)
        self._settle(validate_args)
        if self._validate_args and not torch.compiler.is_compiling() and not bool((self.low < self.high).all()):
            raise ValueError(f"Uniform needs low < high, not low = {self.low} and high = {self.high}; exchange them")

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> constraints.Constraint:
        """The interval from low to high."""
        return constraints.interval(self.low, self.high)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats; -inf outside [low, high]."""
        value = floating(value, self.low)
        inside = value.clamp(self.low, self.high) == value
        indicator = torch.where(inside, 0.0, -torch.inf - value.abs())  # NaN at NaN
        return indicator - (self.high - self.low).log()

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return at_ends(self._shares(value)[0], value, self.low, self.high, 0.0, 1.0)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return at_ends(self._shares(value)[0].log(), value, self.low, self.high, -torch.inf, 0.0)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return at_ends(self._shares(value)[1].log(), value, self.low, self.high, 0.0, -torch.inf)

    def _shares(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shares of the width below and above the value, those of the middle if it lies outside."""
        inner = between(floating(value, self.low), self.low, self.high, 0.5 * self.low + 0.5 * self.high)
        width = self.high - self.low
        return (inner - self.low) / width, (self.high - inner) / width

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        return quantile(self.low + (self.high - self.low) * value, value, self.low, self.high)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(0.5 * self.low + 0.5 * self.high)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        width = self.high - self.low
        return self._full(width * width / 12.0)

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self._full((self.high - self.low) * math.sqrt(1.0 / 12.0))

    @property
    def mode(self) -> Tensor:
        """The middle; every other point of the support has the same density."""
        return self.mean

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full((self.high - self.low).log())

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in both parameters."""
        shape = self._extended_shape(sample_shape)
        return torch.lerp(self.low, self.high, torch.rand(shape, dtype=self.low.dtype, device=self.low.device))
