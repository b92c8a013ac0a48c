"""Divergences of a family from itself that have no closed form: one integral over the quantiles of the first law.

E log(p/q) is integrated over the depth t of p's tails, where the weight is exp(-t) and a heavy tail is as smooth as a light
one, by Gauss-Legendre rules on panels in float64. Panels end where either law changes: they grow geometrically away from
the centre of each. The nodes are constants, so the integral has gradients in every parameter, and equal laws give nought.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from likelihoods.distributions.barron import Barron
from likelihoods.distributions.base import register_kl
from likelihoods.distributions.generalized_pareto import GeneralizedPareto
from likelihoods.distributions.hyperbolic_secant import HyperbolicSecant
from likelihoods.distributions.integration import NODES, PANELS, WEIGHTS
from likelihoods.distributions.log_logistic import LogLogistic
from likelihoods.distributions.logistic import Logistic
from likelihoods.distributions.student_t import StudentT
from likelihoods.distributions.univariate import Univariate
from likelihoods.removable import expm1_ratio, log1p_by
from likelihoods.special import LOG_2

FAR = 1e140  # how far out quantiles are followed: their squares, and those over 1e-16, are finite
STEPS = 16  # of the geometric panels between the width of a law and the distance to the other
NARROWEST = 1.0 / 16.0  # where they begin, in units of that width
NORMAL = 1e15  # degrees of freedom beyond which Student's law is taken for the one that has them
NEGLIGIBLE = 1e-12
STEEP = 300.0  # exponents from which on exp(x) + c is exp(x)


def _panels(cuts: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """Return nodes and weights of the panels between depths, which lie on the first axis, from 0 to the last."""
    start = torch.tensor(PANELS, dtype=cuts.dtype, device=cuts.device).view(-1, *[1] * (cuts.dim() - 1))
    start = torch.cat([start.expand(-1, *cuts.shape[1:]), cuts.nan_to_num(nan=0.0), last.unsqueeze(0)])
    edges = torch.minimum(start.clamp(min=0.0), last).sort(0).values
    low, width = edges[:-1].unsqueeze(1), edges.diff(dim=0).unsqueeze(1)
    nodes, weights = (
        torch.as_tensor(x, dtype=cuts.dtype, device=cuts.device).view(-1, *[1] * (cuts.dim() - 1))
        for x in (0.5 * NODES + 0.5, 0.5 * WEIGHTS)
    )
    return (low + width * nodes).flatten(0, 1), (width * weights).flatten(0, 1)


def _geometric(first: Tensor, last: Tensor) -> Tensor:
    """Return 0 and ``STEPS`` points from first to last, each as many times larger than the one before, on a first axis."""
    steps = torch.linspace(0.0, 1.0, STEPS, dtype=first.dtype, device=first.device).view(-1, *[1] * first.dim())
    ratio = (last / first).clamp(min=1.0).log()
    return torch.cat([torch.zeros_like(first).unsqueeze(0), first * torch.exp(steps * ratio)])


def _mean_log_ratio(p: Univariate, q: Univariate, width: Tensor, centre: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return E log(p/q) as far as p's quantiles go, and what lies beyond: P(|Z| > z) and log(p/q) there, the mean of both sides.

    Args:
        p: a law symmetric about 0, of scale 1.
        q: any law on the line; both laws in float64, with shapes that broadcast with those of the tensors.
        width: the distance from q's centre over which its log-density changes.
        centre: q's centre.
    """
    with torch.no_grad():
        own = _geometric(torch.full_like(centre, NARROWEST), torch.full_like(centre, 1e4))
        other = _geometric(NARROWEST * width, 1.0 + centre.abs())
        marks = torch.cat([own, centre + other, centre - other]).abs()
        depths = -LOG_2 - p.log_sf(torch.cat([marks, torch.full_like(marks[:1], FAR)]))
        last = depths[-1].clamp(max=PANELS[-1])
        depth, share = _panels(depths[:-1], last)
        z = p.icdf(0.5 * torch.exp(-depth)).neg().clamp(0.0, FAR)
        weight = 0.5 * share * torch.exp(-depth)
        end = torch.where(depths[-1] > PANELS[-1], z[-1], FAR)
    z = torch.stack([z, -z])
    log_p = p.log_prob(z)
    terms = torch.exp(log_p - log_p.detach()) * (log_p - q.log_prob(z))  # at fixed nodes it is the weights that change
    ends = torch.stack([end, -end])
    ratio = (p.log_prob(ends) - q.log_prob(ends)).mean(0)
    return (weight * terms).sum((0, 1)), 2.0 * p.log_sf(end).exp(), ratio


def _relative(p: Any, q: Any) -> tuple[Tensor, Tensor]:
    """Return q's loc and scale in units of p's, in float64 with the joint shape."""
    scale = p.scale.double()
    shift, ratio = torch.broadcast_tensors((q.loc.double() - p.loc.double()) / scale, q.scale.double() / scale)
    return shift, ratio


def _result(value: Tensor, p: Any, q: Any) -> Tensor:
    dtype = torch.promote_types(p._like.dtype, q._like.dtype)
    return value.to(dtype).expand(torch.broadcast_shapes(p.batch_shape, q.batch_shape))


@register_kl(Logistic, Logistic)
@register_kl(HyperbolicSecant, HyperbolicSecant)
def _kl_location_scale(p: Any, q: Any) -> Tensor:
    loc, scale = _relative(p, q)
    family = Logistic if isinstance(p, Logistic) else HyperbolicSecant
    one = torch.ones_like(scale)
    laws = family(0.0 * one, one, validate_args=False), family(loc, scale, validate_args=False)
    return _result(_mean_log_ratio(*laws, scale, loc)[0], p, q)


