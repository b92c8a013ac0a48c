"""The modified Bessel functions of directional laws: log-normalisers and mean resultant lengths, without overflow.

For a von Mises-Fisher law in d dimensions, with ν = d/2 - 1: A(x) = I(ν+1, x) / I(ν, x) is the mean of the cosine.

Sources: NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov/10.40 (large arguments),
https://dlmf.nist.gov/10.41 (large orders, uniformly in the argument).
"""

from __future__ import annotations

import itertools
import math
import operator
from fractions import Fraction

import torch
from torch import Tensor

from likelihoods.special import analytic, polynomial

# The circle

LARGE_BESSEL = 30.0  # from here on the series in 1/x gives 1 - A; the difference of I0 and I1 loses x of its digits


def _hankel(order: int) -> tuple[float, ...]:
    """Return the coefficients of exp(-x)·√(2πx)·I(order)(x) in powers of 1/x."""
    factors = (((2 * j - 1) ** 2 - 4 * order**2) / (8 * j) for j in range(1, 17))
    return tuple(itertools.accumulate(factors, operator.mul, initial=1.0))


HANKEL = _hankel(0)
HANKEL_GAP = tuple(a - b for a, b in zip(_hankel(0)[1:], _hankel(1)[1:], strict=True))


# torch evaluates I0 and I1 one number at a time. Many numbers in single precision are better served by polynomials
# (Chebyshev interpolants to 1e-8, 7e-7 for the gap): in (x/4)² up to 4, in 4/x beyond.

MANY = 256
I0 = (0.9999999985, 4.000000193, 3.999995954, 1.777809969, 0.4443189384, 0.07137581866, 0.007594296854, 0.0008267815944)
I1 = (0.5000000061, 0.9999994089, 0.6666760722, 0.222166221, 0.04460261604, 0.005698353285, 0.0007236047275)
FAR_I0 = (
    *(0.3989422812, 0.0124668955, 0.00175115271, 0.000531330723, -0.0006214100391, 0.004053827787, -0.0103708363),
    *(0.0146499027, -0.009930605431, 0.002531309408),
)
FAR_GAP = (
    *(0.1994712651, 0.0186791181, 0.004972207448, -0.004532857852, 0.03157484609, -0.08131853801, 0.115751359),
    *(-0.0785251716, 0.0199364436),
)


def _quick(x: Tensor) -> bool:
    return x.dtype == torch.float32 and x.numel() >= MANY


def _log_i0e(x: Tensor) -> Tensor:
    if not _quick(x):
        scaled: Tensor = torch.special.i0e(x)
        return scaled.log()
    near, far = 0.25 * x.clamp(max=4.0), 0.25 * x.clamp(min=4.0)
    value = polynomial(near * near, I0) * torch.exp(-x)
    return torch.where(x < 4.0, value, 0.5 * polynomial(far.reciprocal(), FAR_I0) * far.rsqrt()).log()


def _resultant_gap(x: Tensor) -> Tensor:
    if _quick(x):
        near, far = 0.25 * x.clamp(max=4.0), 4.0 / x.clamp(min=4.0)
        square = near * near
        value = 1.0 - 4.0 * near * (polynomial(square, I1) / polynomial(square, I0))
        return torch.where(x < 4.0, value, 0.25 * far * (polynomial(far, FAR_GAP) / polynomial(far, FAR_I0)))
    terms = 16 if x.dtype == torch.float64 else 5
    small, u = x.clamp(max=LARGE_BESSEL), x.clamp(min=LARGE_BESSEL).reciprocal()
    value = 1.0 - torch.special.i1e(small) / torch.special.i0e(small)
    series = u * polynomial(u, HANKEL_GAP[:terms]) / polynomial(u, HANKEL[:terms])
    return torch.where(x < LARGE_BESSEL, value, series)


_resultant_gap_ = analytic(
    _resultant_gap, lambda x: (1.0 - resultant_gap(x)) / x - resultant_gap(x) * (2.0 - resultant_gap(x))
)


def resultant_gap(x: Tensor) -> Tensor:
    """Return 1 - I1(x)/I0(x), x >= 0; it falls like 1/(2x).

    >>> resultant_gap(torch.tensor([0.0, 1e6]))
    tensor([1.0000e+00, 5.0000e-07])
    """
    return _resultant_gap_(x)


_log_i0e_ = analytic(_log_i0e, lambda x: -resultant_gap(x))


def log_i0e(x: Tensor) -> Tensor:
    """Return log(exp(-x)·I0(x)), x >= 0.

    >>> log_i0e(torch.tensor([0.0, 1e6], dtype=torch.float64))
    tensor([ 0.0000, -7.8267], dtype=torch.float64)
    """
    return _log_i0e_(x)


# Spheres in any dimension, order = dim/2 - 1: Debye's expansion at an order that is large enough for it, then the
# recurrence down to the order. The functions take the order as a tensor; they compute in float64.

STEPS = 10
TERMS = 14


