"""The Poisson law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import Value, promote, register_kl
from likelihoods.distributions.counts import Count
from likelihoods.distributions.looks import ORDINARY, counts, in_sight, within
from likelihoods.incomplete import log_gammainc
from likelihoods.special import HALF_LOG_2PI, NEAR, analytic, log1pmx, near_log1pmx, stirling
from likelihoods.wide import by_blocks, log_factorial_of


def _log_mass(count: Tensor, rate: Tensor) -> Tensor:
    """Return count·log(rate) - rate - log(count!) as Stirling's tail and a deviance, which do not cancel.

    Source: C. Loader (2000), Fast and accurate computation of binomial probabilities.
    """
    some = count.clamp(min=1.0)
    excess = (rate - some) / some
    deviance = torch.where(excess.abs() < NEAR, near_log1pmx(excess), (rate / some).log() - excess)
    return torch.where(count == 0.0, -rate, some * deviance - 0.5 * some.log() - HALF_LOG_2PI - stirling(some))


poisson_log_mass = analytic(
    _log_mass, None, lambda count, rate: count / rate.clamp(min=torch.finfo(rate.dtype).tiny) - 1.0
)


def _as_written(count: Tensor, rate: Tensor) -> Tensor:
    y, mean = count.double(), rate.double()
    return (y * mean.log() - mean - log_factorial_of(count)).to(count.dtype)


class Poisson(Count, pyro.distributions.Poisson):
    """The Poisson law, with mass rate^y exp(-rate) / y! at the counts y.

    Args:
        rate: mean and variance, not negative.
        validate_args: whether to check the parameters; torch's default if None.

    Source: N. L. Johnson, A. W. Kemp, S. Kotz (2005), Univariate Discrete Distributions, chapter 4,
    doi:10.1002/0471715816.

    >>> Poisson(2.0).log_prob(torch.tensor(3.0))
    tensor(-1.7123)
    """

    arg_constraints = {"rate": constraints.nonnegative}
    is_sparse = False  # Pyro's alternative formula for data with many zeros

    def __init__(self, rate: Value, *, validate_args: bool | None = None) -> None:
        (self.rate,) = promote(rate)
        self._settle(validate_args)

    # Density

    def _log_mass(self, count: Tensor) -> Tensor:
        return poisson_log_mass(count, self.rate)

    def _textbook(self, value: Tensor) -> Tensor | None:
        if in_sight(value, self.rate) and counts(value) and within(self.rate, *ORDINARY):
            return by_blocks(_as_written, value, self.rate)
        return None

    # Distribution function

    def _log_tails(self, count: Tensor) -> tuple[Tensor, Tensor]:
        above, below = log_gammainc(count + 1.0, self.rate)
        return below, above

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(self.rate)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self._full(self.rate)

    @property
    def mode(self) -> Tensor:
        """The mode (the larger one of two)."""
        return self._full(self.rate.floor())

    # Sampling

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples."""
        with torch.no_grad():
            return torch.poisson(self.rate.expand(self._extended_shape(sample_shape)))


@register_kl(Poisson, Poisson)
def _kl_poisson_poisson(p: Poisson, q: Poisson) -> Tensor:
    excess = (q.rate - p.rate) / p.rate.clamp(min=torch.finfo(p.rate.dtype).tiny)
    return torch.where(p.rate > 0.0, -p.rate * log1pmx(torch.where(p.rate > 0.0, excess, 0.0)), q.rate)
