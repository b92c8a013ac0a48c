"""Log-gamma functions in float64 for laws in lower precision: plain formulas, whose rounding float32 does not see.

Differences of lgamma lose digits at large arguments. The stable forms of ``special`` keep them at some cost; where the
result is rounded to float32 anyway, the plain sum in float64 is quicker and as good. Arguments are float64 where nothing
else is said, and results are good to about 1e-9. Large tensors are worked through in blocks that stay in the cache, in
place: the passes of a formula then cost arithmetic, not memory.
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


def by_blocks(formula: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
    """Return an elementwise formula of large tensors, with its graph, a block that stays in the cache at a time.

    Single numbers among the arguments go into every block; other shapes that differ are left as they are.

    >>> by_blocks(torch.add, torch.arange(100_000.0), torch.tensor(1.0)).sum()
    tensor(5.0000e+09)
    """
    long = [x for x in arguments if x.numel() != 1]
    if not long or long[0].numel() <= 2 * BLOCK or any(x.shape != long[0].shape for x in long):
        return formula(*arguments)
    count = -(-long[0].numel() // BLOCK)
    parts = ((x,) * count if x.numel() == 1 else x.reshape(-1).split(BLOCK) for x in arguments)
    return torch.cat([formula(*part).reshape(-1) for part in zip(*parts, strict=True)]).reshape(long[0].shape)


def by_rows(formula: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
    """Return a formula of the last axis of large tensors, with its graph, as many rows as stay in the cache at a time.

    >>> by_rows(lambda x: x.sum(-1), torch.ones(20_000, 5)).shape
    torch.Size([20000])
    """
    shape = arguments[0].shape
    if arguments[0].numel() <= 2 * BLOCK or any(x.shape != shape for x in arguments):
        return formula(*arguments)
    rows = max(1, BLOCK // shape[-1])
    parts = (x.reshape(-1, shape[-1]).split(rows) for x in arguments)
    return torch.cat([formula(*part) for part in zip(*parts, strict=True)]).reshape(shape[:-1])


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
    return by_blocks(digamma_block, x)


_digamma_ = analytic(_digamma, lambda x: torch.polygamma(1, x))
_lgamma_ = analytic(lambda x: by_blocks(lgamma_block, x), _digamma_)


def lgamma(x: Tensor) -> Tensor:
    """Return the logarithm of Γ(x), x > 0.

    >>> lgamma(torch.tensor(5.0, dtype=torch.float64))
    tensor(3.1781, dtype=torch.float64)
    """
    return torch.lgamma(x) if x.numel() < FEW else _lgamma_(x)


_log_factorial_ = analytic(lambda x: by_blocks(factorial_block, x), lambda x: _digamma_(x + 1.0))


def log_factorial(x: Tensor, like: Tensor) -> Tensor:
    """Return lgamma(x + 1) of float64 numbers for a result in the dtype of ``like``.

    >>> log_factorial(torch.tensor(4.0, dtype=torch.float64), torch.tensor(1.0))
    tensor(3.1781, dtype=torch.float64)
    """
    if is_wide(like) or x.numel() < FEW:
        return torch.lgamma(x + 1.0)
    return _log_factorial_(x) if x.requires_grad else factorial_block(x)


def power_block(x: Tensor, y: Tensor, a: Tensor) -> Tensor:
    """Return log(x^a / (Γ(a)·y)) without a graph, from float64 numbers for a result in float32: two logarithms in all.

    >>> power_block(*(torch.tensor(number, dtype=torch.float64) for number in (2.0, 2.0, 3.0)))
    tensor(0.6931, dtype=torch.float64)
    """
    r = (a + 1.0).reciprocal_()
    rest = (a / y).square_().mul_(r).log_().mul_(0.5).add_(a).sub_(HALF_LOG_2PI - 1.0)
    rest.sub_(polynomial(r, FITTED).mul_(r))  # Stirling's series of lgamma(a + 1), as in ``factorial_block``
    return torch.addcmul(rest, a, (r * x).log_())


def log_factorial_of(counts: Tensor) -> Tensor:
    """Return lgamma(count + 1) of moderate counts on the CPU, in float64, without a slope: for many of them from a table.

    >>> log_factorial_of(torch.tensor([4.0]))
    tensor([3.1781], dtype=torch.float64)
    """
    if counts.numel() < FEW:
        return torch.lgamma(counts.double() + 1.0)
    top = int(counts.max())
    table = torch.lgamma(torch.arange(1.0, top + 2.0, dtype=torch.float64))
    return torch.index_select(table, 0, counts.reshape(-1).int()).reshape(counts.shape)


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
    return by_blocks(rise_block, *torch.broadcast_tensors(x, step))


def _rise_slope(x: Tensor, step: Tensor) -> Tensor:
    return by_blocks(rise_slope_block, *torch.broadcast_tensors(x, step))


_rise_slope_ = analytic(_rise_slope, lambda x, step: torch.polygamma(1, x + step) - torch.polygamma(1, x), None)
_rise_ = analytic(_rise, _rise_slope_, None)


def lgamma_rise(x: Tensor, step: Tensor) -> Tensor:
    """Return lgamma(x + step) - lgamma(x), x > 0, step >= 0, without their cancellation at large x; no slope in ``step``.

    >>> lgamma_rise(torch.tensor(1e10, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64))
    tensor(46.0517, dtype=torch.float64)
    """
    return _rise_(x, step)
