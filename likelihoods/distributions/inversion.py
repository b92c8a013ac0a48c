"""Quantiles of continuous laws whose quantile function has no formula."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from likelihoods.distributions.base import Univariate, between, implicit, quantile

Tails = Callable[[Tensor], tuple[Tensor, Tensor]]
STEPS = 40  # a dozen halvings of the bracket, where Newton would creep, then half a dozen steps of Newton


def invert(
    law: Univariate, tails: Tails, probability: Tensor, low: Tensor, high: Tensor, start: Tensor
) -> Tensor:
    """Return the quantile at ``probability``, with slopes in it and in the law's parameters.

    Newton's method on the logarithm of the nearer tail, kept inside a bracket. On the half-line from 0 the bracket is
    halved in log y until Newton's steps are short; on an interval, whose ends a tail reaches like a straight line, a
    step that leaves the bracket is made on the tail itself. The number of steps is fixed: it can be traced.

    Args:
        law: a continuous law.
        tails: its log_cdf and log_sf together, strictly within the support.
        probability: where; 0 and 1 give the ends of the support, anything outside [0, 1] gives NaN.
        low: lower end of the support.
        high: upper end of the support; inf for the half-line from 0.
        start: a guess strictly between them, broadcast with the rest.
    """
    p = between(probability, 0.0, 1.0, torch.full_like(probability, 0.5))
    with torch.no_grad():
        y, low_, high_, p_ = torch.broadcast_tensors(start, low, high, p)
        lower = p_ <= 0.5
        log_p = torch.where(lower, p_, 1.0 - p_).log()
        sign = torch.where(lower, 1.0, -1.0)
        limits = torch.finfo(y.dtype)
        half_line = high_ == torch.inf
        left = torch.where(half_line, limits.smallest_normal, low_)
        right = torch.where(half_line, limits.max, high_)
        for _ in range(STEPS):
            log_tail = torch.where(lower, *tails(y))
            miss, unit = log_tail - log_p, sign * (log_tail - law.log_prob(y)).exp()
            excess = sign * miss
            left, right = torch.where(excess < 0, y, left), torch.where(excess > 0, y, right)
            newton = y - unit * miss
            move = (newton - y).abs()
            inside = (newton > left) & (newton < right) & (~half_line | (move < 0.5 * y))
            found = (move <= 4.0 * limits.eps * y.abs()) & (miss.abs() < 1e-4)  # do not leave it for the middle
            careful = y + unit * torch.expm1(-miss)
            careful = torch.minimum(torch.maximum(careful, torch.nextafter(left, right)), torch.nextafter(right, left))
            positive = (side.clamp(min=limits.smallest_normal).sqrt() for side in (left, right))
            outside = torch.where(half_line, next(positive) * next(positive), careful)
            outside = torch.where(outside.isnan() | (miss < 0) & ~half_line, left + 0.5 * (right - left), outside)
            y = torch.where(inside | found, newton, outside)
        at_low = ~half_line & (right <= torch.nextafter(low_, right))  # no number is left above the end
        at_high = ~half_line & (left >= torch.nextafter(high_, left))
        y = torch.where(at_low | at_high, start, y)
    found = torch.where(at_low, low, torch.where(at_high, high, implicit(law, y, p)))
    return quantile(found, probability, low, high)


def pathwise(law: Univariate, sample: Tensor) -> Tensor:
    """Return the sample with the slopes in the law's parameters that keep its probability."""
    return implicit(law, sample)
