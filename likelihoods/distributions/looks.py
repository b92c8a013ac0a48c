"""Looks at the numbers themselves, where they cost next to nothing: whether a textbook formula is good enough for them.

The stable formulas of this folder hold everywhere and are several times as long as the textbook's, which lose digits
only where gamma functions of large numbers are subtracted. On a CPU, in eager mode, one look at the numbers tells. On a
device a look would wait for it; under ``torch.compile``, ``torch.jit.trace`` and ``vmap`` there is nothing to look at. There
the stable formulas do alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from likelihoods import wide
from likelihoods.special import FITTED, HALF_LOG_2PI, polynomial

LIMIT = 100.0  # lgamma is known to 1e-13 up to here
LIMIT_OF_FLOAT32 = 1e4  # whose results are computed in float64: slopes too, which cancel more, keep float32's digits

ORDINARY = 1e-60, 1e60  # numbers whose products, quotients and squares neither vanish nor overflow: all of float32's


def in_sight(*tensors: Tensor) -> bool:
    """Tell whether the numbers can be looked at: tensors of one dtype on the CPU, in eager mode."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]  # torch gives no types
        return False
    dtype = tensors[0].dtype
    for x in tensors:  # noqa: SIM110  # a loop is quicker than all() of a generator, and single numbers come by here
        if x.dtype is not dtype or not x.is_cpu:
            return False
    return True


def span(x: Tensor) -> tuple[float, float]:
    """Return the least and the largest number; two NaN if one is NaN or, in vmap, where none can be looked at."""
    try:
        if x.numel() == 1:
            number = x.detach().item()
            return number, number
        if not x.numel():
            return math.inf, -math.inf
        low, high = torch.aminmax(x.detach())
        return low.item(), high.item()
    except RuntimeError:  # vmap's
        return math.nan, math.nan


def within(x: Tensor, low: float, high: float) -> bool:
    """Tell whether all numbers lie strictly between; False where they cannot be looked at.

    >>> within(torch.tensor([1.0, 2.0]), 0.0, 3.0), within(torch.tensor([1.0, torch.nan]), 0.0, 3.0)
    (True, False)
    """
    least, largest = span(x)
    return least > low and largest < high


def moderate(*parameters: Tensor) -> bool:
    """Tell whether arguments of gamma functions are positive, and small enough for the textbook's formulas.

    >>> moderate(torch.tensor([1.0, 200.0])), moderate(torch.tensor([1.0, 200.0], dtype=torch.float64))
    (True, False)
    """
    for x in parameters:  # noqa: SIM110
        if not within(x, ORDINARY[0], limit(x)):
            return False
    return True


def limit(x: Tensor) -> float:
    """Return the largest moderate number, in the dtype of x."""
    return LIMIT if wide.is_wide(x) else LIMIT_OF_FLOAT32


def counts(x: Tensor, end: Tensor | None = None) -> bool:
    """Tell whether all numbers are counts, none larger than a moderate number or than ``end``.

    >>> counts(torch.tensor([0.0, 3.0])), counts(torch.tensor([0.0, 3.0]), torch.tensor(2.0)), counts(torch.tensor([0.5]))
    (True, False, False)
    """
    least, largest = span(x)
    if not (least >= 0.0 and largest <= limit(x)):
        return False
    whole = largest == int(largest) if x.numel() == 1 else not x.numel() or torch.equal(x, x.floor())
    return whole and (end is None or span(end - x)[0] >= 0.0)


def log_factorial(x: Tensor, like: Tensor) -> Tensor:
    """Return lgamma(x + 1) of float64 numbers for a result in the dtype of ``like``.

    >>> log_factorial(torch.tensor(4.0, dtype=torch.float64), torch.tensor(1.0))
    tensor(3.1781, dtype=torch.float64)
    """
    if wide.is_wide(like) or x.numel() < wide.FEW:
        return torch.lgamma(x + 1.0)
    return wide.log_factorial(x) if x.requires_grad else wide.factorial_block(x)


def power_block(x: Tensor, y: Tensor, a: Tensor) -> Tensor:
    """Return log(x^a / (Γ(a)·y)) without a graph, from float64 numbers for a result in float32: two logarithms in all.

    >>> power_block(*(torch.tensor(number, dtype=torch.float64) for number in (2.0, 2.0, 3.0)))
    tensor(0.6931, dtype=torch.float64)
    """
    r = (a + 1.0).reciprocal_()
    rest = (a / y).square_().mul_(r).log_().mul_(0.5).add_(a).sub_(HALF_LOG_2PI - 1.0)
    rest.sub_(polynomial(r, FITTED).mul_(r))  # Stirling's series of lgamma(a + 1), as in ``wide.factorial_block``
    return torch.addcmul(rest, a, (r * x).log_())


def log_factorial_of(counts: Tensor) -> Tensor:
    """Return lgamma(count + 1) of moderate counts in float64, without a slope: for many of them from a table.

    >>> log_factorial_of(torch.tensor([4.0]))
    tensor([3.1781], dtype=torch.float64)
    """
    if counts.numel() < wide.FEW:
        return torch.lgamma(counts.double() + 1.0)
    top = int(counts.max())
    table = torch.lgamma(torch.arange(1.0, top + 2.0, dtype=torch.float64))
    return torch.index_select(table, 0, counts.reshape(-1).int()).reshape(counts.shape)


def by_blocks(formula: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
    """Return an elementwise formula of large tensors, with its graph, a block that stays in the cache at a time.

    Single numbers among the arguments go into every block; other shapes that differ are left as they are.

    >>> by_blocks(torch.add, torch.arange(100_000.0), torch.tensor(1.0)).sum()
    tensor(5.0000e+09)
    """
    long = [x for x in arguments if x.numel() != 1]
    if not long or long[0].numel() <= 2 * wide.BLOCK or any(x.shape != long[0].shape for x in long):
        return formula(*arguments)
    count = -(-long[0].numel() // wide.BLOCK)
    parts = ((x,) * count if x.numel() == 1 else x.reshape(-1).split(wide.BLOCK) for x in arguments)
    return torch.cat([formula(*part).reshape(-1) for part in zip(*parts, strict=True)]).reshape(long[0].shape)


def by_rows(formula: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
    """Return a formula of the last axis of large tensors, with its graph, as many rows as stay in the cache at a time.

    >>> by_rows(lambda x: x.sum(-1), torch.ones(20_000, 5)).shape
    torch.Size([20000])
    """
    shape = arguments[0].shape
    if arguments[0].numel() <= 2 * wide.BLOCK or any(x.shape != shape for x in arguments):
        return formula(*arguments)
    rows = max(1, wide.BLOCK // shape[-1])
    parts = (x.reshape(-1, shape[-1]).split(rows) for x in arguments)
    return torch.cat([formula(*part) for part in zip(*parts, strict=True)]).reshape(shape[:-1])
