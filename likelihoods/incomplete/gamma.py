"""The incomplete gamma function: both tails of the gamma law."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from likelihoods.incomplete.quadrature import (
    DEPTH,
    ORDER,
    ORDERS,
    POINTS,
    SHIFT,
    SMALL,
    STEPS,
    TABLE,
    TERMS,
    WEIGHTS,
    both,
    elementwise,
    first_reach,
    flat_part,
    in_blocks,
    joint_dtype,
    power_series,
)
from likelihoods.special import HALF_LOG_2PI, NEAR, near_log1pmx, stirling, stirling_slope

DIVISORS = torch.tensor([0.5] + [1.0 / k for k in range(3, ORDER + 2)], dtype=torch.float64)  # of exp(u) - 1 - u
FACTORS = torch.tensor([(-1.0) ** k / math.factorial(k) for k in range(1, TERMS)], dtype=torch.float64)


def _integral(a: Tensor, x: Tensor, sign: Tensor) -> tuple[Tensor, Tensor]:
    """Return ∫_0^∞ exp(sign·a·v - sign·x·(exp(sign·v) - 1)) dv and its derivative in a; sign·(x - a) must not be negative."""
    slope = (x - a) * sign
    reach = first_reach(slope, x, torch.where(sign > 0.0, x, 1e-300))
    for _ in range(3):
        growth = torch.expm1(sign * reach)
        excess = slope * reach + x * (growth - sign * reach) - DEPTH
        reach = reach - excess / (slope + x * sign * growth)
    value, slope_in_a = in_blocks(_sums, TABLE, slope * sign, x, sign * reach, reach)
    return value, slope_in_a


def _sums(slope: Tensor, x: Tensor, signed: Tensor, reach: Tensor) -> tuple[Tensor, Tensor]:
    """Apply the Gauss rule to exp(-slope·u - x·(exp(u) - 1 - u)), and to it times u, for u from 0 to ``signed``."""
    u = signed[..., None] * POINTS.to(x.device)
    bend = u.expm1().sub_(u).mul_(x[..., None])
    ratios = signed.clamp(-SMALL, SMALL)[..., None] * DIVISORS.to(x.device)
    start = (x * ratios[..., 0] * (2.0 * ratios[..., 0]))[..., None]
    close = power_series(torch.cumprod(torch.cat([start, ratios[..., 1:]], -1), -1))
    bend = torch.where((reach < SMALL)[..., None], close, bend)
    integrand = bend.addcmul_(slope[..., None], u).neg_().exp_().mul_(WEIGHTS.to(x.device))
    return reach * integrand.sum(-1), reach * integrand.mul_(u).sum(-1)


def _near_one(a: Tensor, gap: Tensor, lift: Tensor) -> tuple[Tensor, Tensor]:
    """Return the integral of t^(a-1)·exp(-t) from x to 1 over x^a, and its derivative in a; gap = -log x, lift = x^-a."""
    orders, factors = ORDERS.to(a.device), FACTORS.to(a.device)
    shape = a[..., None] + orders
    term = (lift[..., None] - torch.exp(-gap[..., None] * orders)).mul_(factors).div_(shape)
    term_a = ((gap * lift)[..., None] * factors).sub_(term).div_(shape)
    flat, flat_a = flat_part(a, gap)
    return flat + term.sum(-1), flat_a + term_a.sum(-1)


def _lowered(a: Tensor, x: Tensor, total: Tensor, total_a: Tensor) -> tuple[Tensor, Tensor]:
    """Take the integral and its derivative from a + SHIFT to a, by I(a) = (1 + x·I(a + 1)) / a."""
    inverse = (a[..., None] + STEPS.to(a.device)).reciprocal_()
    steps = torch.cumprod(torch.cat([inverse[..., :1], x[..., None] * inverse[..., 1:]], -1), -1)
    sums = torch.cumsum(inverse, -1)
    last = x * steps[..., -1]
    return steps.sum(-1) + last * total, last * (total_a - total * sums[..., -1]) - (steps * sums).sum(-1)


def gamma_tail(a: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return for a float64 (a, x): whether x > a, the log of the smaller tail, its derivatives in a and in log x."""
    upper = x > a
    sign = torch.where(upper, 1.0, -1.0)
    begin = torch.where(upper, x.clamp(min=1.0), x)
    total, total_a = _integral(torch.where(upper, a, a + SHIFT), begin, sign)
    # from x < 1 the integrand would be flat in v for long: a power series as far as 1
    small = x.clamp(max=1.0)
    gap = -small.log()
    lift, scale = torch.exp(a * gap), small.exp()
    flat, flat_a = in_blocks(_near_one, TABLE, a, gap, lift)
    ratio = lift * torch.exp(x - begin)
    inner = upper & (x < 1.0)
    total_a = torch.where(inner, ratio * (total_a + gap * total) + scale * flat_a, total_a)
    total = torch.where(inner, ratio * total + scale * flat, total)
    low, low_a = in_blocks(_lowered, TABLE, a, x, total, total_a)
    total, total_a = torch.where(upper, total, low), torch.where(upper, total_a, low_a)
    # the kernel x^a exp(-x) / Γ(a)
    excess = (x - a) / a
    log_ratio = torch.where(excess > -0.5, torch.log1p(excess), (x / a).log())
    deviance = torch.where(excess.abs() < NEAR, near_log1pmx(excess), log_ratio - excess)
    log_tail = a * deviance + 0.5 * a.log() - HALF_LOG_2PI - stirling(a) + total.log()
    return upper, log_tail, log_ratio - stirling_slope(a) + 0.5 / a + total_a / total, -sign / total


class LogGamma(torch.autograd.Function):
    """log P and log Q, then their derivatives in a and in log x, which the backward pass uses."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        """Return log P, log Q and the derivatives of the first and of the second."""
        dtype = joint_dtype(a, x)
        a, x = a.double(), x.double()
        upper, log_tail, *slopes = elementwise(gamma_tail, a, x.clamp(1e-300, 1e300))
        below, above, *rest = both(upper, log_tail, tuple(slopes))
        below = torch.where(x <= 0.0, -torch.inf, below)
        above = torch.where(x == torch.inf, -torch.inf, above)
        return tuple(part.to(dtype) for part in (below, above, *rest))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        """Keep the derivatives."""
        ctx.mark_non_differentiable(*output[2:])
        ctx.save_for_backward(*inputs, *output[2:])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, below: Tensor, above: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
        """Return the derivatives in a and in x."""
        a, x, low_a, low_x, high_a, high_x = ctx.saved_tensors
        slope_x = (below * low_x + above * high_x) / x.clamp(min=torch.finfo(x.dtype).tiny)
        return (below * low_a + above * high_a).sum_to_size(a.shape), slope_x.sum_to_size(x.shape)


def log_gammainc(a: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return log P(a, x) and log Q(a, x), the log-probabilities of the two sides of x under a gamma law of shape a > 0.

    Both are accurate in relative terms however small they are, and differentiable (once) in ``a`` and ``x``.

    >>> log_gammainc(torch.tensor(2.0), torch.tensor(50.0))
    (tensor(-9.8366e-21), tensor(-46.0682))
    """
    below, above, *_ = LogGamma.apply(a, x)  # type: ignore[no-untyped-call]  # torch gives no types
    return below, above
