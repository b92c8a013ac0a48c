"""The Huber law: normal within a threshold, Laplace beyond."""

from __future__ import annotations

import math
from typing import overload

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import Value, promote, register_kl
from likelihoods.distributions.tails import Symmetric
from likelihoods.special import HALF_LOG_2PI, LOG_2

ROOT_HALF = math.sqrt(0.5)
ROOT_HALF_PI = math.sqrt(0.5 * math.pi)
ROOT_2PI = math.sqrt(2.0 * math.pi)


@overload
def huber_log_normalizer(delta: float) -> float: ...
@overload
def huber_log_normalizer(delta: Tensor) -> Tensor: ...
def huber_log_normalizer(delta: Tensor | float) -> Tensor | float:
    r"""Return log ∫ exp(-ρ(z)) dz, ρ(z) = z²/2 for \|z\| ≤ delta and delta·(\|z\| - delta/2) beyond.

    The integral is √(2π) erf(delta/√2) + (2/delta) exp(-delta²/2); the two terms are added in log space.

    >>> huber_log_normalizer(1.0)
    1.073058590713392
    """
    if isinstance(delta, Tensor):
        core = HALF_LOG_2PI + torch.erf(delta * ROOT_HALF).log()
        return torch.logaddexp(core, LOG_2 - delta.log() - 0.5 * delta * delta)
    inner, outer = HALF_LOG_2PI + math.log(math.erf(delta * ROOT_HALF)), LOG_2 - math.log(delta) - 0.5 * delta * delta
    return max(inner, outer) + math.log1p(math.exp(-abs(inner - outer)))


class Huber(Symmetric, TorchDistribution):
    r"""The Huber law, with density exp(-ρ(z)) / (scale·Z), z = (y - loc) / scale.

    ρ(z) = z²/2 for \|z\| ≤ delta and delta·(\|z\| - delta/2) beyond, so that -log density is Huber's loss up to log Z
    (:func:`huber_log_normalizer`). The law is the least favourable one among the normals with a symmetric contamination.

    Args:
        loc: mean, median and mode, real.
        scale: scale, positive.
        delta: where the tails begin, in units of the scale, positive.
        validate_args: whether to check the parameters; torch's default if None.

    Source: P. J. Huber (1964), Robust estimation of a location parameter, doi:10.1214/aoms/1177703732.

    >>> Huber(0.0, 1.0, 0.5).log_prob(torch.tensor(2.0))
    tensor(-2.3768)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive, "delta": constraints.positive}

    def __init__(
        self, loc: Value = 0.0, scale: Value = 1.0, delta: Value = 1.0, *, validate_args: bool | None = None
    ) -> None:
        self.loc, self.scale, self.delta = promote(loc, scale, delta)
        self._settle(validate_args)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        z = (value - self.loc) / self.scale
        core = z.clamp(-self.delta, self.delta)  # ρ(z) = core·(z - core/2) on both pieces
        return core * (0.5 * core - z) - (self.scale.log() + huber_log_normalizer(self.delta))

    # Distribution function

    def _log_tail(self, z: Tensor) -> Tensor:
        """Return log P((Y - loc)/scale > z) for z >= 0.

        With c = min(z, delta) the tail is exp(-ρ(z))·[M(c) + (1/delta - M(delta))·exp(-(delta² - c²)/2)] / Z, where
        M(x) = exp(x²/2)·∫_x^∞ exp(-t²/2) dt: every term is positive, and one formula holds on both pieces.
        """
        delta = self.delta
        core = torch.minimum(z, delta)
        beyond = 1.0 / delta - ROOT_HALF_PI * torch.special.erfcx(delta * ROOT_HALF)
        mills = ROOT_HALF_PI * torch.special.erfcx(core * ROOT_HALF)
        scaled: Tensor = mills + beyond * torch.exp(-0.5 * (delta - core) * (delta + core))
        return core * (0.5 * core - z) + scaled.log() - huber_log_normalizer(delta)

    def _tail_quantile(self, tail: Tensor) -> Tensor:
        """Return the z >= 0 with P((Y - loc)/scale > z) = tail <= 1/2."""
        delta, log_z = self.delta, huber_log_normalizer(self.delta)
        log_share = -0.5 * delta * delta - delta.log() - log_z  # of the mass beyond +delta
        share = log_share.exp()
        beyond = delta + (log_share - tail.log()) / delta
        core = tail > share
        mass = torch.maximum(tail, share) - share
        normal = torch.special.ndtr(-delta) + mass * (log_z.exp() / ROOT_2PI)
        return torch.where(core, -torch.special.ndtri(torch.where(core, normal, 0.5)), beyond)

    # Moments

    def _share(self) -> Tensor:
        """Return P(Y > loc + scale·delta)."""
        return torch.exp(-0.5 * self.delta * self.delta - self.delta.log() - huber_log_normalizer(self.delta))

    @property
    def variance(self) -> Tensor:
        """The variance."""
        share = self._share()
        return self._full(self.scale * self.scale * (1.0 + 2.0 * share + 4.0 * share / (self.delta * self.delta)))

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full(self.scale.log() + huber_log_normalizer(self.delta) + 0.5 + self._share())


# Divergences


@register_kl(Huber, Huber)
def _kl_huber_huber(p: Huber, q: Huber) -> Tensor:
    """Return E log(p/q); the loss of q is w²/2 less half the squares of the two excesses of w over q's threshold."""
    d, reach = (q.loc - p.loc) / p.scale, q.scale * q.delta / p.scale
    square = p.variance / (p.scale * p.scale) + d * d - _square_excess(p, reach + d) - _square_excess(p, reach - d)
    ratio = p.scale / q.scale
    return 0.5 * ratio * ratio * square + q.scale.log() + huber_log_normalizer(q.delta) - p.entropy()


def _square_excess(p: Huber, c: Tensor) -> Tensor:
    """Return E max(Z - c, 0)² of the standardised variable Z: a normal part up to delta, an exponential one beyond."""
    delta, share = p.delta, p._share()
    x = c.abs()
    core = torch.minimum(x, delta)
    gap = delta - core
    tail = share * torch.exp(-delta * (x - core)) * (gap * gap + 2.0 * gap / delta + 2.0 / (delta * delta))
    low, high = torch.exp(-0.5 * core * core), torch.exp(-0.5 * delta * delta)
    mass = ROOT_HALF_PI * (torch.erf(delta * ROOT_HALF) - torch.erf(core * ROOT_HALF))
    normal = ((1.0 + core * core) * mass - core * low + (2.0 * core - delta) * high) / huber_log_normalizer(delta).exp()
    above = normal + tail
    return torch.where(c < 0, p.variance / (p.scale * p.scale) + c * c - above, above)
