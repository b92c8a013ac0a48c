"""The law of a value of which only an interval may have been seen."""

from __future__ import annotations

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution

from likelihoods.distributions.base import Parametric, derived, floating
from likelihoods.distributions.foreign import univariate
from likelihoods.distributions.supports import Intervals


class Censored(Parametric, TorchDistribution):
    """The law of a value seen exactly or only as an interval: left, right and interval censoring by one rule.

    A target is a pair (low, high) in the last axis, which says low < Y <= high, or, where the two are equal, that Y was
    seen. Its log-probability is log P(low < Y <= high), and the base's ``log_prob(low)`` where low == high:

    ======================  =====================  ============================================
    what is known           target                 log-probability
    ======================  =====================  ============================================
    Y = y                   (y, y)                 log-density at y (log-mass of y, for counts)
    Y > c (right-censored)  (c, inf)               log P(Y > c)
    Y <= c (left-censored)  (-inf, c)              log P(Y <= c)
    a < Y <= b              (a, b)                 log P(a < Y <= b)
    nothing                 (-inf, inf)            0
    ======================  =====================  ============================================

    For counts mind that low is left out: "at least 3" is (2, inf), "3 to 5" is (2, 5), "fewer than 3" is (-inf, 2). A pair
    with low > high, or without any of the base's support in it, is impossible: -inf. One with NaN gives NaN. From columns,
    the targets are ``torch.stack([low, high], -1)``, and for times with an event indicator (1 where the event was seen)
    ``torch.stack([time, torch.where(event, time, torch.inf)], -1)``.

    Censoring is taken to tell nothing about Y but the interval. So the law says nothing of how intervals arise: a sample
    is an uncensored value y as the pair (y, y), and ``cdf``, ``icdf``, ``mean``, ``variance`` and ``mode`` are those of
    the value behind the intervals, with the batch shape: they are ``base``'s.

    Args:
        base: a law of numbers with a cdf. With one of another package intervals lose digits in the tails; see ``Foreign``.
        validate_args: torch's default if None; the base has validated its own parameters.

    Raises:
        TypeError: the base has no cdf, or is a law of vectors.

    Source: J. P. Klein, M. L. Moeschberger (2003), Survival Analysis, chapter 3, doi:10.1007/b97377

    >>> from likelihoods.distributions import Normal
    >>> seen_right_interval = torch.tensor([[0.5, 0.5], [60.0, torch.inf], [-1.0, 1.0]])
    >>> Censored(Normal(0.0, 1.0)).log_prob(seen_right_interval)
    tensor([-1.0439e+00, -1.8050e+03, -3.8172e-01])
    """

    arg_constraints = {}  # the base has the parameters

    def __init__(self, base: Distribution, *, validate_args: bool | None = None) -> None:
        self.base = univariate(base)
        self._initialise(base.batch_shape, torch.Size((2,)), validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Censored:
        """Return the law with its base expanded."""
        return Censored(self.base.expand(batch_shape), validate_args=self._validate_args)

    @property
    def support(self) -> Intervals:
        """The pairs that are possible under the base."""
        return Intervals(self.base)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability of each pair, ``(..., 2)``, in nats."""
        value = floating(value, self.base._like)
        low, high = value[..., 0], value[..., 1]
        seen = low == high
        # each formula gets a point of the row's own where the other one counts: a seen value for the mass, an end for the
        # density, so that nothing overflows that the row did not ask for
        density = self.base.log_prob(torch.where(low == -torch.inf, torch.where(high == torch.inf, 0.0, high), low))
        mass = self.base.log_mass(torch.where(seen, -torch.inf, low), high)
        found = torch.where(seen, density, mass)
        found = torch.where(low > high, -torch.inf, found)
        return torch.where(low.isnan() | high.isnan(), torch.nan, found)

    # The value behind the intervals

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value) of the value behind the intervals."""
        return self.base.cdf(value)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile of the value behind the intervals."""
        return self.base.icdf(value)

    @property
    def mean(self) -> Tensor:
        """The mean of the value behind the intervals."""
        return self.base.mean

    @property
    def variance(self) -> Tensor:
        """The variance of the value behind the intervals."""
        return self.base.variance

    @property
    def mode(self) -> Tensor:
        """The mode of the value behind the intervals."""
        return self.base.mode

    @derived
    def has_rsample(self) -> bool:
        """The base's own."""
        return bool(self.base.has_rsample)

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return uncensored samples, each as a pair of equal numbers, differentiable where the base's are."""
        sample = self.base.rsample(sample_shape)
        return torch.stack([sample, sample], -1)

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return uncensored samples, each as a pair of equal numbers."""
        sample = self.base.sample(sample_shape)
        return torch.stack([sample, sample], -1)
