"""The binomial law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import logsigmoid

from likelihoods.distributions.base import Value, choose, derived, promote, register_kl
from likelihoods.distributions.counts import Count, chances, kl_of_trial
from likelihoods.distributions.looks import counts, in_sight, within
from likelihoods.incomplete import binary_deviance, log_betainc
from likelihoods.special import HALF_LOG_2PI, analytic, stirling
from likelihoods.wide import by_blocks, log_factorial_of


def log_choose(total: Tensor, count: Tensor) -> Tensor:
    """Return the log of the binomial coefficient less its entropy part, count·log(total/count) + …; see ``_mass``."""
    some, rest = count.clamp(min=1.0), (total - count).clamp(min=1.0)
    tails = stirling(total.clamp(min=1.0)) - stirling(some) - stirling(rest)
    return tails - 0.5 * (some * (rest / total.clamp(min=1.0))).log() - HALF_LOG_2PI


def _mass(count: Tensor, total: Tensor, p: Tensor, q: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return the log-mass as Stirling tails and a deviance, which do not cancel."""
    rest = total - count
    a, b = count.clamp(min=1.0), rest.clamp(min=1.0)
    inner = log_choose(total, count) - binary_deviance(a, b, p, q, log_p, log_q, count * q - rest * p)
    none = torch.where(total == 0.0, 0.0, total * log_q)
    return torch.where(count == 0.0, none, torch.where(rest == 0.0, total * log_p, inner))


mass = analytic(_mass, None, None, None, None, lambda count, *_: count, lambda count, total, *_: total - count)


def ways(count: Tensor, rest: Tensor, total: Tensor) -> Tensor:
    """Return the log of the binomial coefficient of moderate counts, in float64."""
    return log_factorial_of(total) - log_factorial_of(count) - log_factorial_of(rest)


def _as_written(count: Tensor, total: Tensor, logits: Tensor) -> Tensor:
    rest, y, logits = total - count, count.double(), logits.double()
    mass = ways(count, rest, total) + y * logsigmoid(logits) + rest.double() * logsigmoid(-logits)
    return mass.to(count.dtype)


def _by_probs_as_written(count: Tensor, total: Tensor, probs: Tensor) -> Tensor:
    rest, y, p = total - count, count.double(), probs.double()
    return (ways(count, rest, total) + y * p.log() + rest.double() * torch.log1p(-p)).to(count.dtype)


class Binomial(Count, pyro.distributions.Binomial):
    """The binomial law, with mass n! / (y! (n - y)!) p^y (1 - p)^(n - y) at y = 0, …, n, p = sigmoid(logits).

    Args:
        total_count: n, a non-negative integer.
        logits: log-odds of a success, real.
        probs: p, in [0, 1]; give either this or ``logits``.
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        TypeError: neither or both of ``logits`` and ``probs`` are given.

    Source: N. L. Johnson, A. W. Kemp, S. Kotz (2005), Univariate Discrete Distributions, chapter 3,
    doi:10.1002/0471715816.

    >>> Binomial(10, 0.0).log_prob(torch.tensor([3.0, 11.0]))
    tensor([-2.1440,    -inf])
    """

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "logits": constraints.real,
        "probs": constraints.unit_interval,
    }
    has_enumerate_support = True

    def __init__(
        self,
        total_count: Value = 1,
        logits: Value | None = None,
        *,
        probs: Value | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given: dict[str, Any] = {"logits": logits, "probs": probs}
        (name,) = choose("Binomial", given, ("logits",), ("probs",))
        self.__dict__[name], self.total_count = promote(given[name], total_count)
        self._settle(validate_args)

    @derived
    def logits(self) -> Tensor:
        """The log-odds of a success."""
        return self.probs.log() - torch.log1p(-self.probs)

    @derived
    def probs(self) -> Tensor:
        """The probability of a success."""
        return self.logits.sigmoid()

    @derived
    def _param(self) -> Tensor:
        return self.logits if "logits" in self.__dict__ else self.probs

    @property
    def end(self) -> Tensor:
        """The largest count."""
        return self.total_count

    # Density

    def _log_mass(self, count: Tensor) -> Tensor:
        return mass(count, self.total_count, *chances(self))

    def _textbook(self, value: Tensor) -> Tensor | None:
        n, by_logits = self.total_count, "logits" in self.__dict__
        chance = self.logits if by_logits else self.probs
        if n.requires_grad or not (in_sight(value, n, chance) and counts(n) and counts(value, n)):
            return None
        if by_logits:
            return by_blocks(_as_written, value, n, chance) if within(chance, -torch.inf, torch.inf) else None
        return by_blocks(_by_probs_as_written, value, n, chance) if within(chance, 0.0, 1.0) else None

    # Distribution function

    def _log_tails(self, count: Tensor) -> tuple[Tensor, Tensor]:
        p, q, log_p, log_q = chances(self)
        count = torch.minimum(count, (self.total_count - 1.0).clamp(min=0.0))  # the last one is beyond the formula
        above, below = log_betainc(count + 1.0, (self.total_count - count).clamp(min=1.0), p, q, log_p, log_q)
        return below, above

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(self.total_count * self.probs)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        p, q, *_ = chances(self)
        return self._full(self.total_count * p * q)

    @property
    def mode(self) -> Tensor:
        """The mode (the larger one of two)."""
        return self._full(torch.minimum(((self.total_count + 1.0) * self.probs).floor(), self.total_count))

    # Sampling

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples."""
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)
            return torch.binomial(self.total_count.expand(shape), self.probs.expand(shape))


# Divergences


@register_kl(Binomial, Binomial)
def _kl_binomial_binomial(p: Binomial, q: Binomial) -> Tensor:
    """Return the divergence: closed for equal numbers of trials, else with a sum over the support; inf where p has more."""
    n, m = p.total_count, q.total_count
    each = kl_of_trial(p, q)
    if bool((n == m).all()):
        return n * each

    def coefficients(count: Tensor, _: Tensor) -> Tensor:
        return (
            torch.lgamma(n + 1.0)
            - torch.lgamma(n - count + 1.0)
            - torch.lgamma(m + 1.0)
            + torch.lgamma(m - count + 1.0)
        )

    more = torch.where(m > n, (m - n).clamp(min=0.0) * chances(q)[3], 0.0)
    return torch.where(n > m, torch.inf, n * each + p._support_sum(coefficients) - more)
