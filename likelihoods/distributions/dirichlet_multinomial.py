"""The Dirichlet-multinomial law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import STORED, Parametric, Value, derived, floating, log_indicator, promote
from likelihoods.distributions.beta_binomial import BetaBinomial
from likelihoods.distributions.dirichlet import Dirichlet
from likelihoods.distributions.multinomial import Compositions, Multinomial
from likelihoods.distributions.negative_binomial import mass_by_mean
from likelihoods.special import analytic
from likelihoods.wide import FEW, in_blocks, is_wide, lgamma, lgamma_block, lgamma_rise, rise_block, rise_slope_block


def _part_block(a: Tensor, count: Tensor) -> Tensor:
    count = count.double()
    return rise_block(a.double(), count).sub_(lgamma_block(count + 1.0))


_slope_ = analytic(
    lambda a, count: in_blocks(lambda b, k: rise_slope_block(b.double(), k.double()), a, count),
    lambda a, count: torch.polygamma(1, a + count) - torch.polygamma(1, a),
    None,
)
_part_ = analytic(
    lambda a, count: in_blocks(_part_block, a, count), _slope_, None
)  # of Γ(y + a) / (y! Γ(a)), for tensors of one shape


class DirichletMultinomial(Parametric, pyro.distributions.DirichletMultinomial):
    r"""The Dirichlet-multinomial law: a multinomial law of n trials whose probabilities have a Dirichlet law.

    The mass is n! Γ(A)/Γ(n + A) Π_k Γ(y_k + a_k)/(y_k! Γ(a_k)), a = concentration, A = Σ a. It is the law of K negative
    binomial counts of sizes a_k, given that their total is n, and is evaluated as that.

    Args:
        concentration: ``(..., K)``, positive.
        total_count: n, a non-negative integer; a tensor with the batch shape or a number.
        validate_args: whether to check the parameters; torch's default if None.

    Source: J. E. Mosimann (1962), On the compound multinomial distribution, doi:10.1093/biomet/49.1-2.65.

    >>> DirichletMultinomial(torch.tensor([2.0, 3.0]), 3).log_prob(torch.tensor([[1.0, 2.0], [2.0, 2.0]]))
    tensor([-1.0704,    -inf])
    """

    arg_constraints = {
        "concentration": constraints.independent(constraints.positive, 1),
        "total_count": constraints.nonnegative_integer,
    }
    concentration: Tensor = STORED  # a plain attribute, where Pyro reads it off a Dirichlet law
    total_count: Tensor
    is_sparse = False  # Pyro's alternative formula for data with many zeros

    def __init__(self, concentration: Value, total_count: Value = 1, *, validate_args: bool | None = None) -> None:
        self.concentration, self.total_count = promote(concentration, total_count)
        if self.concentration.dim() < 1:
            raise ValueError(
                "DirichletMultinomial got concentration of shape (); give a tensor of shape (..., K) for K categories."
            )
        self._settle(validate_args, event_dim=1)

    @derived
    def _dirichlet(self) -> Dirichlet:
        """The law of the probabilities."""
        return Dirichlet(self.concentration, validate_args=False).expand(self._batch_shape)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> constraints.Constraint:
        """Counts that add up to ``total_count``."""
        return Compositions(self.total_count)

    # Mass

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-mass in nats, ``(...)``; -inf where the counts are no counts or do not add up to the trials."""
        value = floating(value, self.concentration)
        count = torch.minimum(value.clamp(min=0.0).floor(), self.total_count.unsqueeze(-1))
        mass = self._precise(count) if is_wide(self.concentration) else self._plain(count)
        return mass + log_indicator(self.support.check(value), mass)

    def _plain(self, count: Tensor) -> Tensor:
        """Return the log-mass as it is written, in float64 and rounded."""
        a, n = self.concentration, self.total_count.double()
        count = count.detach()
        if a.shape == count.shape and a.numel() >= FEW:
            parts = _part_(a, count)
        else:
            parts = lgamma_rise(a.double(), count.double()) - lgamma(count.double() + 1.0)
        return (parts.sum(-1) - lgamma_rise(a.double().sum(-1), n) + lgamma(n + 1.0)).to(a.dtype)

    def _precise(self, count: Tensor) -> Tensor:
        """Return the log-mass from those of the negative binomial counts and of their sum, which cancel nothing."""
        size = self.concentration
        return mass_by_mean(count, size * self._ratio(), size).sum(-1) - self._log_total()

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean, ``(..., K)``."""
        return self._full(
            self.total_count.unsqueeze(-1) * self.concentration / self.concentration.sum(-1, keepdim=True)
        )

    @property
    def variance(self) -> Tensor:
        """The variance of each count, ``(..., K)``."""
        total, trials = self.concentration.sum(-1, keepdim=True), self.total_count.unsqueeze(-1)
        mean = self.concentration / total
        return self._full(trials * mean * ((total - self.concentration) / total) * ((trials + total) / (1.0 + total)))

    def entropy(self) -> Tensor:
        """Return the entropy in nats: the masses of each count alone, a beta-binomial one, give the mean of its part."""
        shape = self._batch_shape + self._event_shape
        trials, whole = self.total_count.unsqueeze(-1), self.concentration.sum(-1, keepdim=True)
        size, rest, ratio = (x.expand(shape) for x in (self.concentration, whole - self.concentration, self._ratio()))
        alone = BetaBinomial(size, rest, trials.expand(shape), validate_args=False)
        parts = alone._support_sum(lambda count, _: mass_by_mean(count, size * ratio, size))
        return self._log_total() - parts.sum(-1)

    def _ratio(self) -> Tensor:
        """Return what mean and size of the negative binomial laws are to each other; any ratio gives the same law."""
        return (self.total_count.unsqueeze(-1).clamp(min=1.0) / self.concentration.sum(-1, keepdim=True)).detach()

    def _log_total(self) -> Tensor:
        """Return the log-mass that the sum of the negative binomial counts is ``total_count``."""
        whole = self.concentration.sum(-1)
        return mass_by_mean(self.total_count, whole * self._ratio().squeeze(-1), whole)

    # Sampling

    @torch.no_grad()
    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples: counts of trials with drawn probabilities."""
        return Multinomial(self.total_count, probs=self._dirichlet.sample(sample_shape), validate_args=False).sample()
