"""The Tweedie law with a power between 1 and 2: a Poisson sum of gamma amounts."""

from __future__ import annotations

import math
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import (
    STORED,
    Value,
    at_ends,
    between,
    floating,
    log_positive,
    open_interval,
    promote,
    register_kl,
)
from likelihoods.distributions.inversion import invert
from likelihoods.distributions.tails import BothTails
from likelihoods.incomplete import log_gammainc
from likelihoods.special import LOG_2, NEAR, analytic, log1mexp, near_log1pmx, stirling, stirling_slope

LOG_2PI = math.log(2.0 * math.pi)
DENSITY_TERMS, CDF_TERMS = 96, 128
MANY = 20.0  # amounts expected, from which on zeros and small totals are rare
SPREAD = 18.0  # standard deviations that the terms of a sum must span
GRID, FURTHEST = 401, 9.0  # points, and their reach, for entropy and mode
ROWS = 1 << 13  # values for which the terms are held in memory at a time


class Tweedie(BothTails, TorchDistribution):
    r"""The Tweedie law of total claims, total rain and the like: 0 with positive probability, else a density.

    It is the law of a Poisson(λ) number of Gamma(α, 1/γ) amounts, λ = mean^(2-power) / (dispersion · (2 - power)),
    α = (2 - power) / (power - 1), γ = dispersion · (power - 1) · mean^(power-1); the variance is dispersion ·
    mean^power. ``log_prob`` is the log-probability -λ at 0 and the log of the density beyond.

    The density is the series of Dunn and Smyth over the number of amounts, each term in saddlepoint form, so that none
    cancels. A fixed number of terms, integers about the largest or, where those would not reach, a wider grid (the
    terms are smooth enough then for the trapezoidal rule to equal the sum to rounding), is exact to 1e-13 whatever the
    parameters. The cdf sums gamma distribution functions likewise; there the wide grid, used for λ above 50, is fine
    enough only for powers of at least 1.04.

    Args:
        mean: mean, positive.
        dispersion: positive.
        power: exponent of the mean in the variance, between 1 (Poisson) and 2 (gamma).
        validate_args: whether to check the parameters; torch's default if None.

    Source: B. Jorgensen (1987), doi:10.1111/j.2517-6161.1987.tb01685.x; P. K. Dunn, G. K. Smyth (2005),
    doi:10.1007/s11222-005-4070-y.

    >>> Tweedie(2.0, 1.0, 1.5).log_prob(torch.tensor([0.0, 2.0, -1.0]))
    tensor([-2.8284, -1.5122,    -inf])
    """

    arg_constraints = {
        "mean": constraints.positive,
        "dispersion": constraints.positive,
        "power": open_interval(1.0, 2.0),
    }
    support = constraints.nonnegative
    atoms = (0.0,)
    mean: Tensor = STORED  # the parameter, with the batch shape, instead of torch's property

    def __init__(
        self, mean: Value = 1.0, dispersion: Value = 1.0, power: Value = 1.5, *, validate_args: bool | None = None
    ) -> None:
        self.mean, self.dispersion, self.power = promote(mean, dispersion, power)
        self._settle(validate_args)
        self.mean = self._full(self.mean)

    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the Poisson rate, and the shape and the scale of the amounts."""
        return _parts(self.mean, self.dispersion, self.power)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability at 0 and the log-density beyond, in nats; -inf for value < 0."""
        value = floating(value, self.mean)
        positive = between(value, 0.0, torch.inf, self.mean.detach())
        density = _log_density(positive, self.mean, self.dispersion, self.power)
        return torch.where(value == 0, -self._parts()[0], density + log_positive(value))

    # Distribution function

    def log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return log_cdf and log_sf, which cost no more together than one of them."""
        value = floating(value, self.mean)
        below, above = self._log_tails(between(value, 0.0, torch.inf, self.mean.detach()))
        rate = self._parts()[0]
        below = torch.where(value == 0, -rate, at_ends(below, value, 0.0, torch.inf, -torch.inf, 0.0))
        return below, torch.where(value == 0, log1mexp(rate), at_ends(above, value, 0.0, torch.inf, 0.0, -torch.inf))

    def _log_tails(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return log_cdf and log_sf at y > 0.

        The one comes from its sum over the numbers about the likeliest for a total y,
        the other from it. Left of the mean the sum of the upper tail may miss the numbers that matter, but then it is not
        small; right of the mean so may that of the lower tail.
        """
        rate, shape, scale = self._parts()
        j, log_step = _counts(y, self.dispersion, self.power, CDF_TERMS, 0.0)
        below, above = log_gammainc(shape.unsqueeze(-1) * j, (y / scale).unsqueeze(-1))
        chance = j * _bend(rate.unsqueeze(-1), j) - stirling(j) - 0.5 * (LOG_2PI + j.log())
        below = torch.logaddexp(-rate, torch.logsumexp(chance + below, -1) + log_step)
        above = torch.logsumexp(chance + above, -1) + log_step
        lower = (y < self.mean) & ((below < -LOG_2) | (rate > MANY))
        rest = log1mexp(-torch.where(lower, below, above))
        return torch.where(lower, below, rest), torch.where(lower, rest, above)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``; 0 up to P(0)."""
        rate = self._parts()[0]
        zero = torch.zeros((), dtype=self.mean.dtype, device=self.mean.device)
        atom = (value <= (-rate).exp()) & (value >= 0)
        inner = torch.where(atom, 0.5 * (1.0 + (-rate).exp()), value).detach()
        found = invert(self, torch.where(atom, inner, value), zero, zero + torch.inf, self.mean)
        return torch.where(atom, 0.0, found)

    # Moments

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self._full(self.dispersion * self.mean**self.power)

    def _grid(self) -> tuple[Tensor, Tensor]:
        """Return points that reach from the mean far into both tails, and the weights of a sum that is an integral.

        They are scale · exp(t - exp(-t)) with t = width · sinh(u), close together about the mean.
        """
        rate, shape, _ = (part.detach().unsqueeze(-1) for part in self._parts())
        width = ((1.0 + shape) / (shape * rate)).sqrt().clamp(max=1.0)
        furthest = torch.asinh(FURTHEST / width)
        u = torch.linspace(-1.0, 1.0, GRID, dtype=rate.dtype, device=rate.device) * furthest
        t = width * u.sinh()
        log_y = self.mean.detach().unsqueeze(-1).log() + 1.0 + t - torch.exp(-t)
        step = (2.0 / (GRID - 1.0)) * furthest * width * u.cosh() * (1.0 + torch.exp(-t))
        limits = torch.finfo(rate.dtype)
        y = log_y.clamp(math.log(limits.smallest_normal), math.log(limits.max) - 1.0).exp()
        return y, torch.where(log_y > math.log(limits.smallest_normal), step * y, 0.0)

    @property
    def mode(self) -> Tensor:
        """The point of highest ``log_prob``; 0 also where the density rises as y falls to 0. Without a slope."""
        with torch.no_grad():
            shape = (GRID, *self._batch_shape)
            y = self._grid()[0].movedim(-1, 0).expand(shape)
            density = self.expand(shape).log_prob(y)
            best = density.argmax(0, keepdim=True)
            inner = best.clamp(1, GRID - 2)
            left, right = y.gather(0, inner - 1)[0], y.gather(0, inner + 1)[0]
            for _ in range(40):
                third = (right - left) / 3.0
                rising = self.log_prob(left + third) < self.log_prob(right - third)
                left, right = torch.where(rising, left + third, left), torch.where(rising, right, right - third)
            rate, amount, _ = self._parts()
            at_zero = (amount < 1.0) | (best[0] == 0) | (self.log_prob(left) < -rate)
            return torch.where(at_zero, 0.0, left)

    def entropy(self) -> Tensor:
        """Return the entropy in nats, with respect to the measure that ``log_prob`` refers to, as a sum over a grid."""
        y, weight = self._grid()
        density = self._log_prob_at(y)
        rate = self._parts()[0]
        return self._full(rate * torch.exp(-rate) - (weight * density * density.exp()).sum(-1))

    def _log_prob_at(self, points: Tensor) -> Tensor:
        """Return the log-density at points that have an axis behind those of the batch."""
        points = points.movedim(-1, 0)
        batch = torch.broadcast_shapes(points.shape, self._batch_shape)
        density: Tensor = self.expand(batch).log_prob(points)
        return density.movedim(0, -1)

    # Sampling

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples."""
        with torch.no_grad():
            rate, shape, scale = self._parts()
            count = torch.poisson(rate.expand(self._extended_shape(sample_shape)))
            amount = scale * torch._standard_gamma(torch.where(count > 0, shape * count, 1.0))
            return torch.where(count > 0, amount, 0.0)


