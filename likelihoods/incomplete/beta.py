"""The incomplete beta function: both tails of the beta law."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from likelihoods.incomplete.deviance import deviance, log_ratio
from likelihoods.incomplete.quadrature import (
    DEPTH,
    ORDER,
    ORDERS,
    POINTS,
    SHIFT,
    SMALL,
    STEPS,
    TABLE,
    WEIGHTS,
    both,
    elementwise,
    first_reach,
    flat_part,
    in_blocks,
    joint_dtype,
    power_series,
)
from likelihoods.special import HALF_LOG_2PI, stirling, stirling_slope


def _cumulants(x: Tensor, y: Tensor, reach: Tensor) -> list[Tensor]:
    """Return the coefficients of κ(v) = log(y + x·exp(-v)) + x·v, of v², v³, …, times the powers of ``reach``.

    κ' = x - p with p(v) = x·exp(-v)/(y + x·exp(-v)), p' = -p·(1 - p): a recurrence for the coefficients of p.
    """
    p, q, terms = [x], [y], []
    power = reach
    for k in range(ORDER):
        total = p[0] * q[k]
        for j in range(1, k + 1):
            total = total.addcmul(p[j], q[k - j])
        p.append(total * (-1.0 / (k + 1)))
        q.append(total * (1.0 / (k + 1)))
        power = power * reach
        terms.append(total * power * (1.0 / ((k + 1) * (k + 2))))
    return terms


def _integral(a: Tensor, b: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return ∫_0^∞ (t/x)^a·((1 - t)/y)^b dv, logit t = logit x - v, and its derivatives in a and b; for a·y >= b·x."""
    n = a + b
    slope = a * y - b * x
    reach = first_reach(slope, n * x * y, n * y)
    for _ in range(4):
        shrink = x * torch.expm1(-reach)
        excess = slope * reach + n * (torch.log1p(shrink) + x * reach) - DEPTH
        reach = reach - excess / (slope - n * y * (shrink / (shrink + 1.0)))
    heads = y < 0.5
    sign, weight = (
        torch.where(heads, 1.0, -1.0),
        torch.where(heads, y, x),
    )  # the smaller of the two exponentials' weights
    parts = slope, n, weight, sign, reach
    total, first, second = in_blocks(_sums, TABLE, *parts, *_cumulants(x, y, reach.clamp(max=SMALL)))
    return total, -(y * first + second), x * first - second


def _sums(slope: Tensor, n: Tensor, weight: Tensor, sign: Tensor, reach: Tensor, *series: Tensor) -> tuple[Tensor, ...]:
    """Apply the Gauss rule to exp(-slope·v - n·κ(v)), to it times v and to it times κ, for v from 0 to ``reach``."""
    nodes = reach[..., None] * POINTS.to(n.device)
    bend = (sign[..., None] * nodes).expm1_().mul_(weight[..., None]).log1p_()
    bend = bend.addcmul_((-weight * sign)[..., None], nodes)
    bend = torch.where((reach < SMALL)[..., None], power_series(torch.stack(series, -1)), bend)
    integrand = (slope[..., None] * nodes).addcmul_(n[..., None], bend).neg_().exp_().mul_(WEIGHTS.to(n.device))
    first, second = nodes.mul_(integrand), bend.mul_(integrand)
    return reach * integrand.sum(-1), reach * first.sum(-1), reach * second.sum(-1)


