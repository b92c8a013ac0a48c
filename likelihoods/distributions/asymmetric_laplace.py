"""The asymmetric Laplace law: the pinball loss as a likelihood."""

from __future__ import annotations

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import Value, open_interval, promote, register_kl
from likelihoods.distributions.univariate import Univariate
from likelihoods.special import log1mexp


class AsymmetricLaplace(Univariate, TorchDistribution):
    r"""The asymmetric Laplace law, with density tau (1 - tau) exp(-ρ(z)) / scale, z = (y - loc) / scale.

    ρ(z) = tau·z for z ≥ 0 and (tau - 1)·z below, the pinball loss, so ``loc`` is the tau-quantile. With tau = 1/2 the law
    is Laplace's with twice the scale. (Pyro's class of this name has another scale and asymmetry: see
    :meth:`from_asymmetry`.)

    Args:
        loc: tau-quantile and mode, real.
        scale: scale, positive.
        tau: probability below ``loc``, in (0, 1).
        validate_args: whether to check the parameters; torch's default if None.

    Source: R. Koenker, J. A. F. Machado (1999), doi:10.1080/01621459.1999.10473882; K. Yu, R. A. Moyeed (2001),
    Bayesian quantile regression, doi:10.1016/S0167-7152(01)00124-9.

    >>> AsymmetricLaplace(0.0, 1.0, 0.9).cdf(torch.tensor(0.0))
    tensor(0.9000)
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

    @classmethod
    def from_asymmetry(
        cls, loc: Value, scale: Value, asymmetry: Value, *, validate_args: bool | None = None
    ) -> AsymmetricLaplace:
        """Return the law in Pyro's parameters: exponential tails of scale·asymmetry on the left, scale/asymmetry on the right.

        >>> AsymmetricLaplace.from_asymmetry(0.0, 1.0, 3.0).tau
        tensor(0.9000)
        """
        loc, scale, asymmetry = promote(loc, scale, asymmetry)
        square = asymmetry * asymmetry
        return cls(loc, scale * asymmetry / (1.0 + square), square / (1.0 + square), validate_args=validate_args)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        z = (value - self.loc) / self.scale
        loss = self.tau * z.clamp(min=0.0) + (self.tau - 1.0) * z.clamp(max=0.0)
        return self.tau.log() + torch.log1p(-self.tau) - self.scale.log() - loss

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
        lower = self.tau.log() + (1.0 - self.tau) * torch.where(right, 0.0, z)
        upper = torch.log1p(-self.tau) - self.tau * torch.where(right, z, 0.0)
        return right, lower, upper

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        below = torch.log(value / self.tau) / (1.0 - self.tau)
        above = -torch.log((1.0 - value) / (1.0 - self.tau)) / self.tau
        return self.loc + self.scale * torch.where(value <= self.tau, below, above)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(self.loc + self.scale * (1.0 / self.tau - 1.0 / (1.0 - self.tau)))

    @property
    def variance(self) -> Tensor:
        """The variance."""
        right, left = self.scale / self.tau, self.scale / (1.0 - self.tau)
        return self._full(right * right + left * left)

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full(self.loc)

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full(1.0 + self.scale.log() - self.tau.log() - torch.log1p(-self.tau))

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in the parameters: differences of two exponential variables."""
        shape = self._extended_shape(sample_shape)
        right = torch.empty(shape, dtype=self.loc.dtype, device=self.loc.device).exponential_()
        left = torch.empty_like(right).exponential_()
        return self.loc + self.scale * (right / self.tau - left / (1.0 - self.tau))


# Divergences


@register_kl(AsymmetricLaplace, AsymmetricLaplace)
def _kl_asymmetric_laplace(p: AsymmetricLaplace, q: AsymmetricLaplace) -> Tensor:
    """Return E log(p/q); the pinball loss of q is tau·w + max(-w, 0), and E max(d - z, 0) is the integral of p's cdf."""
    d = (q.loc - p.loc) / p.scale
    odds = p.tau / (1.0 - p.tau)
    below = odds * torch.exp((1.0 - p.tau) * d.clamp(max=0.0))
    beyond = d.clamp(min=0.0)
    shortfall = below + beyond + torch.expm1(-p.tau * beyond) / odds
    drift = 1.0 / p.tau - 1.0 / (1.0 - p.tau) - d
    loss = p.scale / q.scale * (q.tau * drift + shortfall)
    return loss + q.scale.log() - q.tau.log() - torch.log1p(-q.tau) - p.entropy()