def _parts(mean: Tensor, dispersion: Tensor, power: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the Poisson rate, and the shape and the scale of the amounts."""
    low, high = power - 1.0, 2.0 - power
    return mean**high / (dispersion * high), high / low, dispersion * low * mean**low


def _counts(y: Tensor, dispersion: Tensor, power: Tensor, terms: int, narrow: float) -> tuple[Tensor, Tensor]:
    """Return the numbers of amounts to sum over, on a last axis, and the logarithm of their distance.

    The terms are largest near y^(2 - power) / (dispersion · (2 - power)); their standard deviation is the square root of
    that, divided by √(1 + α) for the density (``narrow`` is 1).
    """
    with torch.no_grad():
        high = 2.0 - power
        centre = y**high / (dispersion * high)
        spread = (centre / (1.0 + narrow * high / (power - 1.0))).sqrt()
        step = (SPREAD / terms * spread).clamp(min=1.0)
        first = torch.where(
            step > 1.0, centre - step * (0.5 * (terms - 1)), (centre.round() - terms // 2).clamp(min=1.0)
        )
        counts = first.unsqueeze(-1) + step.unsqueeze(-1) * torch.arange(terms, dtype=y.dtype, device=y.device)
        return counts.clamp(min=0.5), step.log()


def _bend(b: Tensor, a: Tensor) -> Tensor:
    """Return log(b/a) - (b - a)/a."""
    excess = (b - a) / a
    near = excess.abs() < NEAR
    return torch.where(near, near_log1pmx(excess.clamp(-NEAR, NEAR)), (b / a).log() - excess)


def _terms(y: Tensor, mean: Tensor, dispersion: Tensor, power: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the logarithms of the terms of y · density · 2π / √α, the numbers of amounts, and log of their distance."""
    rate, shape, scale = _parts(mean, dispersion, power)
    j, log_step = _counts(y, dispersion, power, DENSITY_TERMS, 1.0)
    a, x = shape.unsqueeze(-1) * j, (y / scale).unsqueeze(-1)
    return j * _bend(rate.unsqueeze(-1), j) + a * _bend(x, a) - (stirling(j) + stirling(a)), j, log_step


def _value(y: Tensor, mean: Tensor, dispersion: Tensor, power: Tensor) -> Tensor:
    terms, _, log_step = _terms(y, mean, dispersion, power)
    shape = (2.0 - power) / (power - 1.0)
    return torch.logsumexp(terms, -1) + log_step + (0.5 * shape.log() - LOG_2PI) - y.log()


def _in_value(y: Tensor, mean: Tensor, dispersion: Tensor, power: Tensor) -> Tensor:
    _, shape, scale = _parts(mean, dispersion, power)
    terms, j, _ = _terms(y, mean, dispersion, power)
    count = (terms.softmax(-1) * j).sum(-1)
    return (shape * count - y / scale - 1.0) / y


def _in_mean(y: Tensor, mean: Tensor, dispersion: Tensor, power: Tensor) -> Tensor:
    return (y - mean) / (dispersion * mean**power)


def _in_dispersion(y: Tensor, mean: Tensor, dispersion: Tensor, power: Tensor) -> Tensor:
    rate, shape, scale = _parts(mean, dispersion, power)
    terms, j, _ = _terms(y, mean, dispersion, power)
    count = (terms.softmax(-1) * j).sum(-1)
    return (rate + y / scale - (1.0 + shape) * count) / dispersion


def _in_power(y: Tensor, mean: Tensor, dispersion: Tensor, power: Tensor) -> Tensor:
    rate, shape, scale = _parts(mean, dispersion, power)
    terms, j, _ = _terms(y, mean, dispersion, power)
    weight, x, a = terms.softmax(-1), y / scale, shape.unsqueeze(-1) * j
    count = (weight * j).sum(-1)
    in_shape = 0.5 / shape + (weight * j * ((x.unsqueeze(-1) / a).log() - stirling_slope(a))).sum(-1)
    low, high = power - 1.0, 2.0 - power
    in_rate, in_x = high.reciprocal() - mean.log(), -(low.reciprocal() + mean.log())
    return (count - rate) * in_rate + (shape * count - x) * in_x - in_shape / (low * low)


def _rowwise(formula: Any) -> Any:
    """Return a formula of float64 arguments as one of any dtype that takes a block of rows at a time."""

    def evaluate(y: Tensor, mean: Tensor, dispersion: Tensor, power: Tensor) -> Tensor:  # torch.compile counts them
        wide = torch.broadcast_tensors(y, mean, dispersion, power)
        flat = [argument.reshape(-1).double().split(ROWS) for argument in wide]
        joined = torch.cat([formula(*rows) for rows in zip(*flat, strict=True)])
        return joined.reshape(wide[0].shape).to(torch.promote_types(y.dtype, mean.dtype))

    return evaluate


_log_density = analytic(_rowwise(_value), _rowwise(_in_value), _in_mean, _rowwise(_in_dispersion), _rowwise(_in_power))


# Divergences


@register_kl(Tweedie, Tweedie)
def _kl_tweedie_tweedie(p: Tweedie, q: Tweedie) -> Tensor:
    """Return the mean log-ratio: a term for the atom, and a sum over p's grid, in float64; NaN where that misses mass."""
    p_wide, q_wide = (
        Tweedie(law.mean.double(), law.dispersion.double(), law.power.double(), validate_args=False) for law in (p, q)
    )
    y, weight = p_wide._grid()
    own, other = p_wide._log_prob_at(y), q_wide._log_prob_at(y)
    rate, other_rate = p_wide._parts()[0], q_wide._parts()[0]
    zero, dense = torch.exp(-rate), weight * own.exp()
    value = zero * (other_rate - rate) + (dense * (own - other)).sum(-1)
    whole = (zero + dense.sum(-1) - 1.0).abs() < 1e-9
    return torch.where(whole, value, torch.nan).to(torch.promote_types(p.mean.dtype, q.mean.dtype))
