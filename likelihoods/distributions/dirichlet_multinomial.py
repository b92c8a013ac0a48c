"""The Dirichlet-multinomial law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import (
    STORED,
    Parametric,
    Value,
    derived,
    floating,
    log_indicator,
    promote,
    register_kl,
)
from likelihoods.distributions.beta_binomial import BetaBinomial
from likelihoods.distributions.dirichlet import Dirichlet
from likelihoods.distributions.looks import counts, in_sight, limit, moderate, within
from likelihoods.distributions.multinomial import Compositions, Multinomial
from likelihoods.distributions.negative_binomial import mass_by_mean
from likelihoods.special import analytic
from likelihoods.wide import (
    FEW,
    by_blocks,
    is_wide,
    lgamma,
    lgamma_block,
    lgamma_rise,
    log_factorial,
    log_factorial_of,
    rise_block,
    rise_slope_block,
)


def _part_block(a: Tensor, count: Tensor) -> Tensor:
    count = count.double()
    return rise_block(a.double(), count).sub_(lgamma_block(count + 1.0))


_slope_ = analytic(
    lambda a, count: by_blocks(lambda b, k: rise_slope_block(b.double(), k.double()), a, count),
    lambda a, count: torch.polygamma(1, a + count) - torch.polygamma(1, a),
    None,
)
_part_ = analytic(
    lambda a, count: by_blocks(_part_block, a, count), _slope_, None
)  # of Γ(y + a) / (y! Γ(a)), for tensors of one shape


def _rise(a: Tensor, count: Tensor, like: Tensor) -> Tensor:
    """Return lgamma(a + count) - lgamma(a) as it is written, each Γ(x) as Γ(x + 1)/x."""
    top = a + count
    return log_factorial(top, like) - log_factorial(a, like) + torch.log(a / top)


def _as_written(count: Tensor, a: Tensor) -> Tensor:
    return _rise(a.double(), count.double(), count) - log_factorial_of(count)


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
        if (quick := self._textbook(value)) is not None:
            return quick
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

    def _textbook(self, value: Tensor) -> Tensor | None:
        a, n = self.concentration, self.total_count
        if value.requires_grad or n.requires_grad or not in_sight(value, a, n):
            return None
        total = a.double().sum(-1)
        if not (moderate(a) and within(total, 0.0, limit(a)) and counts(value) and counts(n)):
            return None
        if not within(value.sum(-1) - n, -0.5, 0.5):
            return None
        parts = by_blocks(_as_written, value, a).sum(-1) - _rise(total, n.double(), value) + log_factorial_of(n)
        return parts.to(value.dtype)

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

    @property
    def mode(self) -> Tensor:
        """The likeliest counts, ``(..., K)``.

        One more of a kind adds log((y + a) / (y + 1)), which falls to 0 with y for a > 1. Those kinds share the trials in
        proportion to a - 1, rounded down, and what is left goes where it adds most, one by one. If there are none, all
        trials are of the kind with the largest a.
        """
        with torch.no_grad():
            size = self._full(self.concentration)
            excess = (size - 1.0).clamp(min=0.0)
            total = excess.sum(-1, keepdim=True)
            some = total > 0
            largest = torch.zeros_like(size).scatter_(-1, size.argmax(-1, keepdim=True), 1.0)
            share = torch.where(some, excess / torch.where(some, total, 1.0), largest)
            trials = self.total_count.unsqueeze(-1)
            mode = (trials * share).floor()
            for _ in range(size.shape[-1]):
                best = ((mode + size) / (mode + 1.0)).argmax(-1, keepdim=True)
                left = trials - mode.sum(-1, keepdim=True)
                mode = mode.scatter_add(-1, best, (left > 0).to(mode.dtype))
            return mode

    def entropy(self) -> Tensor:
        """Return the entropy in nats: the masses of each count alone, a beta-binomial one, give the mean of its part."""
        return -self._mean_log_mass(self)

    def _mean_log_mass(self, other: DirichletMultinomial) -> Tensor:
        """Return the mean under this law of the log-mass under another of as many trials."""
        shape = torch.broadcast_shapes(self._batch_shape, other._batch_shape) + self._event_shape
        trials, whole = self.total_count.unsqueeze(-1), self.concentration.sum(-1, keepdim=True)
        size, rest = (x.expand(shape) for x in (self.concentration, whole - self.concentration))
        alone = BetaBinomial(size, rest, trials.expand(shape), validate_args=False)
        other_size, ratio = (x.expand(shape) for x in (other.concentration, other._ratio()))
        parts = alone._support_sum(lambda count, _: mass_by_mean(count, other_size * ratio, other_size))
        return parts.sum(-1) - other._log_total()

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


# Divergences


@register_kl(DirichletMultinomial, DirichletMultinomial)
def _kl_dirichlet_multinomial(p: DirichletMultinomial, q: DirichletMultinomial) -> Tensor:
    """Return the mean log-ratio, sums over each count alone; infinite for other numbers of trials."""
    return torch.where(p.total_count == q.total_count, p._mean_log_mass(p) - p._mean_log_mass(q), torch.inf)
