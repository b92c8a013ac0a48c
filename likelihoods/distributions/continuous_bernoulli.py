"""The continuous Bernoulli law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
import torch.distributions
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import logsigmoid, relu

from likelihoods.distributions.base import (
    Value,
    at_ends,
    between,
    choose,
    derived,
    floating,
    log_indicator,
    open_interval,
    promote,
    quantile,
    register_kl,
)
from likelihoods.distributions.tails import BothTails, both_tails
from likelihoods.distributions.univariate import implicit
from likelihoods.removable import expm1_ratio_log, expm1_ratio_log_curvature, expm1_ratio_log_slope
from likelihoods.special import log1mexp


class ContinuousBernoulli(BothTails, pyro.distributions.ContinuousBernoulli):  # type: ignore[misc]  # Pyro makes this class on import
    r"""The continuous Bernoulli law on [0, 1]: an exponential law cut off at 1, rising or falling.

    The density is exp(logits · y) · logits / (exp(logits) - 1). The mean is not sigmoid(logits).

    Args:
        logits: natural parameter, real.
        probs: sigmoid(logits), in (0, 1); give either this or ``logits``.
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        TypeError: neither or both of ``logits`` and ``probs`` are given.

    Source: G. Loaiza-Ganem, J. P. Cunningham (2019), https://arxiv.org/abs/1907.06845

    >>> ContinuousBernoulli(1000.0).log_prob(torch.tensor([0.999, 1.5]))
    tensor([5.9078,   -inf])
    """

    arg_constraints = {"logits": constraints.real, "probs": open_interval(0.0, 1.0)}
    _lims = (0.499, 0.501)  # of torch's private methods, which nothing here uses

    def __init__(
        self, logits: Value | None = None, *, probs: Value | None = None, validate_args: bool | None = None
    ) -> None:
        given: dict[str, Any] = {"logits": logits, "probs": probs}
        (name,) = choose("ContinuousBernoulli", given, ("logits",), ("probs",))
        (self.__dict__[name],) = promote(given[name])
        self._settle(validate_args)

    @derived
    def logits(self) -> Tensor:
        """The natural parameter."""
        return self.probs.log() - torch.log1p(-self.probs)

    @derived
    def probs(self) -> Tensor:
        """The sigmoid of the natural parameter."""
        return self.logits.sigmoid()

    @property
    def _param(self) -> Tensor:
        return self.logits if "logits" in self.__dict__ else self.probs

    def _log_normalizer(self, x: Tensor) -> Tensor:
        return relu(x) + expm1_ratio_log(x.abs())

    def _cont_bern_log_norm(self) -> Tensor:
        steep = self.logits.abs()
        return torch.log1p(torch.exp(-steep)) - expm1_ratio_log(steep)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats; -inf outside [0, 1]."""
        value = floating(value, self.logits)
        steep, end = ends(self.logits)  # distances from the likelier end do not cancel for large logits
        density = torch.addcmul(-expm1_ratio_log(steep), self.logits, value.clamp(0.0, 1.0) - end)
        return density + log_indicator((value >= 0) & (value <= 1), value)

    # Distribution function

    def log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return log_cdf and log_sf: the smaller one from its formula, the larger from the smaller."""
        value = floating(value, self.logits)
        y = between(value, 0.0, 1.0, torch.full_like(value, 0.5))
        below, above = both_tails(_log_cdf(y, 1.0 - y, self.logits), _log_cdf(1.0 - y, y, -self.logits))
        below = at_ends(below, value, 0.0, 1.0, -torch.inf, 0.0)
        return below, at_ends(above, value, 0.0, 1.0, 0.0, -torch.inf)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        p = between(value, 0.0, 1.0, torch.full_like(value, 0.5))
        with torch.no_grad():
            y = self._inverse(p)
        return quantile(implicit(self, y, p), value, 0.0, 1.0)

    def _inverse(self, p: Tensor) -> Tensor:
        """Return log(1 + p·(exp(logits) - 1)) / logits in a form that neither overflows nor cancels."""
        logits = self.logits
        rising, falling = logits > 1.0, logits < -1.0
        flat = torch.where(rising | falling | (logits == 0), 1.0, logits)
        middle = torch.where(logits == 0, p, torch.log1p(p * torch.expm1(flat)) / flat)
        up, down = logits.clamp(min=1.0), logits.clamp(max=-1.0)
        high = -logsigmoid(-(p.log() + up + log1mexp(up))) / up
        low = torch.where(p < 0.5, torch.log1p(p * torch.expm1(down)), ((1.0 - p) + p * down.exp()).log()) / down
        return torch.where(rising, high, torch.where(falling, low, middle)).clamp(0.0, 1.0)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        steep, end = ends(self.logits)
        return self._full(end + (2.0 * end - 1.0) * expm1_ratio_log_slope(steep))

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self._full(expm1_ratio_log_curvature(self.logits.abs()))

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self.variance.sqrt()

    @property
    def mode(self) -> Tensor:
        """The likelier end; 1 where the law is uniform."""
        return self._full((self.logits >= 0).to(self.logits.dtype))

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        steep = self.logits.abs()
        return self._full(expm1_ratio_log(steep) - steep * expm1_ratio_log_slope(steep))

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in the parameter."""
        return implicit(self, self.sample(sample_shape))

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples."""
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)
            return self._inverse(torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device))


def ends(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return |logits|, with a derivative of ±1 at ±0 too, and the likelier end: 1 or, from -0 down, 0."""
    sign = torch.copysign(torch.ones_like(logits), logits.detach())
    return logits * sign, 0.5 * sign + 0.5


def _log_cdf(y: Tensor, rest: Tensor, logits: Tensor) -> Tensor:
    """Return log((exp(logits·y) - 1) / (exp(logits) - 1)), where rest = 1 - y."""
    steep, end = ends(logits)
    return y.log() - (logits * end) * rest + expm1_ratio_log(steep * y) - expm1_ratio_log(steep)


# Divergences


def _mean_log_prob(mean: Tensor, q: ContinuousBernoulli) -> Tensor:
    """Return the mean of q's log-density under a law on [0, 1] with this mean."""
    steep, end = ends(q.logits)
    return q.logits * (mean - end) - expm1_ratio_log(steep)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _kl_continuous_bernoulli_continuous_bernoulli(p: ContinuousBernoulli, q: ContinuousBernoulli) -> Tensor:
    """Return the closed form, with distances from the likelier end: torch's is off by nats for large logits."""
    return -p.entropy() - _mean_log_prob(p.mean, q)


@register_kl(torch.distributions.Beta, ContinuousBernoulli)
def _kl_beta_continuous_bernoulli(p: torch.distributions.Beta, q: ContinuousBernoulli) -> Tensor:
    entropy: Tensor = p.entropy()
    return -entropy - _mean_log_prob(p.mean, q)


@register_kl(torch.distributions.Uniform, ContinuousBernoulli)
def _kl_uniform_continuous_bernoulli(p: torch.distributions.Uniform, q: ContinuousBernoulli) -> Tensor:
    inside = (p.low >= 0) & (p.high <= 1)
    return torch.where(inside, -p.entropy() - _mean_log_prob(p.mean, q), torch.inf)


@register_kl(ContinuousBernoulli, torch.distributions.Uniform)
def _kl_continuous_bernoulli_uniform(p: ContinuousBernoulli, q: torch.distributions.Uniform) -> Tensor:
    inside = (q.low <= 0) & (q.high >= 1)
    return torch.where(inside, torch.where(inside, q.high - q.low, 1.0).log() - p.entropy(), torch.inf)
