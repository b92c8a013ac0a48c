"""The Dirichlet law."""

from __future__ import annotations

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import constraints, kl_divergence

from likelihoods.distributions.base import Parametric, Value, floating, promote, register_kl
from likelihoods.distributions.gamma import Gamma, by_rate
from likelihoods.distributions.looks import ORDINARY, in_sight, limit, moderate, within
from likelihoods.special import analytic
from likelihoods.wide import (
    FEW,
    by_blocks,
    by_rows,
    digamma_block,
    is_wide,
    lgamma,
    lgamma_block,
    log_factorial,
    power_block,
)

WHOLE = 1.0 - 1e-6, 1.0 + 1e-6  # sums that torch's simplex takes for 1
HUGE = 1e300  # stands for -log 0: times 0 it is 0, and any power of 0 comes out infinite


def _cut_log(value: Tensor) -> Tensor:
    """Return log y in float64; at 0 and inf (and below 0) it is finite, so that times 0 it is 0."""
    return value.double().clamp(min=0.0).log().clamp(-HUGE, HUGE)


def _part_block(value: Tensor, a: Tensor) -> Tensor:
    a = a.double()
    return _cut_log(value).mul_(a - 1.0).sub_(lgamma_block(a))


_slope_ = analytic(
    lambda value, a: by_blocks(lambda y, b: _cut_log(y).sub_(digamma_block(b.double())), value, a),
    lambda value, a: value.reciprocal(),
    lambda value, a: -torch.polygamma(1, a),
)
_part_ = analytic(
    lambda value, a: by_blocks(_part_block, value, a), lambda value, a: (a - 1.0) / value, _slope_
)  # of y^(a - 1) / Γ(a), for tensors of one shape


def _as_written(value: Tensor, a: Tensor) -> Tensor:
    """Return log(y^(a - 1) / Γ(a)) in float64, Γ(a) as Γ(a + 1)/a."""
    a, y = a.double(), value.double()
    return torch.addcmul(torch.log(a / y), a, y.log()) - log_factorial(a, value)


def _power(value: Tensor, a: Tensor) -> Tensor:
    y = value.double()
    return power_block(y, y, a.double())


_slope_within_ = analytic(
    lambda value, a: by_blocks(lambda y, b: y.double().log_().sub(digamma_block(b.double())), value, a),
    lambda value, a: value.reciprocal(),
    lambda value, a: -torch.polygamma(1, a),
)
_many_ = analytic(  # ``_as_written`` of many float32 numbers
    lambda value, a: by_blocks(_power, value, a), lambda value, a: (a.double() - 1.0) / value, _slope_within_
)


def _sum_of_many(value: Tensor, a: Tensor) -> Tensor:
    return _many_(value, a).sum(-1)


def _wide_sum(a: Tensor) -> Tensor:
    return a.double().sum(-1)


class Dirichlet(Parametric, pyro.distributions.Dirichlet):
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

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}

    def __init__(self, concentration: Value, *, validate_args: bool | None = None) -> None:
        (self.concentration,) = promote(concentration)
        if self.concentration.dim() < 1:
            raise ValueError(
                "Dirichlet got concentration of shape (); give a tensor of shape (..., K) for K categories."
            )
        self._settle(validate_args, event_dim=1)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats, ``(...)``; -inf off the simplex.

        On the boundary it is the limit as the coordinates that are 0 there go to 0 together.
        """
        value, a = floating(value, self.concentration), self.concentration
        if in_sight(value, a) and moderate(a) and within(value, *ORDINARY) and within(value.sum(-1), *WHOLE):  # noqa: SIM102
            if within(a, 0.0, limit(a) / a.shape[-1]) or within(a.detach().sum(-1), 0.0, limit(a)):
                many = value.numel() >= FEW and not is_wide(value)
                parts = by_rows(_sum_of_many, value, a) if many else by_blocks(_as_written, value, a).sum(-1)
                total = by_rows(_wide_sum, a)
                return (parts + log_factorial(total, value) - total.log()).to(value.dtype)
        density = self._precise(value) if is_wide(self.concentration) else self._plain(value)
        missing = torch.where(density.isnan(), density, -torch.inf)
        return torch.where(self.support.check(value), density, missing)

    def _plain(self, value: Tensor) -> Tensor:
        """Return the log-density as it is written, in float64 and rounded."""
        a = self.concentration
        if a.shape == value.shape and a.numel() >= FEW:
            parts = _part_(value, a)
        else:
            parts = (a.double() - 1.0) * _cut_log(value) - lgamma(a.double())
        return (parts.sum(-1) + lgamma(a.double().sum(-1))).to(value.dtype)

    def _precise(self, value: Tensor) -> Tensor:
        """Return the log-density from those of the gamma variables and of their sum, which cancel nothing."""
        a = self.concentration
        total = a.sum(-1, keepdim=True)
        outside = (value <= 0) | (value == torch.inf)
        parts = by_rate(torch.where(outside, 0.5, value), a, total)
        parts = torch.where(outside, (1.0 - a.detach()) * HUGE + total.log(), parts).sum(-1, keepdim=True)
        excess = (torch.where(outside, 0.0, value).sum(-1, keepdim=True) - 1.0) * total
        density = (parts + excess - by_rate(torch.ones_like(total), total, total)).squeeze(-1)
        limit = torch.where(density > 0, torch.inf, -torch.inf).to(density.dtype)
        return torch.where(density.abs() > 1e-20 * HUGE, limit, density)

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
