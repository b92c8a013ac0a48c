"""Quantiles and pathwise samples of continuous laws whose quantile function has no formula."""

from __future__ import annotations

import torch
from torch import Tensor

from likelihoods.distributions.base import Univariate, between, quantile

STEPS = 60  # Newton needs about ten; bisection of the bracket, which catches it, no more than these


def invert(law: Univariate, probability: Tensor, low: Tensor, high: Tensor, start: Tensor) -> Tensor:
    """Return the quantile at ``probability``, with slopes in it and in the law's parameters.

    Newton's method on the logarithm of the nearer tail, kept inside a bracket. On a half-line the bracket is halved in
    log y. The number of steps is fixed, so that it can be traced and vectorised.

    Args:
        law: a continuous law.
        probability: where; 0 and 1 give the ends of the support, anything outside [0, 1] gives NaN.
        low: lower end of the support.
        high: upper end of the support; infinite for a half-line.
        start: a guess strictly between them, broadcast with the rest.
    """
    p = between(probability, 0.0, 1.0, torch.full_like(probability, 0.5))
    lower = p <= 0.5
    log_p = torch.where(lower, p, 1.0 - p).log()
    sign = torch.where(lower, 1.0, -1.0)

    def miss(y: Tensor) -> tuple[Tensor, Tensor]:
        """Return how far y is too high, and the slope of that in y."""
        log_tail = torch.where(lower, law.log_cdf(y), law.log_sf(y))
        return sign * (log_tail - log_p), (law.log_prob(y).detach() - log_tail.detach()).exp()

    with torch.no_grad():
        y, low_, high_, _ = torch.broadcast_tensors(start, low, high, p)
        half_line = high_ == torch.inf
        limits = torch.finfo(y.dtype)
        left = torch.where(half_line, limits.smallest_normal, low_)
        right = torch.where(half_line, limits.max, high_)
        for _ in range(STEPS):
            excess, slope = miss(y)
            left, right = torch.where(excess < 0, y, left), torch.where(excess > 0, y, right)
            newton = y - excess / slope
            geometric = (left.clamp(min=limits.smallest_normal).sqrt()) * (right.clamp(min=limits.smallest_normal).sqrt())
            middle = torch.where(half_line, geometric, left + 0.5 * (right - left))
            y = torch.where((newton > left) & (newton < right), newton, torch.where(excess == 0, y, middle))
    excess, slope = miss(y)
    step = torch.where(slope > 0, excess / torch.where(slope > 0, slope, 1.0), 0.0)
    return quantile(y - step, probability, low, high)


def pathwise(law: Univariate, sample: Tensor) -> Tensor:
    """Return the sample with the slopes in the law's parameters that keep its probability: -(slope of cdf) / density.

    Source: M. Figurnov, S. Mohamed, A. Mnih (2018), https://arxiv.org/abs/1805.08498
    """
    y = sample.detach()
    log_cdf, log_sf = law.log_cdf(y), law.log_sf(y)
    lower = log_cdf.detach() < log_sf.detach()
    log_tail = torch.where(lower, log_cdf, log_sf)
    sign = torch.where(lower, 1.0, -1.0)
    slope = (law.log_prob(y).detach() - log_tail.detach()).exp()
    step = sign * (log_tail - log_tail.detach()) / torch.where(slope > 0, slope, 1.0)
    return y - torch.where(slope > 0, step, 0.0)