def _debye() -> list[list[Fraction]]:
    """Return the polynomials u(k) in p of https://dlmf.nist.gov/10.41.E9, by their coefficients."""
    found = [[Fraction(1)]]
    for _ in range(TERMS - 1):
        u = found[-1]
        new = [Fraction(0)] * (len(u) + 3)
        for n, c in enumerate(u):  # p²(1 - p²)/2 · u' + 1/8 · ∫ (1 - 5t²) u dt
            new[n + 1] += c * (Fraction(n, 2) + Fraction(1, 8 * (n + 1)))
            new[n + 3] -= c * (Fraction(n, 2) + Fraction(5, 8 * (n + 3)))
        found.append(new)
    return found


DEBYE = _debye()
U = tuple(tuple(map(float, u[k::2])) for k, u in enumerate(DEBYE))  # u(k) / p^k, in p²
# (v(k) - u(k)) / (p^k (1 - p²)), where v belongs to the slope of I: p (u(k - 1) / 2 + p u'(k - 1)) but for the sign
W = (
    (),
    *(tuple(float(-c * (k + 2 * i + Fraction(1, 2))) for i, c in enumerate(u[k::2])) for k, u in enumerate(DEBYE[:-1])),
)


def _sum(x: Tensor, square: Tensor, table: tuple[tuple[float, ...], ...]) -> Tensor:
    """Return the sum over k of x^k · (the polynomial k of ``table`` in ``square``)."""
    total = torch.zeros_like(x)
    for coefficients in table[:0:-1]:
        total = x * (total + (polynomial(square, coefficients) if len(coefficients) > 1 else coefficients[0]))
    return total + sum(table[0])


def _top(x: Tensor, order: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return x, the order at the top, √(x² + top²) and Debye's sums for I and for its slope there."""
    x, top = x.double(), order.double() + STEPS
    h = torch.hypot(x, top)
    u, square = h.reciprocal(), (top / h) ** 2
    return x, top, h, _sum(u, square, U), _sum(u, square, W)


def _ratios(x: Tensor, order: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the logarithm of x^top · exp(x) / I(top, x), and I(j + 1, x) / (x I(j, x)) from the top down to the order."""
    x, top, h, u, w = _top(x, order)
    log_top = top * (top + h).log() - top * top / (h + x) + 0.5 * (2.0 * math.pi * h).log() - u.log()
    found = [(h + top).reciprocal() + w / (h * u)]
    for step in range(STEPS):
        found.append((2.0 * (top - step) + x * (x * found[-1])).reciprocal())
    return log_top, found


def _log_normalizer(x: Tensor, order: Tensor) -> Tensor:
    log_top, found = _ratios(x, order)
    return (log_top + sum(ratio.log() for ratio in found[1:]) - (order + 1.0) * math.log(2.0 * math.pi)).to(x.dtype)


def _gap(x: Tensor, order: Tensor) -> Tensor:
    dtype, (x, top, h, u, w) = x.dtype, _top(x, order)
    found = (top + top * top / (h + x)) / (h + top) - x * w / (h * u)
    for step in range(STEPS):
        rest = 2.0 * (top - step) - x * found
        found = rest / (x + rest)
    return found.to(dtype)


def _ratio(x: Tensor, order: Tensor) -> Tensor:
    return _ratios(x, order)[1][-1].to(x.dtype)


def _gap_slope(x: Tensor, order: Tensor) -> Tensor:
    ratio, dtype, x = _ratios(x, order)[1][-1], x.dtype, x.double()
    cosine, free = x * ratio, 2.0 * order + 1.0
    near = free * ratio - (1.0 - cosine) * (1.0 + cosine)
    limit = 1e3 * (order + 1.0)  # beyond, this cancels, and three terms of the series in 1/x are as good
    u = torch.maximum(x, limit).reciprocal()
    far = free * u * u * (-0.5 + (free - 2.0) * u * (0.25 + 0.375 * u))
    return torch.where(x < limit, near, far).to(dtype)


_gap_ = analytic(_gap, _gap_slope, None)
_ratio_ = analytic(_ratio, lambda x, order: (-_gap_slope(x, order) - _ratio(x, order)) / x, None)
_log_normalizer_ = analytic(_log_normalizer, _gap_, None)


class Sphere:
    """The functions of the concentration x >= 0 of a von Mises-Fisher law on the unit sphere in ``dim`` dimensions.

    The density is exp(x·cosine) times the normaliser, A(x) the mean of the cosine.

    >>> sphere = Sphere(3)
    >>> x = torch.tensor([0.0, 1e6], dtype=torch.float64)
    >>> sphere.log_normalizer(x)
    tensor([-2.5310, 11.9776], dtype=torch.float64)
    >>> sphere.gap(x)
    tensor([1.0000e+00, 1.0000e-06], dtype=torch.float64)
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def _order(self, x: Tensor) -> Tensor:
        return torch.full((), 0.5 * self.dim - 1.0, dtype=torch.float64, device=x.device)

    def log_normalizer(self, x: Tensor) -> Tensor:
        """Return the logarithm of exp(x) times the normaliser."""
        return _log_normalizer_(x, self._order(x))

    def gap(self, x: Tensor) -> Tensor:
        """Return 1 - A(x), which falls like (dim - 1) / (2x)."""
        return _gap_(x, self._order(x))

    def ratio(self, x: Tensor) -> Tensor:
        """Return A(x) / x, which is 1 / dim at x = 0."""
        return _ratio_(x, self._order(x))
