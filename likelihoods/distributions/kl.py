"""Divergences between laws of different families: KL(p, q) = -H(p) - E_p log q(Y), in closed form.

Each pair is an entropy and a few moments: those of log Y, Y^k and, on the unit interval, log(1 - Y).

Sources: C. Bauckhage (2014), arXiv:1401.6853 (Weibull and gamma); E. Nalisnick, P. Smyth (2017), arXiv:1605.06197
(Kumaraswamy and beta); the others are the same few lines.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from likelihoods.distributions.base import register_kl
from likelihoods.distributions.beta import Beta
from likelihoods.distributions.continuous_bernoulli import ContinuousBernoulli, ends
from likelihoods.distributions.exponential import Exponential
from likelihoods.distributions.gamma import Gamma
from likelihoods.distributions.half_normal import HalfNormal
from likelihoods.distributions.inverse_gamma import InverseGamma
from likelihoods.distributions.kumaraswamy import Kumaraswamy, mean_log_complement
from likelihoods.distributions.log_normal import LogNormal
from likelihoods.distributions.normal import Normal
from likelihoods.distributions.student_t import StudentT
from likelihoods.distributions.uniform import Uniform
from likelihoods.distributions.weibull import Weibull
from likelihoods.removable import expm1_ratio_log
from likelihoods.special import EULER, HALF_LOG_2PI, e1_scaled, lgamma_step, polynomial, trigamma

# Positive laws


@dataclass(frozen=True)
class Moments:
    """What a positive law must know of itself to be compared: moments of log Y and the logarithm of E Y^k."""

    mean_log: Callable[[Any], Tensor]
    variance_log: Callable[[Any], Tensor]
    log_power: Callable[[Any, Tensor], Tensor]


def _lgamma_or_inf(x: Tensor) -> Tensor:
    """Return lgamma(x) for x > 0, inf for x <= 0: a moment that does not exist."""
    return torch.where(x > 0, torch.lgamma(torch.where(x > 0, x, 1.0)), torch.inf)


MOMENTS: dict[type, Moments] = {
    Exponential: Moments(
        lambda p: -EULER - p.rate.log(),
        lambda p: torch.full_like(p.rate, math.pi**2 / 6.0),
        lambda p, k: _lgamma_or_inf(1.0 + k) - k * p.rate.log(),
    ),
    Gamma: Moments(
        lambda p: torch.digamma(p.concentration) - p.rate.log(),
        lambda p: trigamma(p.concentration),
        lambda p, k: _lgamma_or_inf(p.concentration + k) - torch.lgamma(p.concentration) - k * p.rate.log(),
    ),
    InverseGamma: Moments(
        lambda p: p.rate.log() - torch.digamma(p.concentration),
        lambda p: trigamma(p.concentration),
        lambda p, k: _lgamma_or_inf(p.concentration - k) - torch.lgamma(p.concentration) + k * p.rate.log(),
    ),
    LogNormal: Moments(lambda p: p.loc, lambda p: p.scale * p.scale, lambda p, k: k * p.loc + 0.5 * (k * p.scale) ** 2),
    Weibull: Moments(
        lambda p: p.scale.log() - EULER / p.concentration,
        lambda p: math.pi**2 / 6.0 / p.concentration**2,
        lambda p, k: _lgamma_or_inf(1.0 + k / p.concentration) + k * p.scale.log(),
    ),
    HalfNormal: Moments(
        lambda p: p.scale.log() - 0.5 * (EULER + math.log(2.0)),
        lambda p: torch.full_like(p.scale, math.pi**2 / 8.0),
        lambda p, k: _lgamma_or_inf(0.5 * (k + 1.0)) - 0.5 * math.log(math.pi) + k * (p.scale * math.sqrt(2.0)).log(),
    ),
}


def _power(moments: Moments, p: Any, k: float | Tensor) -> Tensor:
    """Return log E Y^k."""
    return moments.log_power(p, torch.as_tensor(k, dtype=p.mean.dtype, device=p.mean.device))


def _under_exponential(moments: Moments, p: Any, q: Exponential) -> Tensor:
    return q.rate.log() - q.rate * _power(moments, p, 1.0).exp()


def _under_gamma(moments: Moments, p: Any, q: Gamma) -> Tensor:
    a = q.concentration
    first = a * q.rate.log() - torch.lgamma(a) + (a - 1.0) * moments.mean_log(p)
    return first - q.rate * _power(moments, p, 1.0).exp()


def _under_inverse_gamma(moments: Moments, p: Any, q: InverseGamma) -> Tensor:
    a = q.concentration
    first = a * q.rate.log() - torch.lgamma(a) - (a + 1.0) * moments.mean_log(p)
    return first - q.rate * _power(moments, p, -1.0).exp()


def _under_log_normal(moments: Moments, p: Any, q: LogNormal) -> Tensor:
    mean_log = moments.mean_log(p)
    square = (moments.variance_log(p) + (mean_log - q.loc) ** 2) / (q.scale * q.scale)
    return -0.5 * square - q.scale.log() - HALF_LOG_2PI - mean_log


def _under_weibull(moments: Moments, p: Any, q: Weibull) -> Tensor:
    k, log_scale = q.concentration, q.scale.log()
    first = k.log() - k * log_scale + (k - 1.0) * moments.mean_log(p)
    return first - (_power(moments, p, k) - k * log_scale).exp()


def _under_half_normal(moments: Moments, p: Any, q: HalfNormal) -> Tensor:
    log_scale = q.scale.log()
    return math.log(2.0) - HALF_LOG_2PI - log_scale - 0.5 * (_power(moments, p, 2.0) - 2.0 * log_scale).exp()


MEAN_LOG_PROB: dict[type, Callable[[Moments, Any, Any], Tensor]] = {
    Exponential: _under_exponential,
    Gamma: _under_gamma,
    InverseGamma: _under_inverse_gamma,
    LogNormal: _under_log_normal,
    Weibull: _under_weibull,
    HalfNormal: _under_half_normal,
}
BESIDE = {(Gamma, InverseGamma), (InverseGamma, Gamma)}  # which stand in inverse_gamma.py


def _register(p_class: type, q_class: type) -> None:
    moments, mean_log_prob = MOMENTS[p_class], MEAN_LOG_PROB[q_class]

    @register_kl(p_class, q_class)
    def _kl(p: Any, q: Any) -> Tensor:
        entropy: Tensor = p.entropy()
        return -entropy - mean_log_prob(moments, p, q)


for _p, _q in product(MOMENTS, MEAN_LOG_PROB):
    if _p is not _q and (_p, _q) not in BESIDE:
        _register(_p, _q)

# Laws on the line under a normal law


@register_kl(HalfNormal, Normal)
@register_kl(StudentT, Normal)
def _kl_normal(p: Any, q: Normal) -> Tensor:
    """Return the divergence from a normal law, which asks only for mean and variance; infinite if that is."""
    square = (p.variance + (p.mean - q.loc) ** 2) / (q.scale * q.scale)
    divergence = 0.5 * square + q.scale.log() + HALF_LOG_2PI - p.entropy()
    return torch.where(divergence.isnan(), torch.inf, divergence)


# The unit interval


def _log_beta(q: Beta) -> Tensor:
    a, b = q.concentration1, q.concentration0
    small, large = torch.minimum(a, b), torch.maximum(a, b)
    return torch.lgamma(small) - lgamma_step(large, small)


@register_kl(Kumaraswamy, Beta)
def _kl_kumaraswamy_beta(p: Kumaraswamy, q: Beta) -> Tensor:
    mean_log = -(torch.digamma(p.concentration0 + 1.0) + EULER) / p.concentration1
    mean_rest = mean_log_complement(p.concentration1.reciprocal(), p.concentration0)
    return _log_beta(q) - (q.concentration1 - 1.0) * mean_log - (q.concentration0 - 1.0) * mean_rest - p.entropy()


@register_kl(Kumaraswamy, Uniform)
def _kl_kumaraswamy_uniform(p: Kumaraswamy, q: Uniform) -> Tensor:
    inside = (q.low <= 0) & (q.high >= 1)
    return torch.where(inside, torch.where(inside, q.high - q.low, 1.0).log() - p.entropy(), torch.inf)


STEEP = 40.0  # from here on the asymptotic series of the exponential integral is exact to rounding
EI = tuple(float(math.factorial(k)) for k in range(31))
ENTIRE = tuple(1.0 / ((k + 1) * math.factorial(k + 1)) for k in range(20))  # (Ei(h) - log h - γ) / h
ALTERNATING = tuple((-1.0) ** k * c for k, c in enumerate(ENTIRE))


def _mean_logs(p: ContinuousBernoulli) -> tuple[Tensor, Tensor]:
    """Return E log Y and E log(1 - Y), by exponential integrals of h = |logits|."""
    h, end = ends(p.logits)
    width = expm1_ratio_log(h).exp()  # (1 - exp(-h)) / h
    small, large = h.clamp(max=1.0), h.clamp(min=1.0)
    wide = (e1_scaled(large) * torch.exp(-large) + large.log() + EULER) / large
    at_end = (
        -torch.where(h < 1.0, polynomial(small, ALTERNATING), wide) / width
    )  # of the distance from the likelier end
    mild, u = large.clamp(max=STEEP).unsqueeze(-1), large.clamp(min=STEEP).reciprocal()
    k = torch.arange(1.0, 131.0, dtype=h.dtype, device=h.device)
    middle = (torch.exp((k - 1.0) * mild.log() - mild - torch.lgamma(k + 1.0)) / k).sum(-1)
    steep = u * (u * polynomial(u, EI) + (u.log() - EULER) * torch.exp(-u.reciprocal()))
    series = torch.where(h < STEEP, middle, steep)
    at_other = -torch.where(h < 1.0, torch.exp(-small) * polynomial(small, ENTIRE), series) / width
    return torch.where(end > 0, at_other, at_end), torch.where(end > 0, at_end, at_other)


@register_kl(ContinuousBernoulli, Beta)
def _kl_continuous_bernoulli_beta(p: ContinuousBernoulli, q: Beta) -> Tensor:
    mean_log, mean_rest = _mean_logs(p)
    return _log_beta(q) - (q.concentration1 - 1.0) * mean_log - (q.concentration0 - 1.0) * mean_rest - p.entropy()
