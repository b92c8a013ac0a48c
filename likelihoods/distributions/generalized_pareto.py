"""The generalised Pareto law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import Value, at_ends, between, floating, log_indicator, promote, quantile
from likelihoods.distributions.univariate import Univariate
from likelihoods.removable import expm1_ratio, log1p_by
from likelihoods.special import log1mexp, one_minus_exp


class GeneralizedPareto(Univariate, pyro.distributions.GeneralizedPareto):  # type: ignore[misc, name-defined]  # Pyro makes this class on import
    r"""The generalised Pareto law, the limit of the excess over a high threshold.

    With z = (y - loc) / scale the density is (1 + concentration · z)^(-1 - 1/concentration) / scale for z >= 0 and
    1 + concentration · z > 0, and exp(-z) / scale at concentration 0; it is smooth there.

    Args:
        loc: the least value, real.
        scale: positive.
        concentration: tail index, real; the moment of order n exists below 1/n; below 0 there is a largest value.
        validate_args: whether to check the parameters; torch's default if None.

    Source: J. Pickands (1975), doi:10.1214/aos/1176343003.

    >>> GeneralizedPareto(0.0, 2.0, 0.0).log_prob(torch.tensor([2.0, -1.0]))
    tensor([-1.6931,    -inf])
    """

    def __init__(
        self,
        loc: Value = 0.0,
        scale: Value = 1.0,
        concentration: Value = 0.0,
        *,
        validate_args: bool | None = None,
    ) -> None:
        self.loc, self.scale, self.concentration = promote(loc, scale, concentration)
        self._settle(validate_args)

    def _upper(self) -> Tensor:
        """Return the largest value, inf for a concentration of at least 0."""
        negative = self.concentration < 0
        return torch.where(negative, self.loc - self.scale / torch.where(negative, self.concentration, -1.0), torch.inf)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> constraints.Constraint:
        """From loc to the largest value."""
        return constraints.interval(self.loc, self._upper())

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats; -inf below loc and from the largest value on."""
        z = (floating(value, self.scale) - self.loc) / self.scale
        inside = (z >= 0) & (z < torch.inf) & (self.concentration * z > -1.0)
        hazard = log1p_by(z.clamp(0.0, torch.finfo(z.dtype).max), self.concentration)
        return (hazard * (-1.0 - self.concentration)).sub_(self.scale.log()).add_(log_indicator(inside, z))

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return at_ends(one_minus_exp(self._hazard(value)), value, self.loc, self._upper(), 0.0, 1.0)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return at_ends(log1mexp(self._hazard(value)), value, self.loc, self._upper(), -torch.inf, 0.0)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return at_ends(-self._hazard(value), value, self.loc, self._upper(), 0.0, -torch.inf)

    def _hazard(self, value: Tensor) -> Tensor:
        """Return log(1 + concentration · z) / concentration within the support; of some z there outside it."""
        within = self.scale.detach() / (2.0 + self.concentration.detach().abs())
        y = between(floating(value, self.scale), self.loc, self._upper(), self.loc.detach() + within)
        return log1p_by((y - self.loc) / self.scale, self.concentration)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        p = between(value, 0.0, 1.0, torch.full_like(value, 0.5))
        return quantile(self._at_hazard(-torch.log1p(-p)), value, self.loc, self._upper())

    def _at_hazard(self, hazard: Tensor) -> Tensor:
        return self.loc + self.scale * (hazard * expm1_ratio(self.concentration * hazard))

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean; infinite for a concentration of at least 1."""
        room = 1.0 - self.concentration.clamp(max=1.0)
        return self._full(self.loc + self.scale / room)

    @property
    def variance(self) -> Tensor:
        """The variance; infinite for a concentration of at least 1/2."""
        room = 1.0 - 2.0 * self.concentration.clamp(max=0.5)
        deviation = self.scale / (1.0 - self.concentration.clamp(max=0.5))
        return self._full(deviation * deviation / room)

    @property
    def mode(self) -> Tensor:
        """The mode: the largest value for a concentration below -1, else loc."""
        return self._full(torch.where(self.concentration < -1.0, self._upper(), self.loc))

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full(1.0 + self.concentration + self.scale.log())

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in all parameters."""
        shape = self._extended_shape(sample_shape)
        return self._at_hazard(torch.empty(shape, dtype=self.loc.dtype, device=self.loc.device).exponential_())
