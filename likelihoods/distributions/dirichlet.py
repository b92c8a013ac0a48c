"""The Dirichlet law."""

from __future__ import annotations

from typing import ClassVar

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import constraints, kl_divergence, register_kl

from likelihoods.distributions.base import Parametric, Value, floating, log_indicator, promote
from likelihoods.distributions.gamma import Gamma, by_rate


class Dirichlet(Parametric, pyro.distributions.Dirichlet):  # type: ignore[misc]
    r"""The Dirichlet law on the simplex, with density Γ(Σ_k a_k) Π_k y_k^(a_k - 1) / Γ(a_k), a = concentration.

    The density is with respect to Lebesgue measure on the first K - 1 coordinates, as in torch. It is the law of the shares
    of K independent gamma variables in their sum, and is evaluated as that.

    Args:
        concentration: ``(..., K)``, positive.
        validate_args: whether to check the parameters; torch's default if None.

    Source: S. Kotz, N. Balakrishnan, N. L. Johnson (2000), Continuous Multivariate Distributions 1, chapter 49.

    >>> Dirichlet(torch.tensor([2.0, 3.0])).log_prob(torch.tensor([[0.25, 0.75], [0.5, 0.6]]))
    tensor([0.5232,   -inf])
    """

    arg_constraints: ClassVar = {"concentration": constraints.independent(constraints.positive, 1)}

    def __init__(self, concentration: Value, *, validate_args: bool | None = None) -> None:
        (self.concentration,) = promote(concentration)
        if self.concentration.dim() < 1:
            raise ValueError("Dirichlet got concentration of shape (); give a tensor of shape (..., K) for K categories.")
        self._settle(validate_args, event_dim=1)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats, ``(...)``; -inf off the simplex, on its boundary the limit."""
        value = floating(value, self.concentration)
        total = self.concentration.sum(-1, keepdim=True)
        positive = value > 0
        inside = positive & (value < torch.inf)
        share = torch.where(inside, value, 0.5)
        parts = by_rate(share, self.concentration, total)
        edge = torch.xlogy(self.concentration.detach() - 1.0, 0.0)  # the sign of its infinity; 0 where a is 1
        parts = torch.where(inside | value.isnan(), parts, torch.where(edge == 0, total.log(), edge))
        excess = (torch.where(inside, value, 0.0).sum(-1, keepdim=True) - 1.0) * total
        density = parts.sum(-1) + (excess - by_rate(torch.ones_like(total), total, total)).squeeze(-1)
        never = ((value == 0) & (edge < 0)).any(-1)  # whatever the other coordinates do there
        on_simplex = self.support.check(value) & ~never
        density = torch.where(on_simplex | value.isnan().any(-1), density, 0.0)
        missing = torch.where(value.isnan().any(-1), torch.nan, log_indicator(on_simplex, density))
        return density + missing

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean, ``(..., K)``."""
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    @property
    def variance(self) -> Tensor:
        """The variance of each share, ``(..., K)``."""
        total = self.concentration.sum(-1, keepdim=True)
        mean = self.concentration / total
        return mean * ((total - self.concentration) / total) / (total + 1.0)

    @property
    def mode(self) -> Tensor:
        """A point of highest density, ``(..., K)``: concentrations less 1 in proportion, 0 for those below 1; else a corner."""
        excess = (self.concentration - 1.0).clamp(min=0.0)
        total = excess.sum(-1, keepdim=True)
        corner = torch.nn.functional.one_hot(self.concentration.argmax(-1), self.concentration.shape[-1])
        return torch.where(total > 0, excess / torch.where(total > 0, total, 1.0), corner.to(excess.dtype))

    def entropy(self) -> Tensor:
        """Return the entropy in nats: that of the gamma variables, less that of their sum and of its scale."""
        total = self.concentration.sum(-1)
        parts = Gamma(self.concentration, torch.ones_like(total).unsqueeze(-1), validate_args=False).entropy().sum(-1)
        whole = Gamma(total, torch.ones_like(total), validate_args=False).entropy()
        return parts - whole - (self.concentration.shape[-1] - 1) * torch.digamma(total)


# Divergences


@register_kl(Dirichlet, Dirichlet)
def _kl_dirichlet_dirichlet(p: Dirichlet, q: Dirichlet) -> Tensor:
    """Return the divergence of the gamma variables less that of their sums, which are independent of the shares."""
    a, b = p.concentration, q.concentration
    parts = kl_divergence(_gamma(a), _gamma(b)).sum(-1)
    return parts - kl_divergence(_gamma(a.sum(-1)), _gamma(b.sum(-1)))


def _gamma(concentration: Tensor) -> Gamma:
    return Gamma(concentration, torch.ones_like(concentration), validate_args=False)
