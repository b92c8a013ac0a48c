"""The regularised incomplete gamma and beta functions in log space, with derivatives in every argument.

Both tails of both laws are a kernel times one integral of the same kind,

    ∫_0^∞ exp(-δ·v - κ(v)) dv,  δ >= 0,  κ convex and positive,

for v the distance from x on the scale of log x (gamma) or logit x (beta). The integrand is smooth and falls from 1, so
that a Gauss rule on the stretch where it matters is exact to rounding whatever the parameters are: no choice between
series, continued fractions and expansions, no iteration count that grows with the parameters, and the derivatives in
the shape parameters are moments of the same integrand. The smaller tail is integrated, the other is its complement.

Everything is computed in float64 and rounded to the arguments' dtype at the end.

Sources: W. Gautschi (1979), A computational procedure for incomplete gamma functions, doi:10.1145/355972.355975;
A. Gil, J. Segura, N. M. Temme (2012), doi:10.1137/120872553. The representation is NIST DLMF 8.2.1, 8.17.1 after the
substitution, https://dlmf.nist.gov/8
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from likelihoods.special import (
    HALF_LOG_2PI,
    NEAR,
    analytic,
    log1mexp,
    near_log1pmx,
    polynomial,
    stirling,
    stirling_slope,
)

NODES = 28  # of the Gauss-Legendre rule on [0, 1]
DEPTH = 37.0  # the integrand is dropped where it falls below exp(-DEPTH)
SHIFT = 12  # the first shape parameter is raised by this much, so that the integrand falls fast, and brought back after
TERMS = 18  # of the series between x and 1 (gamma), y and 1/n (beta), where the integrand would be flat for long
ROWS = 4096  # rows of the (rows, NODES) table at a time: it stays in the cache
SMALL = 0.35  # |u| below which exp(u) - 1 - u is summed as a series
EXPM1MX = tuple(1.0 / math.factorial(k + 2) for k in range(12))
EXPM1X_SLOPE = tuple((k + 1) / math.factorial(k + 2) for k in range(14))
_nodes, _weights = np.polynomial.legendre.leggauss(NODES)
POINTS = tuple((0.5 + 0.5 * _nodes).tolist())
WEIGHTS = tuple((0.5 * _weights).tolist())


def _binary_deviance(a: Tensor, b: Tensor, x: Tensor, y: Tensor, log_x: Tensor, log_y: Tensor, t: Tensor) -> Tensor:
    n = a + b
    p, q = t / (n * x), -t / (n * y)
    near = torch.maximum(p.abs(), q.abs()) < NEAR
    close = a * near_log1pmx(p) + b * near_log1pmx(q) + p * (t / y)
    far = a * log_ratio(p, a / n, x, log_x) + b * log_ratio(q, b / n, y, log_y)
    return torch.where(near, close, far)


_binary_deviance_ = analytic(
    _binary_deviance,
    lambda a, b, x, y, log_x, log_y, t: smooth_log_ratio(t / ((a + b) * x), a / (a + b), x, log_x),
    lambda a, b, x, y, log_x, log_y, t: smooth_log_ratio(-t / ((a + b) * y), b / (a + b), y, log_y),
    lambda a, b, x, y, log_x, log_y, t: -t / (x * y),
    None,
    None,
    None,
    None,
)


def binary_deviance(a: Tensor, b: Tensor, x: Tensor, y: Tensor, log_x: Tensor, log_y: Tensor, t: Tensor) -> Tensor:
    """Return a·log(a/((a + b)·x)) + b·log(b/((a + b)·y)), x + y = 1, without cancellation, given t = a·y - b·x too.

    It is (a + b) times the Kullback-Leibler divergence of (x, y) from (a, b)/(a + b): what is left of a beta, binomial
    or negative binomial log-density besides its Stirling terms. The derivatives are those in a, b and in x = 1 - y.

    >>> a, x = torch.tensor(3.0), torch.tensor(0.5)
    >>> binary_deviance(a, a, x, x, x.log(), x.log(), torch.tensor(0.0))
    tensor(0.)
    """
    return _binary_deviance_(a, b, x, y, log_x, log_y, t)


def smooth_log_ratio(excess: Tensor, share: Tensor, x: Tensor, log_x: Tensor) -> Tensor:
    """Return what ``log_ratio`` does, with a derivative that has no NaN."""
    near, tiny = excess.abs() < 0.5, x < 1e-25
    ratio = torch.where(near, torch.log1p(torch.where(near, excess, 0.0)), (share / torch.where(tiny, 1.0, x)).log())
    return torch.where(tiny, share.log() - log_x, ratio)


def log_ratio(excess: Tensor, share: Tensor, x: Tensor, log_x: Tensor) -> Tensor:
    """Return log(share/x), where ``excess`` is share/x - 1; by ``log_x`` where x is too small for the quotient."""
    ratio = torch.where(excess > -0.5, torch.log1p(excess), (share / x).log())
    return torch.where(x < 1e-25, share.log() - log_x, ratio)


def _start(slope: Tensor, curvature: Tensor, growth: Tensor) -> Tensor:
    """Return a first guess of the v at which the exponent reaches DEPTH."""
    quadratic = 2.0 * DEPTH / (slope + torch.sqrt(slope * slope + 2.0 * DEPTH * curvature))
    return torch.minimum(quadratic, torch.log(5.0 + DEPTH / growth))


def _expm1mx(u: Tensor) -> Tensor:
    """Return exp(u) - 1 - u."""
    near = u.clamp(-SMALL, SMALL)
    return torch.where(u.abs() < SMALL, near * near * polynomial(near, EXPM1MX), torch.expm1(u) - u)


def _rule(like: Tensor) -> tuple[Tensor, Tensor]:
    return like.new_tensor(POINTS), like.new_tensor(WEIGHTS)


def gamma_tail(a: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return for a float64 (a, x): whether x > a, the log of the smaller tail, its derivatives in a and in log x."""
    upper = x > a
    sign = torch.where(upper, 1.0, -1.0)
    raised = torch.where(upper, a, a + SHIFT)
    start = torch.where(upper, x.clamp(min=1.0), x)
    slope = (start - raised) * sign
    v = _start(slope, start, torch.where(upper, start, 1e-300))
    for _ in range(4):
        excess = slope * v + start * _expm1mx(sign * v) - DEPTH
        v = v - excess / (slope + start * (torch.expm1(sign * v) * sign))
    points, weights = _rule(x)
    nodes = v[..., None] * points
    integrand = torch.exp(-slope[..., None] * nodes - start[..., None] * _expm1mx(sign[..., None] * nodes)) * weights
    total = v * integrand.sum(-1)
    total_a = sign * v * (integrand * nodes).sum(-1)
    # below x = 1 the upper tail is flat on the scale of log x: from x to 1 sum a power series
    gap = torch.log(start / x)
    lift = torch.exp(a * gap)
    ratio = lift * torch.exp(x - start)
    total, total_a = ratio * total, ratio * (total_a + gap * total)
    z = (a * gap).clamp(max=1.0)
    flat = gap * torch.where(z > 0, torch.expm1(z) / z, 1.0)
    flat_a = gap * gap * polynomial(z, EXPM1X_SLOPE)
    power, far_power, factor = torch.ones_like(x), torch.ones_like(x), 1.0
    for k in range(1, TERMS):
        power, far_power, factor = power * x.clamp(max=1.0), far_power * start.clamp(max=1.0), -factor / k
        term = factor * (lift * far_power - power) / (a + k)
        flat = flat + term
        flat_a = flat_a + (factor * gap * lift * far_power - term) / (a + k)
    inner = upper & (x < 1.0)
    scale = torch.exp(x.clamp(max=1.0))
    total = torch.where(inner, total + scale * flat, total)
    total_a = torch.where(inner, total_a + scale * flat_a, total_a)
    down, down_a = total, total_a
    for k in range(SHIFT - 1, -1, -1):
        down = (1.0 + x * down) / (a + k)
        down_a = (x * down_a - down) / (a + k)
    total, total_a = torch.where(upper, total, down), torch.where(upper, total_a, down_a)
    excess = (x - a) / a
    log_x_over_a = torch.where(excess > -0.5, torch.log1p(excess), (x / a).log())
    near = excess.abs() < NEAR
    kernel = a * torch.where(near, near_log1pmx(excess), log_x_over_a - excess)
    log_tail = kernel + 0.5 * a.log() - HALF_LOG_2PI - stirling(a) + total.log()
    tail_a = log_x_over_a - stirling_slope(a) + 0.5 / a + total_a / total
    return upper, log_tail, tail_a, -sign / total


