"""Functions with a removable singularity at 0, with slopes of full precision there; autograd's would cancel."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from likelihoods.special import analytic, polynomial


def _bounded(x: Tensor) -> Tensor:
    """Return x within the open interval from -1 to inf, so that log(1 + x) is finite."""
    limits = torch.finfo(x.dtype)
    return x.clamp(limits.eps - 1.0, limits.max)


def _nonzero(a: Tensor) -> Tensor:
    """Return a, and 1 for 0, where a formula divides by a that does not hold there."""
    return a + (a == 0).to(a.dtype)


def _log1p_by(z: Tensor, a: Tensor) -> Tensor:
    return torch.where(a == 0, z, _bounded(a * z).log1p_().div_(_nonzero(a)))


FLAT = 0.01  # x below which slopes at 0 are summed as series
RATIO_CURVATURE = tuple((-1.0) ** k * k * (k - 1) / (k + 1) for k in range(2, 9))
EXPM1_RATIO_SLOPE = tuple((k + 1) / math.factorial(k + 2) for k in range(12))


def _log1p_by_slope(z: Tensor, a: Tensor) -> Tensor:
    """Return the slope in a, (z / (1 + x) - log(1 + x) / a) / a with x = a·z; about 0 its series."""
    x = _bounded(a * z)
    a = _nonzero(a)
    far = (1.0 + x).reciprocal_().mul_(z).sub_(torch.log1p(x).div_(a)).div_(a)
    near = z * z * polynomial(x, (-1 / 2, 2 / 3, -3 / 4))
    return torch.where(x.abs() < (1e-4 if x.dtype == torch.float64 else 1e-2), near, far)


def _log1p_by_curvature(z: Tensor, a: Tensor) -> Tensor:
    x = _bounded(a * z)
    flat = x.abs() < FLAT
    other = torch.where(flat, 1.0, x)
    slope = _log1p_by_slope(torch.ones_like(other), other)
    far = (-((1.0 + other).reciprocal() ** 2) - 2.0 * slope) / other
    return z**3 * torch.where(flat, polynomial(x, RATIO_CURVATURE), far)


_log1p_by_slope_ = analytic(
    _log1p_by_slope, lambda z, a: -z * (1.0 + _bounded(a * z)).reciprocal() ** 2, _log1p_by_curvature
)
_log1p_by_ = analytic(_log1p_by, lambda z, a: (1.0 + _bounded(a * z)).reciprocal(), _log1p_by_slope_)


def log1p_by(z: Tensor, a: Tensor) -> Tensor:
    """Return log(1 + a·z) / a for a·z > -1, z at a = 0, with slopes of full precision about there.

    >>> log1p_by(torch.tensor(2.0), torch.tensor([0.0, 1e-20, 1.0]))
    tensor([2.0000, 2.0000, 1.0986])
    """
    return _log1p_by_(z, a)


def _expm1_ratio_slope(x: Tensor) -> Tensor:
    near = x.abs() < 0.5
    small, other = torch.where(near, x, 0.0), torch.where(near, 1.0, x)
    return torch.where(near, polynomial(small, EXPM1_RATIO_SLOPE), (other.exp() - torch.expm1(other) / other) / other)


_expm1_ratio_ = analytic(lambda x: torch.where(x == 0, 1.0, torch.expm1(x) / x), _expm1_ratio_slope)


def expm1_ratio(x: Tensor) -> Tensor:
    """Return (exp(x) - 1) / x, 1 at x = 0, with a slope of full precision about 0.

    >>> expm1_ratio(torch.tensor([0.0, 1e-20, 1.0]))
    tensor([1.0000, 1.0000, 1.7183])
    """
    return _expm1_ratio_(x)


# log((1 - exp(-t)) / t), the normaliser of an exponential law cut off at 1; its series has Bernoulli numbers B(2n):
# -t/2 + Σ B(2n) t^(2n) / (2n (2n)!). Source: G. Loaiza-Ganem, J. P. Cunningham (2019), arXiv:1907.06845

BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
EXPM1_LOG = tuple(b / (2 * n * math.factorial(2 * n)) for n, b in enumerate(BERNOULLI, 1))
EXPM1_LOG_SLOPE = tuple(2 * n * c for n, c in enumerate(EXPM1_LOG, 1))
EXPM1_LOG_CURVATURE = tuple((2 * n - 1) * c for n, c in enumerate(EXPM1_LOG_SLOPE, 1))


def _expm1_ratio_log(t: Tensor) -> Tensor:
    small, large = t.clamp(max=0.5), t.clamp(min=0.5)
    square = small * small
    series = square * polynomial(square, EXPM1_LOG) - 0.5 * small
    return torch.where(t < 0.5, series, torch.log1p(-torch.exp(-large)) - large.log())


def _expm1_ratio_log_slope(t: Tensor) -> Tensor:
    small, large = t.clamp(max=0.5), t.clamp(min=0.5)
    series = small * polynomial(small * small, EXPM1_LOG_SLOPE) - 0.5
    return torch.where(t < 0.5, series, torch.expm1(large).reciprocal() - large.reciprocal())


def expm1_ratio_log_curvature(t: Tensor) -> Tensor:
    """Return the second slope of :func:`expm1_ratio_log`: 1/t² - 1/(2·sinh(t/2))²."""
    small, large = t.clamp(max=0.5), t.clamp(min=0.5)
    series = polynomial(small * small, EXPM1_LOG_CURVATURE)
    root = 2.0 * torch.sinh(0.5 * large.clamp(max=150.0))  # beyond, its square is no part of the sum
    return torch.where(t < 0.5, series, (large * large).reciprocal() - (root * root).reciprocal())


_expm1_ratio_log_slope_ = analytic(_expm1_ratio_log_slope, expm1_ratio_log_curvature)


def expm1_ratio_log_slope(t: Tensor) -> Tensor:
    """Return the slope of :func:`expm1_ratio_log`: 1/(exp(t) - 1) - 1/t, -1/2 at t = 0.

    >>> expm1_ratio_log_slope(torch.tensor([0.0, 1e3]))
    tensor([-0.5000, -0.0010])
    """
    return _expm1_ratio_log_slope_(t)


_expm1_ratio_log_ = analytic(_expm1_ratio_log, expm1_ratio_log_slope)


def expm1_ratio_log(t: Tensor) -> Tensor:
    """Return log((1 - exp(-t)) / t) for t >= 0, 0 at t = 0.

    >>> expm1_ratio_log(torch.tensor([0.0, 1e3]))
    tensor([ 0.0000, -6.9078])
    """
    return _expm1_ratio_log_(t)
