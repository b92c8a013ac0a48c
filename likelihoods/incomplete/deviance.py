"""The deviance of a binary split: what is left of a beta, binomial or negative binomial log-density besides Stirling terms."""

from __future__ import annotations

import torch
from torch import Tensor

from likelihoods.special import NEAR, analytic, near_log1pmx

UNDERFLOW = 1e-25  # a chance below this is known by its logarithm


def log_ratio(excess: Tensor, share: Tensor, x: Tensor, log_x: Tensor) -> Tensor:
    """Return log(share/x), where ``excess`` is share/x - 1; by ``log_x`` where x is too small for the quotient."""
    ratio = torch.where(excess > -0.5, torch.log1p(excess), (share / x).log())
    return torch.where(x < UNDERFLOW, share.log() - log_x, ratio)


def smooth_log_ratio(excess: Tensor, share: Tensor, x: Tensor, log_x: Tensor) -> Tensor:
    """Return what ``log_ratio`` does, with a derivative that has no NaN."""
    near, tiny = excess.abs() < 0.5, x < UNDERFLOW
    ratio = torch.where(near, torch.log1p(torch.where(near, excess, 0.0)), (share / torch.where(tiny, 1.0, x)).log())
    return torch.where(tiny, share.log() - log_x, ratio)


def deviance(a: Tensor, b: Tensor, x: Tensor, y: Tensor, log_x: Tensor, log_y: Tensor, t: Tensor) -> Tensor:
    """Return ``binary_deviance`` without a derivative."""
    n = a + b
    p, q = t / (n * x), -t / (n * y)
    near = torch.maximum(p.abs(), q.abs()) < NEAR
    close = a * near_log1pmx(p) + b * near_log1pmx(q) + p * (t / y)
    far = a * log_ratio(p, a / n, x, log_x) + b * log_ratio(q, b / n, y, log_y)
    return torch.where(near, close, far)


_binary_deviance = analytic(
    deviance,
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

    It is (a + b) times the Kullback-Leibler divergence of (x, y) from (a, b)/(a + b). The derivatives are those in a, b
    and in x = 1 - y.

    >>> a, x = torch.tensor(3.0), torch.tensor(0.5)
    >>> binary_deviance(a, a, x, x, x.log(), x.log(), torch.tensor(0.0))
    tensor(0.)
    """
    return _binary_deviance(a, b, x, y, log_x, log_y, t)
