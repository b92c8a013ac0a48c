"""What the two incomplete functions share: the Gauss rule, the first guess of its reach, and blocks of rows."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from likelihoods.special import log1mexp, polynomial

NODES = 24  # of the Gauss-Legendre rule
DEPTH = 37.0  # the integrand is dropped where it falls below exp(-DEPTH)
SMALL = 0.1  # reach below which κ is summed as a power series: there the closed form cancels
ORDER = 10  # of that series
SHIFT = 12  # a shape parameter is raised by this much, so that the integrand falls fast, and brought back after
TERMS = 18  # of the series that stands in where the integrand would be flat for long
ROWS = 8192  # in a block: its vectors stay in the cache, and are too small for malloc to take each from the system
TABLE = 640  # rows of a (rows, NODES) table: likewise
EXPM1X_SLOPE = tuple((k + 1) / math.factorial(k + 2) for k in range(14))

_nodes, _weights = np.polynomial.legendre.leggauss(NODES)
POINTS = torch.tensor(0.5 + 0.5 * _nodes, dtype=torch.float64)
WEIGHTS = torch.tensor(0.5 * _weights, dtype=torch.float64)
POWERS = torch.stack([POINTS ** (k + 2) for k in range(ORDER)])
ORDERS = torch.arange(1, TERMS, dtype=torch.float64)
STEPS = torch.arange(SHIFT, dtype=torch.float64)


def first_reach(slope: Tensor, curvature: Tensor, growth: Tensor) -> Tensor:
    """Return a first guess of the v at which δ·v + κ(v) is DEPTH: for κ = curvature·v²/2, or growth·exp(v) if that is less."""
    quadratic = 2.0 * DEPTH / (slope + torch.sqrt(slope * slope + 2.0 * DEPTH * curvature))
    return torch.minimum(quadratic, torch.log(5.0 + DEPTH / growth))


def power_series(coefficients: Tensor) -> Tensor:
    """Return, for rows of coefficients of v², v³, …, times the powers of the reach, the series at each node."""
    powers = POWERS.to(coefficients.device)
    total = coefficients[..., :1] * powers[0]
    for k in range(1, ORDER):
        total = total.addcmul_(coefficients[..., k : k + 1], powers[k])
    return total


def flat_part(b: Tensor, gap: Tensor) -> tuple[Tensor, Tensor]:
    """Return (exp(b·gap) - 1)/b and its derivative in b, for gap >= 0 and small b·gap."""
    z = (b * gap).clamp(max=1.0)
    return gap * torch.where(z > 0.0, torch.expm1(z) / z, 1.0), gap * gap * polynomial(z, EXPM1X_SLOPE)


def in_blocks(function: Callable[..., tuple[Tensor, ...]], rows: int, *vectors: Tensor) -> tuple[Tensor, ...]:
    """Apply ``function`` to vectors of one length, so many rows at a time."""
    if vectors[0].numel() <= rows:
        return function(*vectors)
    blocks = [function(*block) for block in zip(*(vector.split(rows) for vector in vectors), strict=True)]
    return tuple(torch.cat(parts) for parts in zip(*blocks, strict=True))


def elementwise(function: Callable[..., tuple[Tensor, ...]], *arguments: Tensor) -> tuple[Tensor, ...]:
    """Apply ``function``, which takes vectors, to arguments that broadcast."""
    wide = torch.broadcast_tensors(*arguments)
    parts = in_blocks(function, ROWS, *(argument.reshape(-1) for argument in wide))
    return tuple(part.reshape(wide[0].shape) for part in parts)


def both(upper: Tensor, log_tail: Tensor, slopes: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the logs of the lower and the upper tail, then the slopes of the first and of the second.

    ``log_tail`` is that of the smaller one, which ``upper`` tells, and the larger is its complement.
    """
    other = log1mexp(-log_tail)
    odds = -torch.exp(log_tail - other)
    below, above = torch.where(upper, other, log_tail), torch.where(upper, log_tail, other)
    low, high = torch.where(upper, odds, 1.0), torch.where(upper, 1.0, odds)
    return below, above, *(low * slope for slope in slopes), *(high * slope for slope in slopes)


def joint_dtype(a: Tensor, b: Tensor) -> torch.dtype:
    """Return the dtype of a sum of both, as ``torch.result_type``, which torch.compile does not trace."""
    if (a.dim() == 0) == (b.dim() == 0):
        return torch.promote_types(a.dtype, b.dtype)
    return b.dtype if a.dim() == 0 else a.dtype
