"""The law of an array of independent elements."""

from __future__ import annotations

import pyro.distributions
from torch import Tensor


class Elements(pyro.distributions.Independent):
    """Pyro's Independent, which also takes an empty batch: torch's sum over the event cannot reshape it.

    Args:
        base_distribution: the law of the elements, its last batch axes being the event's.
        reinterpreted_batch_ndims: how many of them, at least 1.
        validate_args: as in Pyro.

    >>> import torch
    >>> from likelihoods.distributions import Normal
    >>> Elements(Normal(torch.zeros(0, 3), 1.0), 1).log_prob(torch.zeros(0, 3))
    tensor([])
    """

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density (or log-mass) in nats, the sum over the elements."""
        return self._total(self.base_dist.log_prob(value))

    def entropy(self) -> Tensor:
        """Return the entropy in nats, the sum over the elements."""
        return self._total(self.base_dist.entropy())

    def _total(self, each: Tensor) -> Tensor:
        return each.sum(tuple(range(-self.reinterpreted_batch_ndims, 0)))
