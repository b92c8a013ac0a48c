"""The power likelihood: a density that counts a given number of times."""

from __future__ import annotations

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, constraints

from likelihoods.distributions.base import Value
from likelihoods.distributions.supports import support_of


class Weighted(TorchDistribution):
    """The power likelihood p(y)^w: ``log_prob`` is w · log p(y). It is no law, since it does not integrate to 1.

    A weight that depends on what is known beforehand (a sampling weight, a number of repetitions) leaves the law that is
    learned as it is; one that depends on y itself (class weights) makes it the tilted law w(y)·p(y) / Σ w·p. A weight of 0
    leaves the target out, even an impossible one.

    Args:
        base: any law.
        weight: the weights, not negative, one a row of the batch or broadcast against it; None where each value comes
            with its own, as a pair (value, weight).

    Source: C. F. Manski, S. R. Lerman (1977), The estimation of choice probabilities from choice based samples,
    doi:10.2307/1914121

    >>> from likelihoods.distributions import Normal
    >>> Weighted(Normal(0.0, 1.0)).log_prob((torch.zeros(2), torch.tensor([1.0, 3.0])))
    tensor([-0.9189, -2.7568])
    """

    arg_constraints = {}  # the base has the parameters

    def __init__(self, base: Distribution, weight: Value | None = None) -> None:
        self.base = base
        self.weight = weight if weight is None or isinstance(weight, Tensor) else torch.as_tensor(weight)
        Distribution.__init__(self, base.batch_shape, base.event_shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Weighted:
        """Return the likelihood with its base expanded; the weights broadcast against it."""
        return Weighted(self.base.expand(batch_shape), self.weight)

    @property
    def support(self) -> constraints.Constraint:
        """The base's support."""
        return support_of(self.base)

    def log_prob(self, value: Any) -> Tensor:
        """Return weight · log-density in nats, of a value, or of a pair (value, weight)."""
        value, weight = split(self.weight, value)
        log_prob: Tensor = self.base.log_prob(value)
        counts = weight != 0
        return torch.where(counts, weight * torch.where(counts, log_prob, 0.0), 0.0)

    @property
    def mean(self) -> Tensor:
        """Raise: this is no law."""
        raise NotImplementedError(NO_LAW)

    @property
    def variance(self) -> Tensor:
        """Raise: this is no law."""
        raise NotImplementedError(NO_LAW)

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Raise: this is no law."""
        raise NotImplementedError(NO_LAW)

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Raise: this is no law."""
        raise NotImplementedError(NO_LAW)


NO_LAW = (
    "A power likelihood p(y)^w does not integrate to 1, so it is no law: it has no samples and no moments. Ask the law "
    "that was weighted, .base."
)


def split(weight: Value | None, target: Any) -> tuple[Any, Any]:
    """Return value and weight, where the target holds both if there is no fixed weight.

    Raises:
        TypeError: the target is no pair.
    """
    if weight is not None:
        return target, weight
    if not isinstance(target, tuple | list) or len(target) != 2:
        raise TypeError(
            f"Without a fixed weight each target is a pair (value, weight), but got {type(target).__name__}; write "
            f"(y, w), or give the weight beforehand: Weighted(base, weight=w)."
        )
    return target[0], target[1]
