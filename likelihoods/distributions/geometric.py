"""The geometric law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import Value, choose, derived, promote, register_kl
from likelihoods.distributions.counts import Count, chances, kl_of_trial
from likelihoods.special import log1mexp


class Geometric(Count, pyro.distributions.Geometric):
    """The geometric law, with mass (1 - p)^y p at y = 0, 1, 2, …, p = sigmoid(logits): the failures before a success.

    Args:
        logits: log-odds of a success, real.
        probs: p, in (0, 1]; give either this or ``logits``.
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        TypeError: neither or both of ``logits`` and ``probs`` are given.

    Source: N. L. Johnson, A. W. Kemp, S. Kotz (2005), Univariate Discrete Distributions, section 5.2,
    doi:10.1002/0471715816.

    >>> Geometric(0.0).log_prob(torch.tensor([3.0, -1.0]))
    tensor([-2.7726,    -inf])
    """

    arg_constraints = {"logits": constraints.real, "probs": constraints.unit_interval}

    def __init__(
        self, logits: Value | None = None, *, probs: Value | None = None, validate_args: bool | None = None
    ) -> None:
        given: dict[str, Any] = {"logits": logits, "probs": probs}
        (name,) = choose("Geometric", given, ("logits",), ("probs",))
        (self.__dict__[name],) = promote(given[name])
        self._settle(validate_args)

    @derived
    def logits(self) -> Tensor:
        """The log-odds of a success."""
        return self.probs.log() - torch.log1p(-self.probs)

    @derived
    def probs(self) -> Tensor:
        """The probability of a success."""
        return self.logits.sigmoid()

    # Density

    def _log_mass(self, count: Tensor) -> Tensor:
        _, _, log_p, log_q = chances(self)
        return torch.where(count == 0.0, 0.0, count * log_q) + log_p

    # Distribution function

    def _log_tails(self, count: Tensor) -> tuple[Tensor, Tensor]:
        above = (count + 1.0) * chances(self)[3]
        return log1mexp(-above), above

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        p, q, *_ = chances(self)
        return self._full(q / p)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        p, q, *_ = chances(self)
        return self._full(q / p / p)

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full(torch.zeros_like(self.probs))

    def entropy(self) -> Tensor:
        """Return the entropy in nats: that of a trial times the mean number of trials."""
        p, q, log_p, log_q = chances(self)
        return self._full(-log_p - torch.where(q == 0.0, 0.0, q / p * log_q))

    # Sampling

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples: exponential deviates, rounded down."""
        with torch.no_grad():
            log_q = chances(self)[3].expand(self._extended_shape(sample_shape))
            return (torch.empty_like(log_q).exponential_() / -log_q).floor()


# Divergences


@register_kl(Geometric, Geometric)
def _kl_geometric_geometric(p: Geometric, q: Geometric) -> Tensor:
    """Return the divergence of a trial times the mean number of trials."""
    return kl_of_trial(p, q) / p.probs
