"""The asymmetric (two-piece) normal law: the expectile loss as a likelihood."""

from __future__ import annotations

import math
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.special import ndtr, ndtri

from likelihoods.distributions.base import Value, open_interval, promote, register_kl
from likelihoods.distributions.univariate import Univariate
from likelihoods.special import LOG_2, log1mexp, log_ndtr

LOG_HALF_ROOT_PI = 0.5 * math.log(math.pi) - LOG_2
ROOT_2 = math.sqrt(2.0)
ROOT_2_OVER_PI = math.sqrt(2.0 / math.pi)


class AsymmetricNormal(Univariate, TorchDistribution):
    r"""The asymmetric normal law, with density exp(-\|tau - [z < 0]\|·z²) / (scale·Z), z = (y - loc) / scale.

    Z = (√π/2)·(1/√tau + 1/√(1 - tau)). The exponent is the expectile loss: ``loc`` is the tau-expectile, and with
    tau = 1/2 the law is normal with standard deviation ``scale``.

    Args:
        loc: tau-expectile and mode, real.
        scale: scale, positive.
        tau: asymmetry, in (0, 1).
        validate_args: whether to check the parameters; torch's default if None.

    Source: W. K. Newey, J. L. Powell (1987), Asymmetric least squares estimation and testing, doi:10.2307/1911031.

    >>> AsymmetricNormal(0.0, 1.0, 0.9).log_prob(torch.tensor([-1.0, 1.0]))
    tensor([-1.4182, -2.2182])
    """

    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "tau": open_interval(0.0, 1.0),
    }
    support = constraints.real
    has_rsample = True

    def __init__(
        self, loc: Value = 0.0, scale: Value = 1.0, tau: Value = 0.5, *, validate_args: bool | None = None
    ) -> None:
        self.loc, self.scale, self.tau = promote(loc, scale, tau)
        self._settle(validate_args)

    def _sides(self) -> tuple[Tensor, Tensor]:
        """Return the standard deviations of the normal laws left and right of loc, in units of the scale."""
        return torch.rsqrt(2.0 * (1.0 - self.tau)), torch.rsqrt(2.0 * self.tau)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        z = (value - self.loc) / self.scale
        weighted = self.tau * z.clamp(min=0.0) + (1.0 - self.tau) * z.clamp(max=0.0)
        return -z * weighted - (self.scale.log() + self._log_normalizer_of_tau())

    def _log_normalizer_of_tau(self) -> Tensor:
        return LOG_HALF_ROOT_PI + torch.log(torch.rsqrt(self.tau) + torch.rsqrt(1.0 - self.tau))

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return self.log_cdf(value).exp()

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        right, lower, upper = self._log_tails(value)
        return torch.where(right, log1mexp(-upper), lower)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        right, lower, upper = self._log_tails(value)
        return torch.where(right, upper, log1mexp(-lower))

    def _log_tails(self, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return where value > loc, log P(Y <= min(value, loc)) and log P(Y > max(value, loc))."""
        z = (value - self.loc) / self.scale
        right = z > 0
        left_sd, right_sd = self._sides()
        total = torch.log(left_sd + right_sd) - LOG_2
        lower = left_sd.log() - total + log_ndtr(torch.where(right, 0.0, z) / left_sd)
        upper = right_sd.log() - total + log_ndtr(-torch.where(right, z, 0.0) / right_sd)
        return right, lower, upper

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        left_sd, right_sd = self._sides()
        share = left_sd / (left_sd + right_sd)
        below = value <= share
        z_below = left_sd * ndtri(0.5 * torch.where(below, value / share, 1.0))
        z_above = -right_sd * ndtri(0.5 * torch.where(below, 1.0, (1.0 - value) * (1.0 + left_sd / right_sd)))
        return self.loc + self.scale * torch.where(below, z_below, z_above)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        left_sd, right_sd = self._sides()
        return self._full(self.loc + self.scale * ROOT_2_OVER_PI * (right_sd - left_sd))

    @property
    def variance(self) -> Tensor:
        """The variance."""
        left_sd, right_sd = self._sides()
        gap = right_sd - left_sd
        return self._full(self.scale * self.scale * ((1.0 - 2.0 / math.pi) * gap * gap + left_sd * right_sd))

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full(self.loc)

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full(0.5 + self.scale.log() + self._log_normalizer_of_tau())

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in the parameters: on the side drawn, the quantile at a random share of its mass.

        The factor share.detach() / share is 1; its slope is the one that a fixed probability has as tau moves the shares.
        """
        shape = self._extended_shape(sample_shape)
        left_sd, right_sd = self._sides()
        share = left_sd / (left_sd + right_sd)
        side = torch.rand(shape, dtype=self.loc.dtype, device=self.loc.device)
        tail = 0.5 - 0.5 * torch.rand_like(side)
        below = left_sd * ndtri(tail * (share.detach() / share))
        above = -right_sd * ndtri(tail * ((1.0 - share).detach() / (1.0 - share)))
        return self.loc + self.scale * torch.where(side < share, below, above)


# Divergences


@register_kl(AsymmetricNormal, AsymmetricNormal)
def _kl_asymmetric_normal(p: AsymmetricNormal, q: AsymmetricNormal) -> Tensor:
    """Return E log(p/q); the loss of q is a weighted sum of E max(z - d, 0)² and E max(d - z, 0)² under p."""
    d = (q.loc - p.loc) / p.scale
    left_sd, right_sd = p._sides()
    offset = ROOT_2_OVER_PI * (right_sd - left_sd) - d
    gap = right_sd - left_sd
    square = (1.0 - 2.0 / math.pi) * gap * gap + left_sd * right_sd + offset * offset  # E (z - d)²
    share = left_sd / (left_sd + right_sd)
    lower = 2.0 * share * left_sd * left_sd * _second_moment_below(d.clamp(max=0.0) / left_sd)
    upper = 2.0 * (1.0 - share) * right_sd * right_sd * _second_moment_below(-d.clamp(min=0.0) / right_sd)
    below = torch.where(d > 0, square - upper, lower)
    above = torch.where(d > 0, upper, square - lower)
    ratio = p.scale / q.scale
    loss = ratio * ratio * (q.tau * above + (1.0 - q.tau) * below)
    return loss + q.scale.log() + q._log_normalizer_of_tau() - p.entropy()


def _second_moment_below(a: Tensor) -> Tensor:
    """Return E max(a - N, 0)² for a standard normal N."""
    density = torch.exp(-0.5 * a * a) / math.sqrt(2.0 * math.pi)
    below: Tensor = ndtr(a)
    return (1.0 + a * a) * below + a * density
