"""The Gumbel law."""

from __future__ import annotations

import math
from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import Distribution, constraints, transforms

from likelihoods.distributions.base import Value, promote, register_kl
from likelihoods.distributions.uniform import Uniform
from likelihoods.distributions.univariate import Univariate
from likelihoods.special import EULER, log1mexpexp, safe_exp

VARIANCE = math.pi**2 / 6.0


class Gumbel(Univariate, pyro.distributions.Gumbel):  # type: ignore[misc]  # Pyro makes this class on import
    r"""The Gumbel law of a maximum, with density exp(-z - exp(-z)) / scale, z = (y - loc) / scale.

    Args:
        loc: mode, real.
        scale: scale, positive.
        validate_args: whether to check the parameters; torch's default if None.

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1995), Continuous Univariate Distributions 2, chapter 22.

    >>> Gumbel(0.0, 2.0).log_prob(torch.tensor(1.0))
    tensor(-1.7997)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc: Value = 0.0, scale: Value = 1.0, *, validate_args: bool | None = None) -> None:
        self.loc, self.scale = promote(loc, scale)
        self._settle(validate_args)

    # What torch's class stores: the uniform law and the maps that make it a Gumbel law

    @property
    def base_dist(self) -> Distribution:
        """The uniform law that ``transforms`` map to this one."""
        one = torch.ones_like(self.loc)
        uniform: Distribution = Uniform(torch.zeros_like(one), one, validate_args=False).expand(self._batch_shape)
        return uniform

    @property
    def transforms(self) -> list[transforms.Transform]:
        """The maps from ``base_dist``: loc - scale·log(-log u)."""
        log, minus = transforms.ExpTransform().inv, transforms.AffineTransform(0.0, -1.0)
        return [log, minus, log, transforms.AffineTransform(self.loc, -self.scale)]

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        z = (value - self.loc) / self.scale
        z = z.clamp(min=torch.finfo(z.dtype).min)  # or -inf would give inf - inf
        return -self.scale.log() - (z + safe_exp(-z))

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return self.log_cdf(value).exp()

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return -safe_exp((self.loc - value) / self.scale)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return log1mexpexp((self.loc - value) / self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        return self.loc - self.scale * (-value.log()).log()

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(self.loc + EULER * self.scale)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self._full(VARIANCE * self.scale * self.scale)

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self._full(math.sqrt(VARIANCE) * self.scale)

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full(self.loc)

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full(1.0 + EULER + self.scale.log())

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in both parameters: minus the logarithm of an exponential variable."""
        shape = self._extended_shape(sample_shape)
        noise = torch.empty(shape, dtype=self.loc.dtype, device=self.loc.device).exponential_().log_()
        return self.loc - self.scale * noise

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples."""
        with torch.no_grad():
            return self.rsample(sample_shape)


@register_kl(Gumbel, Gumbel)
def _kl_gumbel_gumbel(p: Gumbel, q: Gumbel) -> Tensor:
    ratio, gap = (
        p.scale / q.scale,
        (p.loc - q.loc) / q.scale,
    )  # torch's subtracts loc / scale, and loses a large loc's digits
    return gap - ratio.log() + EULER * (ratio - 1.0) + ((1.0 + ratio).lgamma() - gap).exp() - 1.0
