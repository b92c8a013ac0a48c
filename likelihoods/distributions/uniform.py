"""The uniform law."""

from __future__ import annotations

import math
from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import Univariate, Value, promote


class Uniform(Univariate, pyro.distributions.Uniform):  # type: ignore[misc]
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

    arg_constraints = {"low": constraints.real, "high": constraints.real}  # noqa: RUF012

    def __init__(self, low: Value = 0.0, high: Value = 1.0, *, validate_args: bool | None = None) -> None:
        self.low, self.high = promote(low, high)
        self._settle(validate_args)
        if self._validate_args and not torch.compiler.is_compiling() and not bool((self.low < self.high).all()):
            raise ValueError(f"Uniform needs low < high, not low = {self.low} and high = {self.high}; exchange them")

    @constraints.dependent_property(is_discrete=False, event_dim=0)  # type: ignore[misc]
    def support(self) -> constraints.Constraint:
        """The interval from low to high."""
        return constraints.interval(self.low, self.high)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats; -inf outside [low, high]."""
        inside = value.clamp(self.low, self.high) == value
        outside = -torch.inf - value.abs()  # NaN at NaN
        return torch.where(inside, -(self.high - self.low).log(), outside)

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        below, above, share = self._share(value - self.low)
        return torch.where(below, 0.0, torch.where(above, 1.0, share))

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        below, above, share = self._share(value - self.low)
        return torch.where(below, -torch.inf, torch.where(above, 0.0, share.log()))

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        below, above, share = self._share(self.high - value)
        return torch.where(below, -torch.inf, torch.where(above, 0.0, share.log()))

    def _share(self, length: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return where a length is none or all of the width, and between the two its share of it."""
        width = self.high - self.low
        below, above = length <= 0.0, length >= width
        return below, above, torch.where(below | above, 1.0, length) / width

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        chance = torch.where((value < 0.0) | (value > 1.0), torch.nan, value)
        return torch.lerp(self.low, self.high, chance)  # exact at both ends

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
