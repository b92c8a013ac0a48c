"""The beta-binomial law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.kl import kl_divergence

from likelihoods.distributions.base import Value, choose, derived, promote, register_kl
from likelihoods.distributions.beta import Beta
from likelihoods.distributions.binomial import ways
from likelihoods.distributions.counts import Count
from likelihoods.distributions.looks import counts, in_sight, moderate
from likelihoods.distributions.tails import both_tails
from likelihoods.incomplete import binary_deviance, smooth_log_ratio
from likelihoods.special import HALF_LOG_2PI, analytic, stirling, stirling_slope
from likelihoods.wide import by_blocks, log_factorial

NONE = 1e-20  # stands for a count of nought where a count is multiplied by its logarithm


def _ways(count: Tensor, a: Tensor) -> Tensor:
    """Return log Γ(count + a) - log count! - log Γ(a), less its entropy part."""
    some = count.clamp(min=1.0)
    seen = some + a
    ways = stirling(seen) - stirling(a) - stirling(some) - 0.5 * (some * (seen / a)).log() - HALF_LOG_2PI
    return torch.where(count == 0.0, 0.0, ways)


def _log_mass(count: Tensor, total: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the log-mass as Stirling tails and two deviances, which do not cancel."""
    rest, n = total - count, total + a + b
    x, y, t = (count + a) / n, (rest + b) / n, (count * b - rest * a) / n
    log_x, log_y = x.log(), y.log()
    seen = binary_deviance(count.clamp(min=NONE), rest.clamp(min=NONE), x, y, log_x, log_y, t)
    prior = binary_deviance(a, b, x, y, log_x, log_y, -t)
    return _ways(count, a) + _ways(rest, b) - _ways(total, a + b) - seen - prior


