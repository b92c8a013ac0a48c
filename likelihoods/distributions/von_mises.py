"""The von Mises law."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyro.distributions
import torch
from torch import Tensor

from likelihoods.bessel import log_i0e, resultant_gap
from likelihoods.distributions.base import Value, at_ends, between, floating, promote, register_kl
from likelihoods.distributions.inversion import invert
from likelihoods.distributions.tails import BothTails
from likelihoods.distributions.univariate import implicit
from likelihoods.special import log1mexp

LOG_2PI = math.log(2.0 * math.pi)
NODES, WEIGHTS = (tuple(x.tolist()) for x in np.polynomial.legendre.leggauss(40))
REACH = 120.0  # a tail's density is summed to where it has fallen by exp(-40) to exp(-120)


class VonMises(BothTails, pyro.distributions.VonMises):  # type: ignore[misc]  # Pyro makes this class on import
    r"""The von Mises law on the circle, with density exp(concentration · cos(y - loc)) / (2π I0(concentration)).

    Values are angles: ``log_prob``, ``cdf`` and the like read every real y modulo 2π. The circle is cut open opposite to
    loc, so samples and quantiles lie between loc - π and loc + π, and cdf is the probability of the arc from loc - π, in
    the positive sense, to y. ``mean`` and ``mode`` are loc; as in torch, ``variance`` is the circular one, 1 - I1/I0.

    Args:
        loc: mean direction in radians, real.
        concentration: positive; near 0 the law is uniform, for large values nearly normal with this precision.
        validate_args: whether to check the parameters; torch's default if None.

    Source: K. V. Mardia, P. E. Jupp (2000), Directional Statistics, section 3.5.4.

    >>> VonMises(0.0, 2.0).log_prob(torch.tensor([0.0, 2.0 * torch.pi]))
    tensor([-0.6619, -0.6619])
    """

    has_rsample = True

    def __init__(self, loc: Value = 0.0, concentration: Value = 1.0, *, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = promote(loc, concentration)
        self._settle(validate_args)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats with respect to the angle; -inf only for an infinite value."""
        value = floating(value, self.loc)
        largest = torch.finfo(value.dtype).max
        half_chord = torch.sin(0.5 * (value.clamp(-largest, largest) - self.loc))
        density = (-2.0 * self.concentration) * half_chord * half_chord - (log_i0e(self.concentration) + LOG_2PI)
        return density.add_((largest - value.detach().abs()).clamp(max=0.0))  # 0, or -inf where y is infinite

    # Distribution function

    def wrap(self, value: Tensor) -> Tensor:
        """Return the angle's representative between loc - π and loc + π."""
        value = floating(value, self.loc)
        within = (value - self.loc).abs() <= math.pi
        return torch.where(within, value, self.loc + self._deviation(value))

    def _deviation(self, value: Tensor) -> Tensor:
        """Return y - loc modulo 2π, from -π to π; these two stay apart, whatever the rounding."""
        deviation = value - self.loc
        pi = _pi(deviation)[0]
        near = deviation.abs() <= pi * (1.0 + 4.0 * torch.finfo(deviation.dtype).eps)
        turns = torch.where(near, 0.0, torch.round(deviation / (2.0 * math.pi))).detach()
        return (deviation - turns * (2.0 * math.pi)).clamp(-pi, pi)

    def log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return log_cdf and log_sf of the arc from loc - π to y, which is empty at y = -inf and the whole circle at inf.

        The smaller one is an integral, the other follows from it.
        """
        value = floating(value, self.loc)
        deviation = self._deviation(between(value, -torch.inf, torch.inf, self.loc.detach()))
        pi = _pi(deviation)[0]
        inside = between(deviation, -pi, pi, torch.zeros_like(deviation))
        right = inside > 0
        smaller = self._log_upper_tail(torch.where(right, inside, -inside))
        larger = log1mexp(-smaller)
        below, above = torch.where(right, larger, smaller), torch.where(right, smaller, larger)
        below = at_ends(
            at_ends(below, deviation, -pi, pi, -torch.inf, 0.0), value, -torch.inf, torch.inf, -torch.inf, 0.0
        )
        return below, at_ends(
            at_ends(above, deviation, -pi, pi, 0.0, -torch.inf), value, -torch.inf, torch.inf, 0.0, -torch.inf
        )

    def _log_upper_tail(self, a: Tensor) -> Tensor:
        """Return the log-probability of deviations between a and π, 0 <= a < π, with the density at a taken out.

        What is left, exp(concentration · (cos(a + u) - cos(a))), falls with u: Gauss-Legendre up to where it is nought.
        """
        concentration, (pi, rest) = self.concentration, _pi(a)
        width = (pi - a) + rest
        with torch.no_grad():
            reach = REACH / concentration
            reach = reach / (a.sin() + reach.sqrt())
        width, reach, a = torch.broadcast_tensors(width, reach, a)
        length = torch.where(reach < width, reach, width)
        nodes, weights = (torch.tensor(x, dtype=a.dtype, device=a.device) for x in (NODES, WEIGHTS))
        half = length.unsqueeze(-1) * (0.25 * nodes + 0.25)
        near = (a <= 0.5 * math.pi).unsqueeze(-1)  # beyond, a + half is best told by its distance from π
        sine = torch.sin(torch.where(near, a.unsqueeze(-1) + half, width.unsqueeze(-1) - half))
        fall = (-2.0 * concentration).unsqueeze(-1) * half.sin() * sine
        chord = (0.5 * a).sin()
        log_density = -2.0 * concentration * chord * chord - (log_i0e(concentration) + LOG_2PI)
        return log_density + length.log() + (weights * fall.exp()).sum(-1).mul(0.5).log()

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``, between loc - π and loc + π."""
        zero = torch.zeros_like(self.concentration)
        pi = _pi(zero)[0]
        centred = VonMises(zero, self.concentration, validate_args=False)
        return self.loc + invert(centred, value, zero - pi, zero + pi, zero)

    def log_mass(self, low: Tensor, high: Tensor) -> Tensor:
        """Return the log-probability of the arc from low, in the positive sense, to high; -inf if low >= high.

        An infinite end stands for loc ∓ π, and an arc of a full turn or more is the whole circle.
        """
        low, high = torch.broadcast_tensors(low, high)
        finite = (low > -torch.inf) & (high < torch.inf)
        start, stop = (torch.where(end.isinf(), end, self.wrap(end)) for end in (low, high))
        across = finite & (low < high) & (stop <= start)  # the arc passes the point opposite to loc
        line = super().log_mass(torch.where(across, -torch.inf, start), torch.where(low < high, stop, start))
        rest = self.log_sf(torch.where(across, start, self.loc.detach()))
        mass = torch.where(across, torch.logaddexp(torch.where(across, line, 0.0), rest), line)
        return torch.where(finite & (high - low >= 2.0 * math.pi), 0.0, mass)

    def log_cell(self, centre: Tensor, width: Value) -> Tensor:
        """Return the log-probability of the arc of that width about a centre."""
        return self.log_mass(centre - 0.5 * width, centre + 0.5 * width)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean direction, which is the mean of the angles between loc - π and loc + π too."""
        return self._full(self.loc)

    @property
    def variance(self) -> Tensor:
        """The circular variance, 1 - E cos(y - loc)."""
        return self._full(resultant_gap(self.concentration))

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full(self.loc)

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        concentration = self.concentration
        return self._full(LOG_2PI + log_i0e(concentration) + concentration * resultant_gap(concentration))

    # Sampling

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples between loc - π and loc + π, by the method of D. J. Best, N. I. Fisher (1979), doi:10.2307/2346732.

        In double precision: in single precision hardly any proposal is accepted for a concentration of 1e-4.
        """
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)
            concentration = self.concentration.double()
            root = torch.hypot(2.0 * concentration, torch.ones_like(concentration))
            tau = (1.0 + root).sqrt()
            rho = 2.0 * tau * concentration / ((tau + math.sqrt(2.0)) * (root + 1.0))
            excess = (1.0 - rho) ** 2 / (2.0 * rho)  # r - 1 of the paper
            deviation = torch.zeros(shape, dtype=torch.float64, device=self.loc.device)
            done = torch.zeros(shape, dtype=torch.bool, device=self.loc.device)
            while not done.all():
                angle, chance, side = torch.rand((3, *shape), dtype=torch.float64, device=self.loc.device)
                gap = 2.0 * torch.sin(0.5 * math.pi * angle) ** 2  # 1 - z
                gap_f = excess * gap / (excess + (2.0 - gap))  # 1 - f
                c = concentration * (excess + gap_f)
                accept = (c * (2.0 - c) > chance) | ((c / chance).log() + 1.0 - c >= 0.0)
                proposal = 2.0 * torch.asin((0.5 * gap_f).clamp(max=1.0).sqrt()) * torch.sign(side - 0.5)
                deviation = torch.where(accept & ~done, proposal, deviation)
                done = done | accept
            return self.loc + deviation.to(self.loc.dtype)

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in both parameters; exact for functions with period 2π."""
        return implicit(self, self.sample(sample_shape))


def _pi(like: Tensor) -> tuple[float, float]:
    """Return π rounded to the dtype of ``like``, and the rest."""
    if like.dtype == torch.float64:
        return math.pi, 1.2246467991473532e-16
    rounded = torch.tensor(math.pi, dtype=like.dtype).item()
    return rounded, math.pi - rounded


# Divergences


@register_kl(VonMises, VonMises)
def _kl_von_mises_von_mises(p: VonMises, q: VonMises) -> Tensor:
    """Return the closed form in 1 - I1/I0 and scaled Bessel functions, which do not cancel for large concentrations."""
    gap = resultant_gap(p.concentration)
    half_chord = torch.sin(0.5 * (p.loc - q.loc))
    distance = gap + (1.0 - gap) * (2.0 * half_chord * half_chord)  # 1 - E cos(y - q.loc)
    scale = log_i0e(q.concentration) - log_i0e(p.concentration)
    return q.concentration * distance - p.concentration * gap + scale
