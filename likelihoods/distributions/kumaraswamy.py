"""The Kumaraswamy law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions.transforms import AffineTransform, PowerTransform, Transform

from likelihoods.distributions.base import (
    Value,
    at_ends,
    between,
    floating,
    log_indicator,
    open_interval,
    promote,
    quantile,
    register_kl,
)
from likelihoods.distributions.uniform import Uniform
from likelihoods.distributions.univariate import Univariate
from likelihoods.special import EULER, lgamma_step, log1mexp, log1mexpexp, one_minus_exp

FAR = 37.0  # from here on log(1 - exp(-x)) is -exp(-x) to the last digit
STEP = 0.125  # of the trapezoidal rule


class Kumaraswamy(Univariate, pyro.distributions.Kumaraswamy):  # type: ignore[misc]  # Pyro makes this class on import
    r"""The Kumaraswamy law on (0, 1), much like a beta law, with a cdf of one line: 1 - (1 - y^a)^b.

    The density is a·b·y^(a-1)·(1 - y^a)^(b-1), with a = concentration1, b = concentration0. The ends, where it may be
    infinite, do not belong to the support.

    Args:
        concentration1: shape at 0, positive.
        concentration0: shape at 1, positive.
        validate_args: whether to check the parameters; torch's default if None.

    Source: P. Kumaraswamy (1980), doi:10.1016/0022-1694(80)90036-0; M. C. Jones (2009),
    doi:10.1016/j.stamet.2008.04.001.

    >>> Kumaraswamy(2.0, 3.0).log_prob(torch.tensor([0.5, 1.5]))
    tensor([0.5232,   -inf])
    """

    support = open_interval(0.0, 1.0)
    has_rsample = True

    def __init__(
        self, concentration1: Value = 1.0, concentration0: Value = 1.0, *, validate_args: bool | None = None
    ) -> None:
        self.concentration1, self.concentration0 = promote(concentration1, concentration0)
        self._settle(validate_args)

    # What torch's TransformedDistribution stores

    @property
    def base_dist(self) -> Uniform:
        """The law of 1 - cdf."""
        zero = torch.zeros_like(self._full(self.concentration0))
        return Uniform(zero, zero + 1.0, validate_args=False)

    @property
    def transforms(self) -> list[Transform]:
        """What takes 1 - cdf to y."""
        powers = (PowerTransform(c.reciprocal()) for c in (self.concentration0, self.concentration1))
        return [next(powers), AffineTransform(1.0, -1.0), next(powers)]

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats; -inf outside (0, 1)."""
        value = floating(value, self.concentration1)
        a, b = self.concentration1, self.concentration0
        limits = torch.finfo(value.dtype)
        log_y = value.clamp(limits.smallest_normal, 1.0 - 0.5 * limits.eps).log()
        density = (a - 1.0) * log_y + (b - 1.0) * log1mexp(-a * log_y) + (a.log() + b.log())
        return density + log_indicator((value > 0) & (value < 1), value)

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return at_ends(one_minus_exp(self._log_hazard(value).exp()), value, 0.0, 1.0, 0.0, 1.0)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return at_ends(log1mexpexp(self._log_hazard(value)), value, 0.0, 1.0, -torch.inf, 0.0)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return at_ends(-self._log_hazard(value).exp(), value, 0.0, 1.0, 0.0, -torch.inf)

    def _log_hazard(self, value: Tensor) -> Tensor:
        """Return log(-log(1 - cdf)) = log(-b·log(1 - y^a)) within the support; of 1/2 outside it."""
        value = floating(value, self.concentration1)
        x = -self.concentration1 * between(value, 0.0, 1.0, torch.full_like(value, 0.5)).log()
        far = x > FAR
        log_power = torch.where(far, -x, (-log1mexp(torch.where(far, 1.0, x))).log())
        return self.concentration0.log() + log_power

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        p = between(value, 0.0, 1.0, torch.full_like(value, 0.5))
        return quantile(self._at_hazard(-torch.log1p(-p)), value, 0.0, 1.0)

    def _at_hazard(self, hazard: Tensor) -> Tensor:
        return (log1mexp(hazard / self.concentration0) / self.concentration1).exp()

    # Moments

    def _log_moment(self, order: float) -> Tensor:
        """Return log E Y^order = log Γ(1 + order/a) + log Γ(1 + b) - log Γ(1 + order/a + b)."""
        power = order / self.concentration1
        return torch.lgamma(1.0 + power) - lgamma_step(1.0 + self.concentration0, power)

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(self._log_moment(1.0).exp())

    @property
    def variance(self) -> Tensor:
        """The variance."""
        log_mean = self._log_moment(1.0)
        return self._full(torch.expm1(self._log_moment(2.0) - 2.0 * log_mean) * (2.0 * log_mean).exp())

    @property
    def mode(self) -> Tensor:
        """The mode; an end of the interval where the density rises towards it."""
        a, b = self.concentration1, self.concentration0
        bent = (a > 1.0) & (b > 1.0)
        ratio = (torch.where(bent, a, 2.0) - 1.0) / (torch.where(bent, a * b, 2.0) - 1.0)
        end = ((b < 1.0) | ((b <= 1.0) & (a > 1.0))) & (a >= 1.0)
        return self._full(torch.where(bent, ratio ** a.reciprocal(), end.to(a.dtype)))

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        a, b = self.concentration1, self.concentration0
        harmonic = torch.digamma(b + 1.0) + EULER
        return self._full((1.0 - b.reciprocal()) + (1.0 - a.reciprocal()) * harmonic - a.log() - b.log())

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in both parameters."""
        shape, like = self._extended_shape(sample_shape), self.concentration1
        return self._at_hazard(torch.empty(shape, dtype=like.dtype, device=like.device).exponential_())

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples."""
        with torch.no_grad():
            return self.rsample(sample_shape)


# Divergences


def mean_log_complement(power: Tensor, concentration0: Tensor) -> Tensor:
    """Return E log(1 - W^power), where -log(1 - W) is exponential with rate ``concentration0``, i.e. W ~ Beta(1, b).

    The exponential integral is summed by the trapezoidal rule after the substitution s = exp(t - exp(-t)), which gives
    full precision whatever the parameters; the series in beta functions converges like a power of its length.

    Source: H. Takahasi, M. Mori (1974), doi:10.2977/prims/1195192451.
    """
    t = torch.arange(-3.75, 4.25, STEP, dtype=torch.float64, device=power.device)
    s = torch.exp(t - torch.exp(-t))
    weight = (STEP * s * (1.0 + torch.exp(-t)) * torch.exp(-s)).to(power.dtype)
    power, s = power.unsqueeze(-1), s.to(power.dtype) / concentration0.unsqueeze(-1)
    far = s > FAR
    near = log1mexp(-power * log1mexp(torch.where(far, 1.0, s)))
    return (weight * torch.where(far, power.log() - s, near)).sum(-1)


@register_kl(Kumaraswamy, Kumaraswamy)
def _kl_kumaraswamy_kumaraswamy(p: Kumaraswamy, q: Kumaraswamy) -> Tensor:
    """Return E log p - E log q, with E log y and E log(1 - y^p.concentration1) in closed form."""
    a, b = q.concentration1, q.concentration0
    mean_log = -(torch.digamma(p.concentration0 + 1.0) + EULER) / p.concentration1
    mean_complement = mean_log_complement(a / p.concentration1, p.concentration0)
    return -p.entropy() - (a.log() + b.log()) - (a - 1.0) * mean_log - (b - 1.0) * mean_complement
