"""The hyperbolic secant law."""

from __future__ import annotations

import math

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import Value, promote
from likelihoods.distributions.tails import Symmetric
from likelihoods.special import magnitude

LOG_HALF_PI = math.log(0.5 * math.pi)
LOG_2PI = math.log(2.0 * math.pi)


class HyperbolicSecant(Symmetric, TorchDistribution):
    r"""The hyperbolic secant law, with density sech(z) / (π scale), z = (y - loc) / scale.

    With scale 1, -log density is the log-cosh loss plus log π. The variance is (π scale / 2)².

    Args:
        loc: mean, median and mode, real.
        scale: scale, positive.
        validate_args: whether to check the parameters; torch's default if None.

    Source: W. D. Baten (1934), doi:10.1090/S0002-9904-1934-05852-X; R. A. Saleh, A. K. M. E. Saleh (2022),
    Statistical properties of the log-cosh loss function, https://arxiv.org/abs/2208.04564.

    >>> HyperbolicSecant(0.0, 1.0).log_prob(torch.tensor(2.0))
    tensor(-2.4697)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}

    def __init__(self, loc: Value = 0.0, scale: Value = 1.0, *, validate_args: bool | None = None) -> None:
        self.loc, self.scale = promote(loc, scale)
        self._settle(validate_args)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        z = magnitude((value - self.loc) / self.scale)
        return -(z + torch.log1p(torch.exp(-2.0 * z))) - (self.scale.log() + LOG_HALF_PI)

    # Distribution function

    def _log_tail(self, z: Tensor) -> Tensor:
        """Return log P((Y - loc)/scale > z) = log((2/π) atan(exp(-z))) for z >= 0, finite however far out."""
        bounded = torch.exp(-z.clamp(max=30.0))  # beyond 30 the quotient atan(x)/x is 1 in every precision
        return torch.log(torch.atan(bounded) / bounded) - z - LOG_HALF_PI

    def _tail_quantile(self, tail: Tensor) -> Tensor:
        """Return the z >= 0 with P((Y - loc)/scale > z) = tail <= 1/2."""
        return -torch.log(torch.tan(0.5 * math.pi * tail))

    # Moments

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self._full((0.5 * math.pi) ** 2 * self.scale * self.scale)

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full(LOG_2PI + self.scale.log())