def beta_tail(
    a: Tensor, b: Tensor, x: Tensor, y: Tensor, log_x: Tensor, log_y: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return: whether x > a/(a + b), the log of the smaller tail, its derivatives in a, in b and in logit x."""
    upper = a * y < b * x
    a, b = torch.where(upper, b, a), torch.where(upper, a, b)
    x, y = torch.where(upper, y, x), torch.where(upper, x, y)
    log_x, log_y = torch.where(upper, log_y, log_x), torch.where(upper, log_x, log_y)
    raised = a + SHIFT
    n = raised + b
    edge = 1.0 / n
    inner = y < edge
    y1 = torch.where(inner, edge, y)
    x1 = torch.where(inner, 1.0 - edge, x)
    slope = raised * y1 - b * x1
    v = _start(slope, n * x1 * y1, n * y1)
    heads = y1 < 0.5
    sign, weight = torch.where(heads, 1.0, -1.0), torch.where(heads, y1, x1)
    for _ in range(5):
        bend = torch.log1p(weight * torch.expm1(sign * v)) - weight * sign * v
        steep = x1 * torch.expm1(-v) / (x1 * torch.expm1(-v) + 1.0)
        v = v - (slope * v + n * bend - DEPTH) / (slope - n * y1 * steep)
    points, weights = _rule(x)
    nodes = v[..., None] * points
    u, w = sign[..., None] * nodes, weight[..., None]
    near = u.clamp(-SMALL, SMALL)
    growth = near * near * polynomial(near, EXPM1MX)
    bend = torch.where(
        v[..., None] < SMALL, w * growth + near_log1pmx(w * (near + growth)), torch.log1p(w * torch.expm1(u)) - w * u
    )
    integrand = torch.exp(-slope[..., None] * nodes - n[..., None] * bend) * weights
    total, first, second = v * integrand.sum(-1), v * (integrand * nodes).sum(-1), v * (integrand * bend).sum(-1)
    total_a, total_b = -(y1 * first + second), x1 * first - second
    # where y < 1/n the tail is flat on the scale of logit x: from y to 1/n sum a power series
    gap = torch.where(inner, edge.log() - log_y, 0.0)
    slide = torch.where(inner, torch.log1p(-edge) - log_x, 0.0)
    lift = torch.exp(b * gap)
    ratio = lift * torch.exp(raised * slide)
    total, total_a, total_b = ratio * total, ratio * (total_a + slide * total), ratio * (total_b + gap * total)
    z = (b * gap).clamp(max=1.0)
    flat = gap * torch.where(z > 0, torch.expm1(z) / z, 1.0)
    flat_b = gap * gap * polynomial(z, EXPM1X_SLOPE)
    flat_a = torch.zeros_like(x)
    power, far_power = torch.ones_like(x), torch.ones_like(x)
    choose, choose_a = torch.ones_like(x), torch.zeros_like(x)
    small_y = torch.minimum(y, edge)
    for k in range(1, TERMS):
        power, far_power = power * small_y, far_power * edge
        choose_a = (choose_a * (k - raised) - choose) / k
        choose = choose * (k - raised) / k
        term = (lift * far_power - power) / (b + k)
        flat = flat + choose * term
        flat_a = flat_a + choose_a * term
        flat_b = flat_b + choose * (gap * lift * far_power - term) / (b + k)
    scale = torch.exp(-raised * torch.where(inner, log_x, 0.0))
    total = torch.where(inner, total + scale * flat, total)
    total_a = torch.where(inner, total_a + scale * (flat_a - log_x * flat), total_a)
    total_b = torch.where(inner, total_b + scale * flat_b, total_b)
    for k in range(SHIFT - 1, -1, -1):
        lower, n = a + k, a + (b + k)
        next_total = (1.0 + x * n * total) / lower
        total_a = (x * (total + n * total_a) - next_total) / lower
        total_b = x * (total + n * total_b) / lower
        total = next_total
    n = a + b
    t = a * y - b * x
    p, q = t / (n * x), -t / (n * y)
    kernel = 0.5 * (a.log() + (b / n).log()) - HALF_LOG_2PI + stirling(n) - stirling(a) - stirling(b)
    log_tail = kernel - _binary_deviance(a, b, x, y, log_x, log_y, t) + total.log()
    common = stirling_slope(n) - 0.5 / n
    tail_a = common - log_ratio(p, a / n, x, log_x) - stirling_slope(a) + 0.5 / a + total_a / total
    tail_b = common - log_ratio(q, b / n, y, log_y) - stirling_slope(b) + 0.5 / b + total_b / total
    tail_a, tail_b = torch.where(upper, tail_b, tail_a), torch.where(upper, tail_a, tail_b)
    return upper, log_tail, tail_a, tail_b, torch.where(upper, -1.0, 1.0) / total


def _in_blocks(tail: Any, *arguments: Tensor) -> tuple[Tensor, ...]:
    """Apply ``tail`` to broadcast float64 arguments, a block of rows at a time."""
    wide = torch.broadcast_tensors(*arguments)
    flat = [argument.reshape(-1) for argument in wide]
    if flat[0].numel() <= ROWS:
        blocks = [tail(*flat)]
    else:
        blocks = [tail(*rows) for rows in zip(*(argument.split(ROWS) for argument in flat), strict=True)]
    joined = blocks[0] if len(blocks) == 1 else [torch.cat(parts) for parts in zip(*blocks, strict=True)]
    return tuple(part.reshape(wide[0].shape) for part in joined)


def _both(upper: Tensor, log_tail: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return log of lower and upper tail, and the derivatives of the logs by that of the smaller tail."""
    other = log1mexp(-log_tail)
    odds = -torch.exp(log_tail - other)
    return torch.where(upper, other, log_tail), torch.where(upper, log_tail, other), odds


class _LogGamma(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        dtype = torch.result_type(a, x)
        a, x = a.double(), x.double()
        upper, log_tail, tail_a, tail_x = _in_blocks(gamma_tail, a, x.clamp(1e-300, 1e300))
        below, above, odds = _both(upper, log_tail)
        low, high = torch.where(upper, odds, 1.0), torch.where(upper, 1.0, odds)
        below = torch.where(x <= 0.0, -torch.inf, below)
        above = torch.where(x == torch.inf, -torch.inf, above)
        return tuple(
            part.to(dtype) for part in (below, above, low * tail_a, low * tail_x, high * tail_a, high * tail_x)
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[2:])
        ctx.save_for_backward(*inputs, *output[2:])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, below: Tensor, above: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
        a, x, low_a, low_x, high_a, high_x = ctx.saved_tensors
        slope_x = (below * low_x + above * high_x) / x.clamp(min=torch.finfo(x.dtype).tiny)
        return (below * low_a + above * high_a).sum_to_size(a.shape), slope_x.sum_to_size(x.shape)


def log_gammainc(a: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return log P(a, x) and log Q(a, x), the log-probabilities of the two sides of x under a gamma law of shape a > 0.

    Both are accurate in relative terms however small they are, and differentiable (once) in ``a`` and ``x``.

    >>> log_gammainc(torch.tensor(2.0), torch.tensor(50.0))
    (tensor(-9.8364e-21), tensor(-46.0682))
    """
    below, above, *_ = _LogGamma.apply(a, x)
    return below, above


class _LogBeta(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor, x: Tensor, y: Tensor, log_x: Tensor, log_y: Tensor) -> tuple[Tensor, ...]:
        dtype = torch.result_type(a, log_x)
        a, b, x, y, log_x, log_y = (part.double() for part in (a, b, x, y, log_x, log_y))
        upper, log_tail, *tail = _in_blocks(
            beta_tail, a, b, x.clamp(min=1e-300), y.clamp(min=1e-300), log_x.clamp(min=-1e300), log_y.clamp(min=-1e300)
        )
        below, above, odds = _both(upper, log_tail)
        low, high = torch.where(upper, odds, 1.0), torch.where(upper, 1.0, odds)
        below = torch.where(log_x == -torch.inf, -torch.inf, below)
        above = torch.where(log_y == -torch.inf, -torch.inf, above)
        slopes = [side * part for side in (low, high) for part in tail]
        return tuple(part.to(dtype) for part in (below, above, *slopes))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[2:])
        ctx.save_for_backward(*output[2:])
        ctx.shapes = [part.shape for part in inputs]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, below: Tensor, above: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        low_a, low_b, low_x, high_a, high_b, high_x = ctx.saved_tensors
        a, b, _x, _y, log_x, log_y = ctx.shapes
        logit = below * low_x + above * high_x
        return (
            (below * low_a + above * high_a).sum_to_size(a),
            (below * low_b + above * high_b).sum_to_size(b),
            None,
            None,
            logit.sum_to_size(log_x),
            -logit.sum_to_size(log_y),
        )


def log_betainc(
    a: Tensor, b: Tensor, x: Tensor, y: Tensor, log_x: Tensor | None = None, log_y: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return log I_x(a, b) and log I_y(b, a), y = 1 - x: the log-probabilities of the two sides of x under a beta law.

    Both are accurate in relative terms however small they are, and differentiable (once) in the shapes and in x; give
    the complement ``y`` to full relative precision. ``log_x`` and ``log_y`` may be given where x or y may underflow;
    the derivative in x goes through them.

    >>> x = torch.tensor(0.25)
    >>> log_betainc(torch.tensor(2.0), torch.tensor(300.0), x, 1.0 - x)
    (tensor(-1.5912e-36), tensor(-82.4286))
    """
    below, above, *_ = _LogBeta.apply(
        a, b, x, y, x.log() if log_x is None else log_x, y.log() if log_y is None else log_y
    )
    return below, above


# Inverses. The log of either tail is concave in log x (gamma) and in logit x (beta), so that Newton's iteration converges
# from anywhere; the second derivative, which costs nothing, makes it cubic.

STEPS = 60  # never needed: a bound on the iterations


def _solve(u: Tensor, log_tail: Tensor, lower: Tensor, tails: Any, bend: Any) -> Tensor:
    """Return the u at which the tail chosen by ``lower`` has the log-probability ``log_tail``, from a first guess."""
    for _ in range(STEPS):
        below, above, slope_below, slope_above = tails(u)
        gap = torch.where(lower, below, above) - log_tail
        slope = torch.where(lower, slope_below, slope_above)
        newton = gap / slope
        step = newton / (1.0 - 0.5 * newton * (bend(u) - slope)).clamp(min=0.5)
        step = torch.where(step.isfinite(), step, 0.0)
        u = u - step
        if not bool((gap.abs() > 1e-5).any()):  # cubed, it is below rounding
            break
    return u


def gammaincinv(a: Tensor, log_tail: Tensor, lower: Tensor) -> Tensor:
    """Return the float64 x with log P(a, x) = log_tail where ``lower`` holds, log Q(a, x) = log_tail elsewhere; no derivative.

    Each probability is best given as that of the smaller tail.

    >>> gammaincinv(torch.tensor(3.0), torch.tensor(-200.0), torch.tensor(False))
    tensor(209.9920, dtype=torch.float64)
    """
    with torch.no_grad():
        a, log_tail, lower = torch.broadcast_tensors(a.double(), log_tail.double(), lower)
        first = (torch.where(lower, log_tail, torch.log1p(-log_tail.exp())) + torch.lgamma(a + 1.0)) / a  # x^a/Γ(a + 1)
        z = torch.special.ndtri(log_tail.exp().clamp(min=1e-300)) * torch.where(lower, 1.0, -1.0)
        root = 1.0 - 1.0 / (9.0 * a) + z / (3.0 * a.sqrt())  # Wilson and Hilferty (1931)
        u = torch.maximum(first, torch.where(root > 0.0, (a * root * root * root).clamp(min=1e-300).log(), first))
        u = torch.where((a < 1.0) & lower, first, u).clamp(min=-680.0, max=680.0)

        def tails(u: Tensor) -> tuple[Tensor, ...]:
            below, above, _, low, _, high = _LogGamma.forward(a, u.exp())
            return below, above, low, high

        root = _solve(u, log_tail, lower, tails, lambda u: a - u.exp()).exp()
        return torch.where(first < -680.0, first.exp(), root)


def betaincinv(a: Tensor, b: Tensor, log_tail: Tensor, lower: Tensor) -> Tensor:
    """Return the float64 logit x with log I_x(a, b) = log_tail where ``lower`` holds, else log I_{1-x}(b, a); no derivative.

    >>> betaincinv(torch.tensor(3.0), torch.tensor(2.0), torch.tensor(-200.0), torch.tensor(True)).sigmoid()
    tensor(6.9829e-30, dtype=torch.float64)
    """
    with torch.no_grad():
        a, b, log_tail, lower = torch.broadcast_tensors(a.double(), b.double(), log_tail.double(), lower)
        a, b = torch.where(lower, a, b), torch.where(lower, b, a)
        z = torch.special.ndtri(log_tail.exp().clamp(min=1e-300))
        u = (a / b).log() + z * torch.sqrt(1.0 / a + 1.0 / b)
        first = log_tail + a.log() + torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
        u = torch.maximum(u, (first / a).clamp(max=0.0)).clamp(max=680.0)

        def tails(u: Tensor) -> tuple[Tensor, ...]:
            log_x, log_y = torch.nn.functional.logsigmoid(u), torch.nn.functional.logsigmoid(-u)
            below, above, _, _, low, _, _, high = _LogBeta.forward(a, b, u.sigmoid(), (-u).sigmoid(), log_x, log_y)
            return below, above, low, high

        ones = torch.ones_like(lower)
        u = _solve(u, log_tail, ones, tails, lambda u: a * (-u).sigmoid() - b * u.sigmoid())
        return torch.where(lower, u, -u)
