r"""The divergence of two densities on the line, by adaptive quadrature between quantiles and far into both tails.

The line is cut at quantiles of both laws. Beyond the outermost, and towards a finite end of the support, the variable of
integration is the logarithm of the distance (from the median, or from the end), so that a tail like a power of the
distance, or a density without bound at the end, is a smooth function on a few panels. All panels of all laws of the batch
are integrated at once by scipy's adaptive Gauss-Kronrod rule; log-densities are added before anything is exponentiated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from likelihoods.divergences.support import atoms, bounds, landmarks, log_prob

PROBABILITIES = (1e-10, 1e-6, 1e-3, 0.03, 0.2, 0.5, 0.8, 0.97, 0.999, 1 - 1e-6, 1 - 1e-10)
PANELS, RATIO = 21, 1.35  # panels of a tail, each so much longer (in the logarithm of the distance) than the last
FAR, NEAR = 1e150, 1e-300  # how far the tails go: squares of FAR are still finite
FOREIGN = 1e-150  # in place of NEAR for torch's laws, which overflow sooner
ACCURACY = 1e-6  # what is left out, in mass or in nats (relative to the integral of |integrand| beyond 1), must be less
LARGEST = 1e250  # an integrand beyond it counts as infinite
NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)

Edges = tuple[Tensor, Tensor]


def quadrature_kl(q: Distribution, p: Distribution) -> Tensor:
    """Return ∫ q log(q/p) in nats, with the batch shape and without a gradient.

    It is infinite where the integrand, per unit of the log-distance, does not fall in a tail.

    Raises:
        ArithmeticError: the integral was not reached to within 1e-6, or q's density does not integrate to 1; never is a
            part of the mass passed over in silence.
    """
    from scipy.integrate import quad_vec  # half a second to import, and closed forms do without

    panels = _Panels(q, p)
    total, mass, size, overflow = panels.rough()
    tails = [panels.tail(upper, size) for upper in (False, True)]
    infinite = overflow | tails[0][0] | tails[1][0]
    left = torch.where(infinite, 0.0, tails[0][1] + tails[1][1])
    scale = torch.where(infinite, torch.inf, size.clamp(min=1.0))

    def integrand(t: float) -> Any:
        value, weight = panels.at(t)
        return torch.stack([torch.where(infinite, 0.0, value) / scale, weight]).numpy(force=True)

    if total.numel() and not bool(infinite.all()):
        found, error, _ = quad_vec(
            integrand, 0.0, 1.0, epsabs=1e-10, epsrel=0.0, norm="max", limit=100, full_output=True
        )
        sums = torch.from_numpy(found.sum(1)).to(total.device)
        total, mass = sums[0] * torch.where(infinite, 1.0, scale), sums[1]
        left = left + (error * len(found[0])) * torch.where(infinite, 0.0, scale)
    for atom in atoms(q):
        at = torch.full_like(total, atom)
        log_q = log_prob(q, at)
        total = total + log_q.exp() * torch.where(log_q > -torch.inf, log_q - log_prob(p, at), 0.0)
        mass = mass + log_q.exp()
    short = ~((mass - 1.0).abs() < ACCURACY) & ~infinite
    if bool(short.any()):
        raise ArithmeticError(
            f"Quadrature finds {float(mass[short][0]):.9g} of {type(q).__name__}'s mass, not 1: the rest lies closer to the "
            f"end of the support, or further out, than float64 can tell, or is no density. "
            f"Estimate it: kl(q, p, samples=100_000)."
        )
    if bool((total < -ACCURACY * size.clamp(min=1.0)).any()):
        raise ArithmeticError(
            f"The integral is negative, {float(total.min()):.6g}: {type(p).__name__}.log_prob gives no density. "
            f"Use one of likelihoods.distributions."
        )
    if bool((~(left < ACCURACY * size.clamp(min=1.0)) & ~infinite).any()):
        raise ArithmeticError(
            f"The integral over {type(q).__name__} is not reached: up to {float(left[~infinite].max()):.2g} nats are left "
            f"after the last panel. Estimate it: kl(q, p, samples=100_000)."
        )
    return torch.where(infinite, torch.inf, total)


class _Panels:
    """The panels of every law in a batch: tensors ``(panels, *batch)`` of their ends."""

    def __init__(self, q: Distribution, p: Distribution) -> None:
        self.q, self.p = q, p
        whole = torch.full(q.batch_shape, torch.inf, dtype=torch.float64)
        self.low, self.high = bounds(q) or (-whole, whole)
        self.closed = (self.low > -torch.inf, self.high < torch.inf)
        near = NEAR if all(type(law).__module__.startswith("likelihoods.") for law in (q, p)) else FOREIGN
        steps = 4.0 * torch.finfo(torch.float64).eps
        tiny = [(steps * end.abs().nan_to_num(posinf=0.0)).clamp(min=near) for end in (self.low, self.high)]
        low, high = self.low + tiny[0], self.high - tiny[1]
        levels = torch.tensor(PROBABILITIES, dtype=torch.float64, device=self.low.device)
        own = torch.minimum(torch.maximum(landmarks(q, levels), low), high)
        other = torch.minimum(torch.maximum(landmarks(p, levels).nan_to_num(), own[0]), own[-1])
        cuts = torch.cat([own, other]).sort(0).values
        self.median = own[len(own) // 2]
        self.anchor = (
            torch.where(self.closed[0], self.low, self.median),
            torch.where(self.closed[1], self.high, self.median),
        )
        sizes = RATIO ** torch.arange(PANELS, dtype=torch.float64, device=low.device)
        grown = torch.cat([torch.zeros_like(sizes[:1]), sizes.cumsum(0)]) / sizes.sum()
        self.inner: list[Edges] = []
        self.outer: list[Edges] = []
        self.last: list[Tensor] = []
        for upper in (False, True):
            edges = torch.maximum(cuts, self.median) if upper else torch.minimum(cuts, self.median)
            self.inner.append((edges[:-1], edges[1:]))
            first = self._distance(edges[-1] if upper else edges[0], upper).clamp(min=near)
            end = torch.where(self.closed[upper], torch.minimum(tiny[upper], first), torch.full_like(first, FAR))
            end = torch.where(self.closed[upper], end, torch.maximum(end, first))
            u = first.log() + grown.view(-1, *[1] * first.dim()) * (end / first).log()
            self.outer.append((u[:-1], u[1:]))
            self.last.append(u[-1])

    def _distance(self, x: Tensor, upper: bool) -> Tensor:
        """Return the distance from the end of the support, or from the median where there is none."""
        return (x - self.anchor[upper]).abs()

    def _place(self, upper: bool, log_distance: Tensor) -> Tensor:
        """Return the point at a distance from the anchor: outwards from the median, inwards from an end."""
        sign = torch.where(self.closed[upper], -1.0, 1.0) * (1.0 if upper else -1.0)
        return self.anchor[upper] + sign * log_distance.exp()

    def _density(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return log q and log(q/p) at points, 0 where q is nought."""
        log_q, log_p = log_prob(self.q, x), log_prob(self.p, x)
        for law, density in ((self.q, log_q), (self.p, log_p)):
            if bool((density.isnan() & x.isfinite()).any()):
                raise ArithmeticError(
                    f"{type(law).__name__}.log_prob is NaN at y = {float(x[density.isnan()][0]):.6g}."
                )
        largest = torch.finfo(torch.float64).max
        ratio = log_q - log_p.clamp(-largest, largest)  # where p overflows, q must decide
        return log_q, torch.where(log_q > -torch.inf, ratio, 0.0)

    def at(self, t: float) -> tuple[Tensor, Tensor]:
        """Return the integrand and q's density, per unit of t, at the place t in [0, 1] of every panel."""
        points, log_rates = [], []
        for upper in (False, True):
            start, stop = self.inner[upper]
            a, b = (self._distance(x, upper).clamp(min=NEAR) for x in (start, stop))
            ratio = torch.where(self.closed[upper], (b / a).log(), 0.0)
            log_d = a.log() + t * ratio
            linear = start + t * (stop - start)
            points.append(torch.where(self.closed[upper], self._place(upper, log_d), linear))
            rate = torch.where(self.closed[upper], log_d.exp() * ratio.abs(), stop - start)
            log_rates.append(torch.where(stop > start, rate, 0.0).log())
            start, stop = self.outer[upper]
            log_d = start + t * (stop - start)
            points.append(self._place(upper, log_d))
            log_rates.append(log_d + (stop - start).abs().log())
        log_q, ratio = self._density(torch.cat(points))
        log_weight = log_q + torch.cat(log_rates)
        return ratio.sign() * (log_weight + ratio.abs().log()).exp(), log_weight.exp()

    def rough(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return integral, mass and integral of the absolute value by a fixed rule, and whether they overflow."""
        sums: list[Any] = [0.0, 0.0, 0.0]
        overflow: Any = False
        for node, weight in zip(0.5 + 0.5 * NODES, 0.5 * WEIGHTS, strict=True):
            value, mass = self.at(float(node))
            overflow = overflow | ~(value.abs() < LARGEST).all(0)
            for place, part in enumerate((value, mass, value.abs())):
                sums[place] = sums[place] + weight * part.sum(0)
        return sums[0], sums[1], sums[2], overflow

    def tail(self, upper: bool, size: Tensor) -> tuple[Tensor, Tensor]:
        """Return whether the integral to the end of a tail diverges, and what is left beyond the last panel if not.

        The integrand per unit of log-distance is taken for a power of the distance there.
        """
        last = self.last[upper]
        inwards = torch.where(self.closed[upper], 1.0, -1.0)
        logs = []
        for back in (0.0, 4.0, 12.0):
            u = last + back * inwards
            log_q, ratio = self._density(self._place(upper, u))
            logs.append((log_q + ratio.abs().log() + u, ratio))
        (end, ratio), (near, _), (far, _) = logs
        alive = (end > -200.0) & (far > -torch.inf)
        slope = torch.where(alive, (near - far) / 8.0, -1.0)
        diverges = alive & (slope > -1e-6) & (ratio > 0)
        left = torch.where(alive & ~diverges, end.exp() / (-slope).clamp(min=1e-6), 0.0)
        return diverges, left
