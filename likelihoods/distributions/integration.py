"""Expectations under a continuous law, as integrals over its quantiles."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from likelihoods.distributions.univariate import Univariate, implicit
from likelihoods.special import log1mexp

PANELS = (0.0, 0.1, 0.3, 0.7, 1.5, 3.0, 6.0, 12.0, 24.0, 48.0, 96.0, 192.0, 384.0, 700.0)
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)
DEPTHS = np.concatenate([a + (b - a) * 0.5 * (NODES + 1.0) for a, b in itertools.pairwise(PANELS)])
SHARES = np.concatenate([(b - a) * 0.5 * WEIGHTS for a, b in itertools.pairwise(PANELS)])


def integral(
    law: Univariate,
    at: Callable[[Tensor, Tensor], Tensor],
    low: Tensor,
    high: Tensor,
    values: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Return the expectation of values(y, log_prob(y)), differentiable in the law's parameters.

    The variable of integration is the logarithm of the nearer tail, whose exponential is the weight: it reaches as far into
    a heavy tail as a moment may need, and the quantile is a smooth function of it. The line is split at the law's mode, where
    a density may have its kink, or at the median if the mode is far out. Gauss-Legendre nodes, panels that double.

    Args:
        law: a continuous law.
        at: its quantile, given the logarithms of the lower and of the upper tail.
        low: lower end of its support.
        high: upper end of its support.
        values: the function.
    """
    batch, like = law.batch_shape, law._like
    depth = torch.tensor(DEPTHS, dtype=like.dtype, device=like.device).view(-1, *[1] * len(batch))
    share = torch.tensor(SHARES, dtype=like.dtype, device=like.device).view(depth.shape)
    with torch.no_grad():
        mode = law.mode
        below, above = law.log_tails(mode)
        middle = (below > -5.0) & (above > -5.0)
        log_half = torch.full_like(below, -math.log(2.0))
        below, above = torch.where(middle, below, log_half), torch.where(middle, above, log_half)
        log_p = torch.cat([below - depth, log1mexp(depth - above)])
        log_q = torch.cat([log1mexp(depth - below), above - depth])
        weight = torch.cat([share * (below - depth).exp(), share * (above - depth).exp()])
        y = at(log_p, log_q)
        found = law.log_tails(y)
        miss = torch.where(log_p < log_q, found[0] - log_p, found[1] - log_q)
        lost = ~(miss.abs() < 1.0)  # a quantile nearer to the end, or farther out, than numbers can tell
        y = torch.where(lost, mode, y)
    end = torch.where(log_p < log_q, low, high)
    dropped = lost & end.isinf()
    y = torch.where(lost & ~dropped, end, implicit(law, y))
    terms = torch.where(dropped, 0.0, values(y, law.log_prob(y)))
    return (weight * terms).sum(0).expand(batch)
