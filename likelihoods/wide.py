"""Log-gamma functions in float64 for laws in lower precision: plain formulas, whose rounding float32 does not see.

Differences of lgamma lose digits at large arguments. The stable forms of ``special`` keep them at some cost; where the
result is rounded to float32 anyway, the plain sum in float64 is quicker and as good. Arguments here are float64, and results
are good to about 1e-9. Large tensors are worked through in blocks that stay in the cache, in place: the passes of a formula
then cost arithmetic, not memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from likelihoods.special import FITTED, HALF_LOG_2PI, analytic, polynomial

PAIRS = (6.0, 10.0, 12.0)  # (x + k)(x + 7 - k) = x(x + 7) + k(7 - k)
SHIFT = 8.0  # Stirling's series is used from here on
STIRLING = (1 / 12, -1 / 360, 1 / 1260)
DIGAMMA = (1 / 12, -1 / 120, 1 / 252)
FEW = 2000  # numbers below which torch's own functions, one slow pass, beat a dozen quick ones
BLOCK = 2**14


def is_wide(x: Tensor) -> bool:
    """Tell whether results in the dtype of x keep digits that float64 sums lose."""
    return x.dtype == torch.float64


def in_blocks(function: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
    """Return an elementwise function of arguments of one shape, a block at a time."""
    shape = arguments[0].shape
    if arguments[0].numel() <= 2 * BLOCK:
        return function(*arguments)
    blocks = zip(*(argument.reshape(-1).split(BLOCK) for argument in arguments), strict=True)
    return torch.cat([function(*block) for block in blocks]).reshape(shape)


def _series(square: Tensor, coefficients: Sequence[float]) -> Tensor:
    result = (square * coefficients[-1]).add_(coefficients[-2])
    for coefficient in coefficients[-3::-1]:
        result.mul_(square).add_(coefficient)
    return result


def factorial_block(x: Tensor) -> Tensor:
    """Return lgamma(x + 1) for x >= 0 without a graph: Stirling's series, its tail as the polynomial that float32 needs."""
    r = (x + 1.0).reciprocal_()
    tail = polynomial(r, FITTED).mul_(r).sub_(x).add_(HALF_LOG_2PI - 1.0)
    return torch.addcmul(tail, x + 0.5, x.log1p())


def lgamma_block(x: Tensor) -> Tensor:
    """Return lgamma(x) without a graph."""
    return factorial_block(x).sub_(x.log())


def digamma_block(x: Tensor) -> Tensor:
    """Return digamma(x) without a graph."""
    u = (x + 7.0).mul_(x)
    below = u.reciprocal()
    for pair in PAIRS:
        below.add_((u + pair).reciprocal_())
    below.mul_((x + 3.5).mul_(2.0))
    top = x + SHIFT
    r = top.reciprocal()
    square = r * r
    tail = _series(square, DIGAMMA).mul_(square).add_(r.mul_(0.5))
    return top.log_().sub_(tail).sub_(below)


def _digamma(x: Tensor) -> Tensor:
    return in_blocks(digamma_block, x)


_digamma_ = analytic(_digamma, lambda x: torch.polygamma(1, x))
_lgamma_ = analytic(lambda x: in_blocks(lgamma_block, x), _digamma_)


def lgamma(x: Tensor) -> Tensor:
    """Return the logarithm of Γ(x), x > 0.

    >>> lgamma(torch.tensor(5.0, dtype=torch.float64))
    tensor(3.1781, dtype=torch.float64)
    """
    return torch.lgamma(x) if x.numel() < FEW else _lgamma_(x)


_log_factorial_ = analytic(lambda x: in_blocks(factorial_block, x), lambda x: _digamma_(x + 1.0))


def log_factorial(x: Tensor) -> Tensor:
    """Return the logarithm of Γ(x + 1), x >= 0, which large tensors have sooner than that of Γ(x).

    >>> log_factorial(torch.tensor(4.0, dtype=torch.float64))
    tensor(3.1781, dtype=torch.float64)
    """
    return torch.lgamma(x + 1.0) if x.numel() < FEW else _log_factorial_(x)


def rise_block(x: Tensor, step: Tensor) -> Tensor:
    """Return lgamma(x + step) - lgamma(x) without a graph."""
    u = (x + 7.0).mul_(x)
    growth = (2.0 * x).add_(7.0).add_(step).mul_(step)  # of x(x + 7), from x to x + step
    factors = (growth / u).add_(1.0)
    for pair in PAIRS:
        factors.mul_((growth / (u + pair)).add_(1.0))
    top = x + SHIFT
    far = top + step
    r, q = top.reciprocal(), far.reciprocal()
    tails = _series(q * q, STIRLING).mul_(q).sub_(_series(r * r, STIRLING).mul_(r))
    main = (step * r).log1p_().mul_(top.sub_(0.5))
    return main.add_(far.log_().sub_(1.0).mul_(step)).add_(tails).sub_(factors.log_())


def rise_slope_block(x: Tensor, step: Tensor) -> Tensor:
    """Return digamma(x) subtracted from digamma(x + step), without a graph."""
    end = x + step
    u, v = (x + 7.0).mul_(x), (end + 7.0).mul_(end)
    below, beyond = u.reciprocal(), v.reciprocal()
    for pair in PAIRS:
        below.add_((u + pair).reciprocal_())
        beyond.add_((v + pair).reciprocal_())
    below = below.mul_((x + 3.5).mul_(2.0)).sub_(beyond.mul_((end + 3.5).mul_(2.0)))
    r, q = (x + SHIFT).reciprocal_(), (end + SHIFT).reciprocal_()
    tails = _series(r * r, DIGAMMA).mul_(r).add_(0.5).mul_(r)
    tails.sub_(_series(q * q, DIGAMMA).mul_(q).add_(0.5).mul_(q))
    return (step * r).log1p_().add_(tails).add_(below)


def _rise(x: Tensor, step: Tensor) -> Tensor:
    return in_blocks(rise_block, *torch.broadcast_tensors(x, step))


def _rise_slope(x: Tensor, step: Tensor) -> Tensor:
    return in_blocks(rise_slope_block, *torch.broadcast_tensors(x, step))


_rise_slope_ = analytic(_rise_slope, lambda x, step: torch.polygamma(1, x + step) - torch.polygamma(1, x), None)
_rise_ = analytic(_rise, _rise_slope_, None)


def lgamma_rise(x: Tensor, step: Tensor) -> Tensor:
    """Return lgamma(x + step) - lgamma(x), x > 0, step >= 0, without their cancellation at large x; no slope in ``step``.

    >>> lgamma_rise(torch.tensor(1e10, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64))
    tensor(46.0517, dtype=torch.float64)
    """
    return _rise_(x, step)
