"""Another package's law on the line, with what can be had from its cdf."""

from __future__ import annotations

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, TransformedDistribution, constraints

from likelihoods.distributions.base import derived, floating
from likelihoods.distributions.supports import support_of
from likelihoods.distributions.univariate import Univariate


class Foreign(Univariate, TorchDistribution):
    """A torch or Pyro law on the line, with tails made of its ``cdf``, for the laws that are made of laws.

    The tails are log F and log(1 - F), so they have the digits that F and 1 - F have left: in the upper tail an interval
    loses a digit for each factor of ten, and beyond 1 - F = 1e-16 (1e-7 in float32) its mass is 0 and its log-mass -inf.
    In the lower tail most laws keep their digits. The laws of this package have both tails in log space.

    Outside the support the density is 0 and the cdf 0 or 1, whatever the law itself does there.

    Args:
        base: any torch law of numbers that has a ``cdf``.

    Raises:
        TypeError: the law has no cdf, or is one of vectors.

    >>> Foreign(torch.distributions.Normal(0.0, 1.0)).log_mass(torch.tensor(0.0), torch.tensor(torch.inf))
    tensor(-0.6931)
    """

    arg_constraints = {}  # the base has the parameters

    def __init__(self, base: Distribution) -> None:
        name = type(base).__name__
        if base.event_shape:
            raise TypeError(f"{name} is a law of values with shape {tuple(base.event_shape)}; give a law of numbers.")
        if type(base).cdf is Distribution.cdf:
            raise TypeError(
                f"{name} has no cdf, so the mass of an interval under it is not to be had: use one of "
                f"likelihoods.distributions, or give the class a method cdf(value)."
            )
        self.base = base
        self._initialise(base.batch_shape, torch.Size(), False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Foreign:
        """Return the law expanded."""
        return Foreign(self.base.expand(batch_shape))

    @property
    def _like(self) -> Tensor:
        law = self.base
        while isinstance(law, TransformedDistribution):
            law = law.base_dist
        parameters = (vars(law).get(name) for name in law.arg_constraints)
        return next((p for p in parameters if isinstance(p, Tensor) and p.is_floating_point()), torch.zeros(()))

    @property
    def support(self) -> constraints.Constraint:
        """The law's own."""
        return support_of(self.base)

    def _bounds(self) -> tuple[Any, Any]:
        bounds = vars(self.base.support)
        return bounds.get("lower_bound", -torch.inf), bounds.get("upper_bound", torch.inf)

    def _inner(self) -> Tensor:
        """Return some point of the support."""
        low, high = (
            torch.as_tensor(bound, dtype=self._like.dtype, device=self._like.device) for bound in self._bounds()
        )
        if self.support.is_discrete:
            return torch.where(low > -torch.inf, low, torch.where(high < torch.inf, high, 0.0))
        above, below = torch.where(low > -torch.inf, low + 1.0, 0.0), torch.where(high < torch.inf, high - 1.0, 0.0)
        one = torch.where(low > -torch.inf, above, below)
        return torch.where((low > -torch.inf) & (high < torch.inf), low + 0.5 * (high - low), one)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density (or log-mass) in nats; -inf outside the support."""
        value = floating(value, self._like)
        inside = self.support.check(value)
        found = self.base.log_prob(torch.where(inside, value, self._inner()))
        return torch.where(inside, found, torch.where(value.isnan(), torch.nan, -torch.inf))

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        value = floating(value, self._like)
        low, high = self._bounds()
        if self.support.is_discrete:
            value = value.floor()
            below, above = value < low, value >= high
        else:
            below, above = value <= low, value >= high
        outside = below | above | value.isinf() | value.isnan()
        inner = self.base.cdf(torch.where(outside, self._inner(), value))
        inner = torch.where(below | (value == -torch.inf), 0.0, torch.where(above | (value == torch.inf), 1.0, inner))
        return torch.where(value.isnan(), torch.nan, inner)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        cdf = self.cdf(value)
        return torch.where(cdf == 0, -torch.inf, torch.where(cdf == 0, 1.0, cdf).log())

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value), the logarithm of 1 - F."""
        cdf = self.cdf(value)
        return torch.where(cdf == 1, -torch.inf, torch.log1p(-torch.where(cdf == 1, 0.0, cdf)))

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile, if the law has one."""
        found: Tensor = self.base.icdf(value)
        return found

    # Moments

    @property
    def mean(self) -> Tensor:
        """The law's own."""
        return self.base.mean

    @property
    def variance(self) -> Tensor:
        """The law's own."""
        return self.base.variance

    @property
    def mode(self) -> Tensor:
        """The law's own."""
        return self.base.mode

    def entropy(self) -> Tensor:
        """Return the law's own."""
        found: Tensor = self.base.entropy()
        return found

    # Sampling

    @derived
    def has_rsample(self) -> bool:
        """The law's own."""
        return bool(self.base.has_rsample)

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return the law's own samples with slopes."""
        return self.base.rsample(sample_shape)

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return the law's own samples."""
        return self.base.sample(sample_shape)


def univariate(law: Distribution) -> Univariate:
    """Return the law as one with tails: itself, if it has them.

    Raises:
        TypeError: it has no cdf, or is a law of vectors.
    """
    return law if isinstance(law, Univariate) and not law.event_shape else Foreign(law)
