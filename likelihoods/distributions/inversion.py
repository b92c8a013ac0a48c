"""Quantiles of continuous laws whose quantile function has no formula."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import between, quantile
from likelihoods.distributions.univariate import Univariate, implicit

INTEGERS = (type(constraints.nonnegative_integer), constraints.integer_interval, type(constraints.boolean))
MOST = 200  # more steps than halving takes
STEPS = 40  # a dozen halvings of the bracket, where Newton would creep, then half a dozen steps of Newton


def invert(law: Univariate, probability: Tensor, low: Tensor, high: Tensor, start: Tensor) -> Tensor:
    """Return the quantile at ``probability``, with slopes in it and in the law's parameters.

    Newton's method on the logarithm of the nearer tail, kept inside a bracket. On the half-line from 0 the bracket is
    halved in log y until Newton's steps are short and the tail is of the right order; on an interval, whose ends a tail
    reaches like a straight line, a step that leaves the bracket is made on the tail itself. The number of steps is fixed:
    it can be traced.

    Args:
        law: a continuous law.
        probability: where; 0 and 1 give the ends of the support, anything outside [0, 1] gives NaN.
        low: lower end of the support.
        high: upper end of the support; inf for the half-line from 0.
        start: a guess strictly between them, broadcast with the rest.
    """
    p = between(probability, 0.0, 1.0, torch.full_like(probability, 0.5))
    with torch.no_grad():
        y, low_, high_, p_ = torch.broadcast_tensors(start, low.to(start.dtype), high.to(start.dtype), p)
        lower = p_ <= 0.5
        log_p = torch.where(lower, p_, 1.0 - p_).log()
        sign = torch.where(lower, 1.0, -1.0)
        limits = torch.finfo(y.dtype)
        half_line = high_ == torch.inf
        left = torch.where(half_line, limits.smallest_normal, low_)
        right = torch.where(half_line, limits.max, high_)
        for _ in range(STEPS):
            log_tail = torch.where(lower, *law.log_tails(y))
            miss, unit = log_tail - log_p, sign * (log_tail - law.log_prob(y)).exp()
            excess = sign * miss
            left, right = torch.where(excess < 0, y, left), torch.where(excess > 0, y, right)
            moved = y - unit * miss
            move = (moved - y).abs()
            # far out a density over its tail has no digits left, and a step may be short for no reason
            near = (move < 0.5 * y) & (miss.abs() < 0.5 * (log_tail.abs() + log_p.abs()))
            inside = (moved > left) & (moved < right) & (~half_line | near)
            found = (move <= 4.0 * limits.eps * y.abs()) & (miss.abs() < 1e-4)  # do not leave it for the middle
            careful = y + unit * torch.expm1(-miss)
            careful = torch.minimum(torch.maximum(careful, torch.nextafter(left, right)), torch.nextafter(right, left))
            positive = (side.clamp(min=limits.smallest_normal).sqrt() for side in (left, right))
            outside = torch.where(half_line, next(positive) * next(positive), careful)
            outside = torch.where(outside.isnan() | (miss < 0) & ~half_line, left + 0.5 * (right - left), outside)
            y = torch.where(inside | found, moved, outside)
        at_low = ~half_line & (right <= torch.nextafter(low_, right))  # no number is left above the end
        at_high = ~half_line & (left >= torch.nextafter(high_, left))
        y = torch.where(at_low | at_high, start, y)
    found = torch.where(at_low, low, torch.where(at_high, high, implicit(law, y, p)))
    return quantile(found, probability, low, high)


def smallest(law: Univariate, probability: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return the smallest floating-point number y in [low, high] with P(Y <= y) >= probability, for any law on the line.

    It halves the set of floating-point numbers, so that neither jumps nor flat stretches of the distribution function
    matter, and no step is ever wasted on an empty part of the line. Where the law has a density at y, y has the slopes
    that keep its probability; at a jump, and after a gap, it has none.

    Args:
        law: any law on the line.
        probability: strictly between 0 and 1.
        low: at most the quantile.
        high: at least the quantile.
    """
    with torch.no_grad():
        low, high, _ = torch.broadcast_tensors(low, high, probability)
        below, found = _order(low) - 1, _order(high)
        below = torch.maximum(below, _order(torch.full_like(low, -torch.inf)))
        while bool((below < found - 1).any()):
            middle = (below >> 1) + (found >> 1) + (below & found & 1)
            least, most = middle, middle
            if isinstance(law.support, INTEGERS):  # as it is at the integer, so it is up to the next one
                integer = _number(middle, low.dtype).floor()
                least = torch.maximum(_order(integer), below + 1)
                most = torch.maximum(torch.minimum(_order(integer + 1.0) - 1, found - 1), middle)
            enough = law.cdf(_number(least, low.dtype)) >= probability
            below, found = torch.where(enough, below, most), torch.where(enough, least, found)
        y = _number(found, low.dtype)
    if law.support.is_discrete or not torch.is_grad_enabled():
        return y
    log_cdf, log_sf = law.log_tails(y)
    lower = log_cdf < log_sf
    tail, sign = torch.where(lower, log_cdf, log_sf), torch.where(lower, 1.0, -1.0)
    with torch.no_grad():
        slope = torch.exp(law.log_prob(y) - tail) * sign
        jump = (log_cdf.exp() - probability).abs() > 1e-3 * torch.minimum(probability, 1.0 - probability)
        slope = torch.where(jump | (slope == 0.0), torch.inf, slope)
    moved = tail - tail.detach() - sign * (probability - probability.detach()) * torch.exp(-tail.detach())
    return y - moved / slope