@register_kl(LogLogistic, LogLogistic)
def _kl_log_logistic(p: LogLogistic, q: LogLogistic) -> Tensor:
    """Return the divergence of the logarithms, which are logistic."""
    logs = (
        Logistic(law.scale.double().log(), law.concentration.double().reciprocal(), validate_args=False)
        for law in (p, q)
    )
    return _result(_kl_location_scale(*logs), p, q)


@register_kl(StudentT, StudentT)
def _kl_student_t(p: StudentT, q: StudentT) -> Tensor:
    """Return the integral; beyond the furthest quantiles log(p/q) is a line in the depth."""
    df, other = (law.df.double().clamp(max=NORMAL) for law in (p, q))
    loc, scale = _relative(p, q)
    one = torch.ones_like(scale)
    laws = StudentT(df, 0.0 * one, one, validate_args=False), StudentT(other, loc, scale, validate_args=False)
    df, other, loc, scale = torch.broadcast_tensors(df, other, loc, scale)
    width = scale * other.detach().clamp(max=1.0).sqrt()
    value, beyond, ratio = _mean_log_ratio(*laws, width, loc)
    return _result(value + beyond * (ratio + (other - df) / df), p, q)


@register_kl(Barron, Barron)
def _kl_barron(p: Barron, q: Barron) -> Tensor:
    """Return the integral; infinite for alpha = 0 from 1 or more.

    For alpha = 0 (Cauchy's tails) log(p/q) grows like exp(q.alpha·depth) beyond the furthest quantiles. Where it is so near 0
    that they lie beyond floating point the result is NaN.
    """
    alpha, other = p.alpha.double(), q.alpha.double()
    loc, scale = _relative(p, q)
    alpha, other, loc, scale = torch.broadcast_tensors(alpha, other, loc, scale)
    heavier = (alpha == 0.0) & (other >= 1.0)
    safe = torch.where(heavier, 0.5, other)
    laws = (
        Barron(0.0, torch.ones_like(scale), alpha, validate_args=False),
        Barron(loc, scale, safe, validate_args=False),
    )
    value, beyond, ratio = _mean_log_ratio(*laws, scale, loc)
    left = torch.where(alpha == 0.0, beyond * ratio / (1.0 - safe.clamp(max=0.999)), 0.0)
    lost = (alpha > 0.0) & ((beyond * ratio).abs() > NEGLIGIBLE * (1.0 + value.abs()))
    return _result(torch.where(heavier, torch.inf, torch.where(lost, torch.nan, value + left)), p, q)


@register_kl(GeneralizedPareto, GeneralizedPareto)
def _kl_generalized_pareto(p: GeneralizedPareto, q: GeneralizedPareto) -> Tensor:
    """Return the mean of q's hazard less p's, whose law is exponential; infinite where p's support is not inside q's."""
    parameters = [(law.loc.double(), law.scale.double(), law.concentration.double()) for law in (p, q)]
    loc, scale, a, loc_q, scale_q, b = torch.broadcast_tensors(*parameters[0], *parameters[1])
    fits = (loc >= loc_q) & (p._upper() <= q._upper())
    loc_q, scale_q, b = (torch.where(fits, x, y) for x, y in ((loc_q, loc), (scale_q, scale), (b, a)))
    with torch.no_grad():
        first = scale_q + b * (loc - loc_q)  # of the hazard: its slope at depth 0 is scale over this
        rate = scale / first * (1.0 + b.abs()) + a.abs()
        steady = a.abs().clamp(min=1e-30)
        # q's hazard is log|A + B·exp(a·t)| / b: it bends where the two terms are equal
        grown = b * scale / torch.where(a == 0, 1.0, a)
        bend = ((first - grown) / torch.where(grown == 0, 1.0, grown)).abs().clamp(1e-300, 1e300).log() / steady
        bend = torch.where(a > 0, bend, -bend).nan_to_num(nan=0.0).clamp(0.0, PANELS[-1])
        about = _geometric(NARROWEST / steady, 64.0 / steady)
        cuts = torch.cat([_geometric(NARROWEST / rate, torch.ones_like(rate)), bend + about, bend - about])
        last = torch.full_like(bend, PANELS[-1])
        depth, share = _panels(cuts, last)
        weight = share * torch.exp(-depth)
    grown = a * depth
    steep = grown > STEEP
    ratio = expm1_ratio(torch.where(steep, 1.0, grown))
    z = (loc - loc_q) / scale_q + (scale / scale_q) * (depth * ratio)
    hazard = log1p_by(z, b)
    far = steep & (b > 0)
    positive = torch.where(far, b, 1.0)
    line = (positive * scale / (torch.where(far, a, 1.0) * scale_q)).log() + torch.where(far, grown, 0.0)
    hazard = torch.where(far, line / positive, hazard)
    terms = (1.0 + b) * hazard - (1.0 + a) * depth
    value = (weight * terms).sum(0) + (scale_q / scale).log()
    light = (b == 0) & (a > 0.9)  # an exponential law asks for p's mean alone
    room = torch.where(light, (1.0 - a).clamp(min=0.0), 1.0)
    mean = (loc - loc_q) / scale_q + scale / (scale_q * room) - 1.0 - a + (scale_q / scale).log()
    return _result(torch.where(fits, torch.where(light, mean, value), torch.inf), p, q)