def _slope(count: Tensor, total: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the derivative in a: digamma(count + a) - digamma(a) - digamma(total + a + b) + digamma(a + b)."""
    s = a + b
    n, seen = total + s, count + a
    excess = (count * b - (total - count) * a) / (n * a)
    share = a / s
    ratio = smooth_log_ratio(excess, seen / n, share, share.log())
    halves = 0.5 * (count / seen / a - total / n / s)
    return stirling_slope(seen) - stirling_slope(a) - stirling_slope(n) + stirling_slope(s) + halves + ratio


log_mass = analytic(
    _log_mass,
    None,
    None,
    _slope,
    lambda count, total, a, b: _slope(total - count, total, b, a),
)


def _as_written(count: Tensor, total: Tensor, concentration1: Tensor, concentration0: Tensor) -> Tensor:
    """Return the log-mass as it is written, each Γ(x) as Γ(x + 1)/x."""
    a, b, rest = concentration1.double(), concentration0.double(), total - count
    s, x, y = a + b, count.double() + a, rest.double() + b
    n = total.double() + s
    seen = log_factorial(x, count) + log_factorial(y, count) - log_factorial(n, count)
    prior = log_factorial(a, count) + log_factorial(b, count) - log_factorial(s, count)
    shares = torch.log((a / x) * (b / y) * (n / s))
    return (ways(count, rest, total) + seen - prior + shares).to(count.dtype)


class BetaBinomial(Count, pyro.distributions.BetaBinomial):
    """The beta-binomial law: a binomial law whose chance of success has a beta law.

    The mass is C(n, y) B(y + a, n - y + b) / B(a, b) at y = 0, …, n, a = concentration1, b = concentration0. Give the two
    concentrations, or ``logits`` = log(a/b), the log-odds of the mean chance, with ``precision`` = a + b.

    Args:
        concentration1: a, positive.
        concentration0: b, positive.
        total_count: n, a non-negative integer.
        logits: log-odds of the mean chance of a success, real.
        precision: a + b, positive; as it grows the law becomes binomial.
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        TypeError: if not exactly one of the two pairs is given.

    Source: N. L. Johnson, A. W. Kemp, S. Kotz (2005), Univariate Discrete Distributions, section 6.9.2,
    doi:10.1002/0471715816.

    >>> BetaBinomial(2.0, 3.0, 10).log_prob(torch.tensor([3.0, 11.0]))
    tensor([-1.9389,    -inf])
    """

    total_count: Tensor
    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
        "logits": constraints.real,
        "precision": constraints.positive,
        "total_count": constraints.nonnegative_integer,
    }

    def __init__(
        self,
        concentration1: Value | None = None,
        concentration0: Value | None = None,
        total_count: Value = 1,
        *,
        logits: Value | None = None,
        precision: Value | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given: dict[str, Any] = {
            "concentration1": concentration1,
            "concentration0": concentration0,
            "logits": logits,
            "precision": precision,
        }
        pairs = ("concentration1", "concentration0"), ("logits", "precision")
        first, second = choose("BetaBinomial", given, *pairs)
        self.__dict__[first], self.__dict__[second], self.total_count = promote(
            given[first],
            given[second],
            total_count,
        )
        self._settle(validate_args)

    @derived
    def concentration1(self) -> Tensor:
        """The shape of the chance at 1."""
        return self.precision * self.logits.sigmoid()

    @derived
    def concentration0(self) -> Tensor:
        """The shape of the chance at 0."""
        return self.precision * (-self.logits).sigmoid()

    @derived
    def logits(self) -> Tensor:
        """The log-odds of the mean chance."""
        return self.concentration1.log() - self.concentration0.log()

    @derived
    def precision(self) -> Tensor:
        """The sum of the concentrations."""
        return self.concentration1 + self.concentration0

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> constraints.Constraint:
        """The counts up to ``total_count``."""
        return constraints.integer_interval(0, self.total_count)

    @property
    def end(self) -> Tensor:
        """The largest count."""
        return self.total_count

    # Density

    def _log_mass(self, count: Tensor) -> Tensor:
        return log_mass(count, self.total_count, self.concentration1, self.concentration0)

    def _textbook(self, value: Tensor) -> Tensor | None:
        n, a, b = self.total_count, self.concentration1, self.concentration0
        known = not n.requires_grad and "concentration1" in self.__dict__
        if known and in_sight(value, n, a, b) and counts(n) and counts(value, n) and moderate(a, b):
            return by_blocks(_as_written, value, n, a, b)
        return None

    # Distribution function

    def _log_tails(self, count: Tensor) -> tuple[Tensor, Tensor]:
        """Sum the masses from both ends, and take the larger tail for the complement of the smaller one."""
        points = self.enumerate_support()
        mass = torch.where(
            points <= self.total_count, self._log_mass(torch.minimum(points, self.total_count)), -torch.inf
        )
        above = torch.logcumsumexp(mass.flip(0), 0).flip(0)
        tails = torch.logcumsumexp(mass, 0), torch.cat([above[1:], torch.full_like(above[:1], -torch.inf)])
        shape = torch.broadcast_shapes(count.shape, self._batch_shape)
        at = count.nan_to_num(nan=0.0).expand(shape).long().unsqueeze(0)
        shift = [1] * (len(shape) - len(self._batch_shape))
        wide = (tail.view(len(tail), *shift, *tail.shape[1:]).expand(-1, *shape) for tail in tails)
        below, above = (tail.gather(0, at).squeeze(0) + (count - count) for tail in wide)
        return both_tails(below, above)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(self.total_count * (self.concentration1 / (self.concentration1 + self.concentration0)))

    @property
    def variance(self) -> Tensor:
        """The variance."""
        a, b, n = self.concentration1, self.concentration0, self.total_count
        s = a + b
        return self._full(n * (a / s) * (b / s) * ((n + s) / (1.0 + s)))

    @property
    def mode(self) -> Tensor:
        """The mode: the larger end where the masses fall towards the middle."""
        a, b, n = self.concentration1 - 1.0, self.concentration0 - 1.0, self.total_count
        peaked = (a > 0.0) & (b > 0.0)
        inner = torch.floor((n + 1.0) * (torch.where(peaked, a, 1.0) / torch.where(peaked, a + b, 1.0)))
        return self._full(torch.where(peaked, torch.minimum(inner, n), torch.where(a > b, n, 0.0)))

    # Sampling

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples: binomial counts with beta chances."""
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)
            chance = Beta(self.concentration1, self.concentration0, validate_args=False).expand(shape).sample()
            return torch.binomial(self.total_count.expand(shape), chance)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return the counts up to the largest ``total_count``, along a new first axis."""
        last = int(self.total_count.max()) if self.total_count.numel() else 0
        counts = torch.arange(last + 1, dtype=self.total_count.dtype, device=self.total_count.device)
        counts = counts.view(-1, *[1] * len(self._batch_shape))
        return counts.expand(-1, *self._batch_shape) if expand else counts


@register_kl(BetaBinomial, BetaBinomial)
def _kl_beta_binomial_beta_binomial(p: BetaBinomial, q: BetaBinomial) -> Tensor:
    """Return the mean log-ratio of the masses, a sum over the support; infinite where p's support is wider."""
    if bool((p.total_count > q.total_count).any()):
        n, m = torch.broadcast_tensors(p.total_count, q.total_count)
        inside = BetaBinomial(p.concentration1, p.concentration0, torch.minimum(n, m), validate_args=False)
        return torch.where(n > m, torch.inf, kl_divergence(inside, q))
    return p._support_sum(lambda count, log_mass: log_mass - q._log_mass(count))