def newton(
    log_tail: Callable[[Tensor], Tensor],
    log_density: Callable[[Tensor], Tensor],
    target: Tensor,
    upper: Tensor,
    low: Tensor,
    high: Tensor,
    start: Tensor,
) -> Tensor:
    """Return where the logarithm of a tail takes the value ``target``, between low and high, either of which may be infinite.

    Newton's method within a bracket; a step that leaves it, or a second one that does not come near, goes to the middle of
    the floating-point numbers that are left.

    Args:
        log_tail: the logarithm of the tail of each element.
        log_density: that of the density.
        target: the value.
        upper: whether the tail is the upper one, which falls.
        low: at most the solution.
        high: at least the solution.
        start: a guess.
    """
    sign = torch.where(upper, -1.0, 1.0).to(start.dtype)
    y, eps = start, torch.finfo(start.dtype).eps
    for turn in range(MOST):
        log_at = log_tail(y)
        miss = log_at - target
        step = sign * miss * (log_at - log_density(y)).exp()
        beyond = sign * miss > 0
        low, high = torch.where(beyond, low, torch.maximum(low, y)), torch.where(beyond, torch.minimum(high, y), high)
        moved = y - step
        astray = ~((moved >= low) & (moved <= high)) | ((miss.abs() > 0.5) & (turn % 3 == 2))
        order = _order(torch.stack([low, high]))
        middle = _number((order[0] >> 1) + (order[1] >> 1) + (order[0] & order[1] & 1), y.dtype)
        small = (step.abs() <= 2.0 * eps * y.abs()) | (miss.abs() <= 2.0 * eps * target.abs())
        done = small | (order[1] - order[0] <= 1)
        y = torch.where(done, y, torch.where(astray, middle, moved))
        if bool(done.all()):
            break
    return y


def _order(x: Tensor) -> Tensor:
    """Return the place of each number among the floating-point numbers."""
    bits = x.contiguous().view(torch.int64 if x.dtype == torch.float64 else torch.int32)
    return torch.where(bits < 0, torch.iinfo(bits.dtype).min - bits, bits)


def _number(order: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.where(order < 0, torch.iinfo(order.dtype).min - order, order).view(dtype)
