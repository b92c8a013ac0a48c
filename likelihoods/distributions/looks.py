"""Looks at the numbers themselves, where they cost next to nothing: whether a textbook formula is good enough for them.

The stable formulas of this folder hold everywhere and are several times as long as the textbook's, which lose digits
only where gamma functions of large numbers are subtracted. On a CPU, in eager mode, one look at the numbers tells. On a
device a look would wait for it; under ``torch.compile``, ``torch.jit.trace`` and ``vmap`` there is nothing to look at. There
the stable formulas do alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from likelihoods import wide

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
