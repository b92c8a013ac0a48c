"""Likelihoods made of likelihoods; their raw axes add up."""

from __future__ import annotations

from typing import final

from torch import Tensor

from likelihoods import distributions
from likelihoods.likelihood import Likelihood


@final
class Discretized(Likelihood):
    """The likelihood of a target that was rounded to multiples of a step: the mass of its cell instead of a density.

    Args:
        base: the likelihood of the value before it was rounded.
        step: the lattice's spacing, positive.

    >>> import torch, likelihoods as lk
    >>> likelihood = lk.Discretized(lk.Family(lk.distributions.Normal, loc=lk.predicted(), scale=1.0), step=1.0)
    >>> likelihood.log_prob(torch.zeros(1), torch.zeros(1))
    tensor([-0.9599])
    """

    def __init__(self, base: Likelihood, step: float = 1.0) -> None:
        super().__init__()
        self.base, self.step, self.width, self.rank = base, step, base.width, base.rank

    def distribution(self, raw: Tensor) -> distributions.Discretized:
        """Return the rounded law for each row of raw, ``(..., width)``."""
        return distributions.Discretized(self.base.distribution(raw), self.step)

    def learn(self, *names: str) -> Discretized:
        """Return a copy in which the base's named constant parameters are learned."""
        return Discretized(self.base.learn(*names), self.step)

    def code(self) -> str:
        """Return the Python expression that makes this likelihood."""
        return f"lk.Discretized({self.base.code()}, step={self.step:g})"
