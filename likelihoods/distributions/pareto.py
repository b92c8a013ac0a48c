"""The Pareto law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.transforms import AffineTransform, ExpTransform, Transform

from likelihoods.distributions.base import (
    Value,
    at_ends,
    between,
    floating,
    log_nonnegative,
    promote,
    quantile,
    register_kl,
)
from likelihoods.distributions.exponential import Exponential
from likelihoods.distributions.univariate import Univariate
from likelihoods.special import log1mexp, one_minus_exp


class Pareto(Univariate, pyro.distributions.Pareto):  # type: ignore[misc]  # Pyro makes this class on import
    r"""The Pareto law, with density (alpha / y) · (scale / y)^alpha for y >= scale.

    Args:
        scale: the least value, positive.
        alpha: shape, positive; the moment of order n exists below it.
        validate_args: whether to check the parameters; torch's default if None.

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 20.

    >>> Pareto(2.0, 3.0).log_prob(torch.tensor([2.0, 1.0]))
    tensor([0.4055,   -inf])
    """

    arg_constraints = {"scale": constraints.positive, "alpha": constraints.positive}
    has_rsample = True

    def __init__(self, scale: Value = 1.0, alpha: Value = 1.0, *, validate_args: bool | None = None) -> None:
        self.scale, self.alpha = promote(scale, alpha)
        self._settle(validate_args)

    # What torch's TransformedDistribution stores

    @property
    def base_dist(self) -> Exponential:
        """The law of log(y / scale)."""
        return Exponential(self._full(self.alpha), validate_args=False)

    @property
    def transforms(self) -> list[Transform]:
        """What takes log(y / scale) to y."""
        return [ExpTransform(), AffineTransform(0.0, self.scale)]

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats; -inf for value < scale."""
        value = floating(value, self.scale)
        log_ratio = self._log_ratio(value)
        density = self.alpha.log() - self.scale.log() - (self.alpha + 1.0) * log_ratio
        return density + log_nonnegative(value - self.scale.detach())

    def _log_ratio(self, value: Tensor) -> Tensor:
        """Return log(y / scale), 0 below the scale; its slope in the scale is that of -log(scale), also at y = inf."""
        scale, log_scale = self.scale.detach(), self.scale.log()
        return torch.log1p((value - scale).clamp(min=0.0) / scale) + (log_scale.detach() - log_scale)

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return at_ends(one_minus_exp(self._hazard(value)), value, self.scale, torch.inf, 0.0, 1.0)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return at_ends(log1mexp(self._hazard(value)), value, self.scale, torch.inf, -torch.inf, 0.0)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return at_ends(-self._hazard(value), value, self.scale, torch.inf, 0.0, -torch.inf)

    def _hazard(self, value: Tensor) -> Tensor:
        """Return alpha · log(y / scale) within the support, alpha · log 2 outside it."""
        inside = between(floating(value, self.scale), self.scale, torch.inf, 2.0 * self.scale.detach())
        return self.alpha * self._log_ratio(inside)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        p = between(value, 0.0, 1.0, torch.full_like(value, 0.5))
        return quantile(self._at_hazard(-torch.log1p(-p)), value, self.scale, torch.inf)

    def _at_hazard(self, hazard: Tensor) -> Tensor:
        return self.scale * (hazard / self.alpha).exp()

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean; infinite for alpha <= 1."""
        alpha = self.alpha.clamp(min=1.0)
        return self._full(self.scale * (alpha / (alpha - 1.0)))

    @property
    def variance(self) -> Tensor:
        """The variance; infinite for alpha <= 2."""
        alpha = self.alpha.clamp(min=2.0)
        return self._full(self.scale * self.scale * (alpha / ((alpha - 1.0) ** 2 * (alpha - 2.0))))

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full(self.scale)

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full(self.scale.log() - self.alpha.log() + (1.0 + self.alpha.reciprocal()))

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in both parameters."""
        shape = self._extended_shape(sample_shape)
        return self._at_hazard(torch.empty(shape, dtype=self.scale.dtype, device=self.scale.device).exponential_())

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples."""
        with torch.no_grad():
            return self.rsample(sample_shape)


# Divergences


@register_kl(Pareto, Pareto)
def _kl_pareto_pareto(p: Pareto, q: Pareto) -> Tensor:
    """Return the divergence of two shifted exponential laws of log y; infinite where q starts above p."""
    t = (q.alpha - p.alpha) / p.alpha
    inside = q.scale <= p.scale
    gap = torch.where(inside, p.scale / q.scale, 1.0).log()
    return torch.where(inside, t - torch.log1p(t) + q.alpha * gap, torch.inf)
