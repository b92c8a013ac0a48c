"""The negative binomial law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import logsigmoid

from likelihoods.distributions.base import Value, choose, derived, promote, register_kl
from likelihoods.distributions.counts import Count, chances
from likelihoods.distributions.looks import ORDINARY, counts, in_sight, limit, moderate, within
from likelihoods.incomplete import binary_deviance, log_betainc, smooth_log_ratio
from likelihoods.special import HALF_LOG_2PI, NEAR, analytic, log1pmx, stirling, stirling_slope
from likelihoods.wide import by_blocks, log_factorial, log_factorial_of

POISSON = 1e30  # a total_count beyond this makes no difference to a Poisson law


def _log_mass(count: Tensor, size: Tensor, p: Tensor, q: Tensor, log_p: Tensor, log_q: Tensor, t: Tensor) -> Tensor:
    """Return the log-mass as Stirling tails and a deviance, which do not cancel; t = count·q - size·p for count >= 1."""
    some = count.clamp(min=1.0)
    total = some + size
    rest = stirling(total) - stirling(size) - stirling(some) - 0.5 * (some * (total / size)).log() - HALF_LOG_2PI
    return torch.where(count == 0.0, size * log_q, rest - binary_deviance(some, size, p, q, log_p, log_q, t))


def _mass(count: Tensor, size: Tensor, p: Tensor, q: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
    return _log_mass(count, size, p, q, log_p, log_q, count.clamp(min=1.0) * q - size * p)


def _mass_in_size(count: Tensor, size: Tensor, p: Tensor, q: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
    seen = count + size
    ratio = smooth_log_ratio((size * p - count * q) / (seen * q), size / seen, q, log_q)
    return stirling_slope(seen) - stirling_slope(size) + 0.5 * (count / seen) / size - ratio


mass = analytic(
    _mass,
    None,
    _mass_in_size,
    None,
    None,
    lambda count, *_: count,
    lambda count, size, *_: size.expand_as(count + size),
)


def _mass_by_mean(count: Tensor, mean: Tensor, size: Tensor) -> Tensor:
    total = mean + size
    p, q = mean / total, size / total
    t = (count.clamp(min=1.0) - mean) * q
    return _log_mass(count, size, p, q, -torch.log1p(size / mean), -torch.log1p(mean / size), t)


def _mass_by_mean_in_size(count: Tensor, mean: Tensor, size: Tensor) -> Tensor:
    total, seen = mean + size, count + size
    excess = (count - mean) / total
    near = excess.abs() < NEAR
    bend = torch.where(near, log1pmx(torch.where(near, excess, 0.0)), (seen / total).log() - excess)
    return stirling_slope(seen) - stirling_slope(size) + 0.5 * (count / seen) / size + bend


mass_by_mean = analytic(
    _mass_by_mean,
    None,
    lambda count, mean, size: (count - mean) / mean * (size / (mean + size)),
    _mass_by_mean_in_size,
)


def _ways(count: Tensor, size: Tensor) -> Tensor:
    """Return log Γ(count + size) - log Γ(size) - log count! as it is written, for float64 size."""
    total = count.double() + size
    ways = log_factorial(total, count) - log_factorial(size, count) - log_factorial_of(count)
    return ways - (total / size).log()


def _as_written(count: Tensor, size: Tensor, logits: Tensor) -> Tensor:
    y, r, logits = count.double(), size.double(), logits.double()
    return (_ways(count, r) + (y + r) * logsigmoid(logits) - r * logits).to(count.dtype)


def _by_probs_as_written(count: Tensor, size: Tensor, probs: Tensor) -> Tensor:
    y, r, p = count.double(), size.double(), probs.double()
    return (_ways(count, r) + y * p.log() + r * torch.log1p(-p)).to(count.dtype)


def _by_mean_as_written(count: Tensor, mean: Tensor, dispersion: Tensor) -> Tensor:
    y, r, odds = count.double(), dispersion.double().reciprocal(), mean.double() * dispersion
    growth = torch.log1p(odds)
    return (_ways(count, r) + y * (odds.log() - growth) - r * growth).to(count.dtype)


class NegativeBinomial(Count, pyro.distributions.NegativeBinomial):  # type: ignore[misc]  # Pyro makes this class on import
    """The negative binomial law, with mass Γ(y + r) / (y! Γ(r)) p^y (1 - p)^r at y = 0, 1, 2, …, p = sigmoid(logits).

    It counts the successes before the r-th failure; it is also a Poisson law whose rate has a gamma law of shape r.
    Give ``total_count`` with ``logits`` or ``probs``, or ``mean`` with ``dispersion``: then var = mean +
    dispersion·mean², total_count = 1/dispersion and logits = log(mean·dispersion). Dispersion 0 is the Poisson law.

    Args:
        total_count: r, positive.
        logits: log-odds of a success, real.
        probs: p, in [0, 1).
        mean: mean, positive.
        dispersion: dispersion, not negative.
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        TypeError: if not exactly one of the three pairs is given.

    Source: J. F. Lawless (1987), Negative binomial and mixed Poisson regression, doi:10.2307/3314912.

    >>> NegativeBinomial(mean=2.0, dispersion=0.5).log_prob(torch.tensor(3.0))
    tensor(-2.0794)
    """

    arg_constraints = {
        "total_count": constraints.positive,
        "logits": constraints.real,
        "probs": constraints.half_open_interval(0.0, 1.0),
        "mean": constraints.positive,
        "dispersion": constraints.nonnegative,
    }

    def __init__(
        self,
        total_count: Value | None = None,
        logits: Value | None = None,
        *,
        probs: Value | None = None,
        mean: Value | None = None,
        dispersion: Value | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given: dict[str, Any] = {
            "total_count": total_count,
            "logits": logits,
            "probs": probs,
            "mean": mean,
            "dispersion": dispersion,
        }
        pairs = ("total_count", "logits"), ("total_count", "probs"), ("mean", "dispersion")
        first, second = choose("NegativeBinomial", given, *pairs)
        self.__dict__[first], self.__dict__[second] = promote(given[first], given[second])
        self._settle(validate_args)
        if first == "mean":  # a parameter that is a moment too: it has the full batch shape
            self.mean = self._full(self.mean)

    @derived
    def total_count(self) -> Tensor:
        """The number of failures."""
        return self.dispersion.clamp(min=1.0 / POISSON).reciprocal()

    @derived
    def logits(self) -> Tensor:
        """The log-odds of a success."""
        if "probs" in self.__dict__:
            return self.probs.log() - torch.log1p(-self.probs)
        return self.mean.log() + self.dispersion.clamp(min=1.0 / POISSON).log()

    @derived
    def probs(self) -> Tensor:
        """The probability of a success."""
        return self.logits.sigmoid()

    @derived
    def dispersion(self) -> Tensor:
        """The dispersion, (variance - mean) / mean²."""
        return self.total_count.reciprocal()

    @property
    def _param(self) -> Tensor:
        return self.logits if "probs" not in self.__dict__ else self.probs

    def _chances(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the probabilities of success and failure and their logarithms, each with all its digits."""
        if "mean" in self.__dict__:
            size = self.total_count
            total = self.mean + size
            return self.mean / total, size / total, -torch.log1p(size / self.mean), -torch.log1p(self.mean / size)
        return chances(self)

    # Density

    def _log_mass(self, count: Tensor) -> Tensor:
        if "mean" in self.__dict__:
            return mass_by_mean(count, self.mean, self.total_count)
        return mass(count, self.total_count, *self._chances())

    def _textbook(self, value: Tensor) -> Tensor | None:
        (_, a), (second, b) = ((name, getattr(self, name)) for name, _ in self._stored())
        if not in_sight(value, a, b) or not counts(value):
            return None
        if second == "dispersion":
            usual = within(a, *ORDINARY) and within(b, 1.0 / limit(b), ORDINARY[1])
            return by_blocks(_by_mean_as_written, value, a, b) if usual else None
        if not moderate(a):
            return None
        if second == "logits":
            return by_blocks(_as_written, value, a, b) if within(b, -torch.inf, torch.inf) else None
        return by_blocks(_by_probs_as_written, value, a, b) if within(b, 0.0, 1.0) else None

    # Distribution function

    def _log_tails(self, count: Tensor) -> tuple[Tensor, Tensor]:
        p, q, log_p, log_q = self._chances()
        return log_betainc(self.total_count, count + 1.0, q, p, log_q, log_p)

    # Moments

    @derived
    def mean(self) -> Tensor:
        """The mean."""
        odds = self.logits.exp() if "logits" in self.__dict__ else self.probs / (1.0 - self.probs)
        return self._full(self.total_count * odds)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self._full(self.mean * (1.0 + self.mean / self.total_count))

    @property
    def mode(self) -> Tensor:
        """The mode (the larger one of two)."""
        return self._full((self.mean - self.mean / self.total_count).clamp(min=0.0).floor())

    # Sampling

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples: Poisson counts with gamma rates."""
        with torch.no_grad():
            size = self.total_count.expand(self._extended_shape(sample_shape))
            return torch.poisson(torch._standard_gamma(size) * (self.mean / self.total_count))


@register_kl(NegativeBinomial, NegativeBinomial)
def _kl_negative_binomial_negative_binomial(p: NegativeBinomial, q: NegativeBinomial) -> Tensor:
    """Return the mean log-ratio of the masses, summed over the support: with unequal sizes there is no closed form."""
    return p._support_sum(lambda count, log_mass: log_mass - q._log_mass(count))