def _near_edge(b: Tensor, raised: Tensor, edge: Tensor, gap: Tensor, lift: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the integral of u^(b-1)·(1 - u)^(raised-1) from y to ``edge`` over y^b, and its derivatives in raised and b.

    gap = log(edge/y), lift = (edge/y)^b.
    """
    orders = ORDERS.to(b.device)
    rest = orders - raised[..., None]
    choose = torch.cumprod(rest / orders * edge[..., None], -1)  # binomial coefficients times powers of the edge
    rest = torch.where(rest == 0.0, 1.0, rest)
    choose_a = torch.cumsum(rest.reciprocal_(), -1).mul_(choose).neg_()
    shape = b[..., None] + orders
    term = (lift[..., None] - torch.exp(-gap[..., None] * orders)).div_(shape)
    term_b = ((gap * lift)[..., None] - term).div_(shape).mul_(choose)
    flat, flat_b = flat_part(b, gap)
    return flat + (choose * term).sum(-1), choose_a.mul_(term).sum(-1), flat_b + term_b.sum(-1)


def _lowered(
    a: Tensor, b: Tensor, x: Tensor, total: Tensor, total_a: Tensor, total_b: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Take the integral and its derivatives from a + SHIFT to a, by J(a) = (1 + x·(a + b)·J(a + 1)) / a."""
    steps = STEPS.to(a.device)
    sizes = (a + b)[..., None] + steps
    down, up = (a[..., None] + steps).reciprocal_(), sizes.reciprocal()
    ladder = torch.cumprod(torch.cat([down[..., :1], x[..., None] * sizes[..., :-1] * down[..., 1:]], -1), -1)
    last = x * sizes[..., -1] * ladder[..., -1]
    rises, falls = torch.cumsum(up, -1), torch.cumsum(down, -1)
    rise, fall = rises[..., -1], falls[..., -1]
    rises = rises - up
    return (
        ladder.sum(-1) + last * total,
        (ladder * (rises - falls)).sum(-1) + last * (total_a + total * (rise - fall)),
        (ladder * rises).sum(-1) + last * (total_b + total * rise),
    )


def beta_tail(
    a: Tensor, b: Tensor, x: Tensor, y: Tensor, log_x: Tensor, log_y: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return: whether x > a/(a + b), the log of the smaller tail, its derivatives in a, in b and in logit x."""
    upper = a * y < b * x
    a, b = torch.where(upper, b, a), torch.where(upper, a, b)
    x, y = torch.where(upper, y, x), torch.where(upper, x, y)
    log_x, log_y = torch.where(upper, log_y, log_x), torch.where(upper, log_x, log_y)
    raised = a + SHIFT
    edge = (raised + b).reciprocal()
    inner = y < edge
    total, total_a, total_b = _integral(raised, b, torch.where(inner, 1.0 - edge, x), torch.where(inner, edge, y))
    # from y < 1/n the integrand would be flat in v for long: a power series as far as 1/n
    gap = torch.where(inner, edge.log() - log_y, 0.0)
    slide = torch.where(inner, torch.log1p(-edge) - log_x, 0.0)
    lift = torch.exp(b * gap)
    flat, flat_a, flat_b = in_blocks(_near_edge, TABLE, b, raised, edge, gap, lift)
    ratio, scale = lift * torch.exp(raised * slide), torch.exp(-raised * torch.where(inner, log_x, 0.0))
    total_a = torch.where(inner, ratio * (total_a + slide * total) + scale * (flat_a - log_x * flat), total_a)
    total_b = torch.where(inner, ratio * (total_b + gap * total) + scale * flat_b, total_b)
    total = torch.where(inner, ratio * total + scale * flat, total)
    total, total_a, total_b = in_blocks(_lowered, TABLE, a, b, x, total, total_a, total_b)
    n = a + b
    # the kernel x^a·y^b / B(a, b)
    t = a * y - b * x
    kernel = 0.5 * (a.log() + (b / n).log()) - HALF_LOG_2PI + stirling(n) - stirling(a) - stirling(b)
    log_tail = kernel - deviance(a, b, x, y, log_x, log_y, t) + total.log()
    common = stirling_slope(n) - 0.5 / n
    tail_a = common - log_ratio(t / (n * x), a / n, x, log_x) - stirling_slope(a) + 0.5 / a + total_a / total
    tail_b = common - log_ratio(-t / (n * y), b / n, y, log_y) - stirling_slope(b) + 0.5 / b + total_b / total
    tail_a, tail_b = torch.where(upper, tail_b, tail_a), torch.where(upper, tail_a, tail_b)
    return upper, log_tail, tail_a, tail_b, torch.where(upper, -1.0, 1.0) / total


class LogBeta(torch.autograd.Function):
    """log I_x(a, b) and log I_y(b, a), then their derivatives in a, b and logit x, which the backward pass uses."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor, x: Tensor, y: Tensor, log_x: Tensor, log_y: Tensor) -> tuple[Tensor, ...]:
        """Return the two logarithms and the derivatives of the first and of the second."""
        dtype = joint_dtype(a, log_x)
        a, b, x, y, log_x, log_y = (part.double() for part in (a, b, x, y, log_x, log_y))
        chances = x.clamp(min=1e-300), y.clamp(min=1e-300), log_x.clamp(min=-1e300), log_y.clamp(min=-1e300)
        upper, log_tail, *slopes = elementwise(beta_tail, a, b, *chances)
        below, above, *rest = both(upper, log_tail, tuple(slopes))
        below = torch.where(log_x == -torch.inf, -torch.inf, below)
        above = torch.where(log_y == -torch.inf, -torch.inf, above)
        return tuple(part.to(dtype) for part in (below, above, *rest))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        """Keep the derivatives."""
        ctx.mark_non_differentiable(*output[2:])
        ctx.save_for_backward(*output[2:])
        ctx.shapes = [part.shape for part in inputs]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, below: Tensor, above: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """Return the derivatives in a and b, and those in log x and log y, which carry that in x."""
        low_a, low_b, low_x, high_a, high_b, high_x = ctx.saved_tensors
        a, b, _x, _y, log_x, log_y = ctx.shapes
        in_a, in_b = below * low_a + above * high_a, below * low_b + above * high_b
        logit = below * low_x + above * high_x
        return in_a.sum_to_size(a), in_b.sum_to_size(b), None, None, logit.sum_to_size(log_x), -logit.sum_to_size(log_y)


def log_betainc(
    a: Tensor, b: Tensor, x: Tensor, y: Tensor, log_x: Tensor | None = None, log_y: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return log I_x(a, b) and log I_y(b, a), y = 1 - x: the log-probabilities of the two sides of x under a beta law.

    Both are accurate in relative terms however small they are, and differentiable (once) in the shapes and in x; give
    the complement ``y`` to full relative precision. ``log_x`` and ``log_y`` may be given where x or y may underflow;
    the derivative in x goes through them.

    >>> x = torch.tensor(0.25)
    >>> log_betainc(torch.tensor(2.0), torch.tensor(300.0), x, 1.0 - x)
    (tensor(-2.5072e-36), tensor(-81.9739))
    """
    log_x, log_y = x.log() if log_x is None else log_x, y.log() if log_y is None else log_y
    below, above, *_ = LogBeta.apply(a, b, x, y, log_x, log_y)  # type: ignore[no-untyped-call]  # torch gives no types
    return below, above
