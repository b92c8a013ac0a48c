"""Laws that are known by their tails: what follows for all of them from both tails, or from one that mirrors the other."""

from __future__ import annotations

import abc
from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.univariate import Univariate
from likelihoods.special import LOG_2, symmetric_log_cdf


def both_tails(below: Tensor, above: Tensor) -> tuple[Tensor, Tensor]:
    """Return log_cdf and log_sf, the larger computed from the smaller: sums of parts round, and 1 must be 1."""
    left = below < above
    smaller = torch.where(left, below, above)
    rest = torch.log1p(-smaller.exp())
    return torch.where(left, below, rest), torch.where(left, rest, above)


class BothTails(Univariate, abc.ABC):
    """Abstract: a law to which both tails come at the price of one."""

    @abc.abstractmethod
    def log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``log_cdf`` and ``log_sf``."""

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return self.log_tails(value)[0].exp()

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return self.log_tails(value)[0]

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return self.log_tails(value)[1]


class Symmetric(Univariate, abc.ABC):
    """Abstract: the law of loc + scale·Z for a Z that is symmetric about 0 and has a mean, given by its upper tail."""

    loc: Tensor
    scale: Tensor
    support = constraints.real
    has_rsample = True

    @abc.abstractmethod
    def _log_tail(self, z: Tensor) -> Tensor:
        """Return log P(Z > z) for z >= 0."""

    @abc.abstractmethod
    def _tail_quantile(self, tail: Tensor) -> Tensor:
        """Return the z >= 0 with P(Z > z) = tail <= 1/2."""

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return self.log_cdf(value).exp()

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return symmetric_log_cdf((value - self.loc) / self.scale, self._log_tail)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return symmetric_log_cdf((self.loc - value) / self.scale, self._log_tail)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        below = value <= 0.5
        distance = self._tail_quantile(torch.where(below, value, 1.0 - value))
        return self.loc + self.scale * torch.where(below, -distance, distance)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean: the centre."""
        return self._full(self.loc)

    @property
    def mode(self) -> Tensor:
        """The mode: the centre."""
        return self._full(self.loc)

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in the parameters: quantiles at random probabilities."""
        shape = self._extended_shape(sample_shape)
        tail = torch.empty(shape, dtype=self.loc.dtype, device=self.loc.device).exponential_().add_(LOG_2).neg_().exp_()
        sign = 1.0 - 2.0 * torch.empty_like(tail).bernoulli_()
        return self.loc + self.scale * sign * self._tail_quantile(tail)
