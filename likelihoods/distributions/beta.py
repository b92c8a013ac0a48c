"""The beta law."""

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
    promote,
    quantile,
    register_kl,
)
from likelihoods.distributions.looks import in_sight, moderate, within
from likelihoods.distributions.tails import BothTails
from likelihoods.distributions.univariate import implicit
from likelihoods.incomplete import betaincinv, binary_deviance, log_betainc, smooth_log_ratio
from likelihoods.special import HALF_LOG_2PI, analytic, log1pmx, stirling, stirling_slope
from likelihoods.wide import by_blocks, log_factorial


def _log_density(value: Tensor, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Return the log-density as Stirling tails and a deviance, which do not cancel; t = a·(1 - value) - b·value."""
    other = 1.0 - value
    log_x, log_y = value.log(), torch.log1p(-value)
    constant = 0.5 * (a * (b / (a + b))).log() - HALF_LOG_2PI + stirling(a + b) - stirling(a) - stirling(b)
    return constant - binary_deviance(a, b, value, other, log_x, log_y, t) - log_x - log_y


def _slope(share: Tensor, n: Tensor, x: Tensor, excess: Tensor) -> Tensor:
    """Return the derivative of the log-density in share: log(x) - digamma(share) + digamma(n)."""
    ratio = smooth_log_ratio(excess, share / n, x, x.log())
    return stirling_slope(n) - stirling_slope(share) + 0.5 * (1.0 - share / n) / share - ratio


def _by_counts(value: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return _log_density(value, a, b, a * (1.0 - value) - b * value)


by_counts = analytic(
    _by_counts,
    lambda value, a, b: (a - 1.0) / value - (b - 1.0) / (1.0 - value),
    lambda value, a, b: _slope(a, a + b, value, (a * (1.0 - value) - b * value) / ((a + b) * value)),
    lambda value, a, b: _slope(b, a + b, 1.0 - value, (b * value - a * (1.0 - value)) / ((a + b) * (1.0 - value))),
)


def _by_mean(value: Tensor, mean: Tensor, precision: Tensor) -> Tensor:
    return _log_density(value, mean * precision, (1.0 - mean) * precision, precision * (mean - value))


def _by_mean_in_mean(value: Tensor, mean: Tensor, precision: Tensor) -> Tensor:
    other, rest = 1.0 - value, 1.0 - mean
    in_a = _slope(mean * precision, precision, value, (mean - value) / value)
    in_b = _slope(rest * precision, precision, other, (value - mean) / other)
    return precision * (in_a - in_b)


def _by_mean_in_precision(value: Tensor, mean: Tensor, precision: Tensor) -> Tensor:
    other, rest = 1.0 - value, 1.0 - mean
    deviance = binary_deviance(mean, rest, value, other, value.log(), torch.log1p(-value), mean - value)
    tails = mean * stirling_slope(mean * precision) + rest * stirling_slope(rest * precision)
    return stirling_slope(precision) - tails + 0.5 / precision - deviance


by_mean = analytic(
    _by_mean,
    lambda value, mean, precision: (precision * (mean - value) - (1.0 - 2.0 * value)) / (value * (1.0 - value)),
    _by_mean_in_mean,
    _by_mean_in_precision,
)


def _as_written(value: Tensor, concentration1: Tensor, concentration0: Tensor) -> Tensor:
    """Return the log-density as it is written, each Γ(x) as Γ(x + 1)/x."""
    y, a, b = value.double(), concentration1.double(), concentration0.double()
    n = a + b
    constant = log_factorial(n, value) - log_factorial(a, value) - log_factorial(b, value)
    return (constant + (a - 1.0) * y.log() + (b - 1.0) * torch.log1p(-y) + (a * (b / n)).log()).to(value.dtype)


def _by_mean_as_written(value: Tensor, mean: Tensor, precision: Tensor) -> Tensor:
    mean, precision = mean.double(), precision.double()
    return _as_written(value, mean * precision, (1.0 - mean) * precision)


class Beta(BothTails, pyro.distributions.Beta):
    """The beta law, with density y^(a-1) (1 - y)^(b-1) / B(a, b) on [0, 1], a = concentration1, b = concentration0.

    Give the two concentrations, or ``precision`` = a + b with ``mean`` = a/(a + b) or with its ``logits`` log(a/b), which
    say a mean near 1 without rounding it to 1.

    Args:
        concentration1: a, positive.
        concentration0: b, positive.
        mean: mean, in (0, 1).
        precision: a + b, positive.
        logits: log-odds of the mean, real.
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        TypeError: if not exactly one of the three pairs is given.

    Source: S. Ferrari, F. Cribari-Neto (2004), Beta regression for modelling rates and proportions,
    doi:10.1080/0266476042000214501.

    >>> Beta(mean=0.25, precision=4.0).log_prob(torch.tensor(0.5))
    tensor(-0.2877)
    """

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
        "mean": constraints.interval(0.0, 1.0),
        "logits": constraints.real,
        "precision": constraints.positive,
    }

    def __init__(
        self,
        concentration1: Value | None = None,
        concentration0: Value | None = None,
        *,
        mean: Value | None = None,
        precision: Value | None = None,
        logits: Value | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given: dict[str, Any] = {
            "concentration1": concentration1,
            "concentration0": concentration0,
            "mean": mean,
            "precision": precision,
            "logits": logits,
        }
        pairs = ("concentration1", "concentration0"), ("mean", "precision"), ("logits", "precision")
        first, second = choose("Beta", given, *pairs)
        self.__dict__[first], self.__dict__[second] = promote(given[first], given[second])
        self._settle(validate_args)
        if first == "mean":  # a parameter that is a moment too: it has the full batch shape
            self.mean = self._full(self.mean)

    @derived
    def concentration1(self) -> Tensor:
        """The exponent of y, plus 1."""
        return (self.logits.sigmoid() if "logits" in self.__dict__ else self.mean) * self.precision

    @derived
    def concentration0(self) -> Tensor:
        """The exponent of 1 - y, plus 1."""
        return ((-self.logits).sigmoid() if "logits" in self.__dict__ else 1.0 - self.mean) * self.precision

    @derived
    def logits(self) -> Tensor:
        """The log-odds of the mean."""
        return self.concentration1.log() - self.concentration0.log()

    @derived
    def precision(self) -> Tensor:
        """The sum of the concentrations."""
        return self.concentration1 + self.concentration0

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats; -inf outside [0, 1], its limits at 0 and 1."""
        value = floating(value, self._like)
        if (quick := self._textbook(value)) is not None:
            return quick
        inside = between(value, 0.0, 1.0, torch.full_like(value, 0.5))
        if "mean" in self.__dict__:
            density = by_mean(inside, self.mean, self.precision)
        else:
            density = by_counts(inside, self.concentration1, self.concentration0)
        a, b = self.concentration1, self.concentration0
        low, high = torch.xlogy(a.detach() - 1.0, 0.0) + b.log(), torch.xlogy(b.detach() - 1.0, 0.0) + a.log()
        density = torch.where(value <= 0.0, torch.where(value == 0.0, low, -torch.inf), density)
        return torch.where(value >= 1.0, torch.where(value == 1.0, high, -torch.inf), density)

    def _textbook(self, value: Tensor) -> Tensor | None:
        (first, a), (_, b) = ((name, getattr(self, name)) for name, _ in self._stored())
        if not in_sight(value, a, b) or not within(value, 0.0, 1.0) or not moderate(b):
            return None
        if first == "mean":
            return by_blocks(_by_mean_as_written, value, a, b) if within(a, 0.0, 1.0) else None
        return by_blocks(_as_written, value, a, b) if first == "concentration1" and moderate(a) else None

    # Distribution function

    def log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return log P(Y <= value) and log P(Y > value)."""
        value = floating(value, self._like)
        inside = between(value, 0.0, 1.0, torch.full_like(value, 0.5))
        below, above = log_betainc(self.concentration1, self.concentration0, inside, 1.0 - inside)
        below = at_ends(below, value, 0.0, 1.0, -torch.inf, 0.0)
        return below, at_ends(above, value, 0.0, 1.0, 0.0, -torch.inf)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        p = between(value, 0.0, 1.0, torch.full_like(value, 0.5))
        lower = p <= 0.5
        logit = betaincinv(
            self.concentration1, self.concentration0, torch.where(lower, p.log(), torch.log1p(-p)), lower
        )
        root = logit.sigmoid().to(p.dtype)
        low = root < torch.finfo(p.dtype).tiny  # the quantile is 0, or 1, to this dtype
        inner = low | (root == 1.0)
        found = implicit(self, torch.where(inner, 0.5, root), p)
        return quantile(torch.where(low, 0.0, torch.where(root == 1.0, 1.0, found)), value, 0.0, 1.0)

    # Moments

    @derived
    def mean(self) -> Tensor:
        """The mean."""
        if "logits" in self.__dict__:
            return self._full(self.logits.sigmoid())
        return self._full(self.concentration1 / (self.concentration1 + self.concentration0))

    @property
    def variance(self) -> Tensor:
        """The variance."""
        a, b = self.concentration1, self.concentration0
        return self._full(a / (a + b) * (b / (a + b)) / (a + b + 1.0))

    @property
    def mode(self) -> Tensor:
        """The mode; the end with the higher density where the density has no interior maximum."""
        a, b = self.concentration1 - 1.0, self.concentration0 - 1.0
        peaked = (a > 0.0) & (b > 0.0)
        inner = torch.where(peaked, a, 1.0) / torch.where(peaked, a + b, 1.0)
        return self._full(
            torch.where(peaked, inner, torch.where(a > b, 1.0, torch.where(a < b, 0.0, 0.5 * (a == 0.0))))
        )

    def entropy(self) -> Tensor:
        """Return the entropy in nats, in Stirling's tails and their slopes."""
        a, b = self.concentration1, self.concentration0
        n = a + b
        tails = stirling(a) + stirling(b) - stirling(n)
        slopes = (n - 2.0) * stirling_slope(n) - (a - 1.0) * stirling_slope(a) - (b - 1.0) * stirling_slope(b)
        logs = 0.5 * (a.log() + b.log()) - 1.5 * n.log()
        return self._full(tails + slopes + logs + HALF_LOG_2PI + 0.5 - 0.5 / a - 0.5 / b + 1.0 / n)

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in the parameters (implicitly: Figurnov et al. 2018, arXiv:1805.08498)."""
        return implicit(self, self.sample(sample_shape))

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples: sigmoids of differences of logarithms of gamma deviates, which do not underflow."""
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)
            a, b = self.concentration1.expand(shape), self.concentration0.expand(shape)
            logit = _log_gamma(a) - _log_gamma(b)
            limits = torch.finfo(logit.dtype)
            return logit.sigmoid().clamp(limits.tiny, 1.0 - 0.5 * limits.eps)


def _log_gamma(shape: Tensor) -> Tensor:
    """Return logarithms of gamma deviates: of shape a + 1, times U^(1/a)."""
    return torch._standard_gamma(shape + 1.0).log() - torch.empty_like(shape).exponential_() / shape


# Divergences


@register_kl(Beta, Beta)
def _kl_beta_beta(p: Beta, q: Beta) -> Tensor:
    """Return the divergence; each term is nought for equal laws, so that near ones lose no digits."""
    a, b, c, d = p.concentration1, p.concentration0, q.concentration1, q.concentration0
    x, y = a / (a + b), b / (a + b)
    deviance = binary_deviance(c, d, x, y, x.log(), y.log(), c * y - d * x)
    return deviance + _excess(a, c) + _excess(b, d) - _excess(a + b, c + d)


def _excess(a: Tensor, b: Tensor) -> Tensor:
    """Return lgamma(b) - lgamma(a) - (b - a)·digamma(a), less b·log(b/a) - (b - a)."""
    return stirling(b) - stirling(a) - (b - a) * stirling_slope(a) - 0.5 * log1pmx((b - a) / a)
