"""The law of the ε-insensitive loss: flat within ε, Laplace beyond."""

from __future__ import annotations

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import Univariate, Value, promote, register_kl
from likelihoods.special import LOG_2, symmetric_log_cdf


class EpsilonInsensitive(Univariate, TorchDistribution):
    r"""The ε-insensitive law, with density exp(-max(\|z\| - epsilon, 0)) / (2 scale (1 + epsilon)), z = (y - loc) / scale.

    It is uniform on \|z\| ≤ epsilon with probability epsilon / (1 + epsilon), and beyond has Laplace's tails.

    Args:
        loc: mean and median, real.
        scale: scale of the tails, positive.
        epsilon: half-width of the flat part, in units of the scale, not negative (0 gives the Laplace law).
        validate_args: whether to check the parameters; torch's default if None.

    Source: M. Pontil, S. Mukherjee, F. Girosi (2000), On the noise model of support vector machines regression,
    doi:10.1007/3-540-40992-0_24.

    >>> EpsilonInsensitive(0.0, 1.0, 0.5).log_prob(torch.tensor([0.2, 1.5]))
    tensor([-1.0986, -2.0986])
    """

    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "epsilon": constraints.nonnegative,
    }
    support = constraints.real
    has_rsample = True

    def __init__(
        self, loc: Value = 0.0, scale: Value = 1.0, epsilon: Value = 0.1, *, validate_args: bool | None = None
    ) -> None:
        self.loc, self.scale, self.epsilon = promote(loc, scale, epsilon)
        self._settle(validate_args)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        z = (value - self.loc) / self.scale
        return -(z.abs() - self.epsilon).clamp(min=0.0) - (self.scale.log() + (LOG_2 + torch.log1p(self.epsilon)))

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return self.log_cdf(value).exp()

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return symmetric_log_cdf((value - self.loc) / self.scale, self._log_tail)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return symmetric_log_cdf((self.loc - value) / self.scale, self._log_tail)

    def _log_tail(self, z: Tensor) -> Tensor:
        """Return log P((Y - loc)/scale > z) for z >= 0."""
        short = (self.epsilon - z).clamp(min=0.0)
        return torch.log1p(short) - (z - self.epsilon + short) - (LOG_2 + torch.log1p(self.epsilon))

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        below = value <= 0.5
        distance = self._tail_quantile(torch.where(below, value, 1.0 - value))
        return self.loc + self.scale * torch.where(below, -distance, distance)

    def _tail_quantile(self, tail: Tensor) -> Tensor:
        """Return the z >= 0 with P((Y - loc)/scale > z) = tail <= 1/2."""
        relative = 2.0 * (1.0 + self.epsilon) * tail  # to the tail beyond epsilon
        return torch.where(relative > 1.0, (1.0 + self.epsilon) - relative, self.epsilon - relative.log())

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(self.loc)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        epsilon = self.epsilon
        tails = 2.0 / (1.0 + epsilon)
        return self._full(
            self.scale
            * self.scale
            * (epsilon * (epsilon / (1.0 + epsilon)) * (1.0 + epsilon / 3.0) + tails * epsilon + tails)
        )

    @property
    def mode(self) -> Tensor:
        """The middle of the flat part."""
        return self._full(self.loc)

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full(self.scale.log() + LOG_2 + torch.log1p(self.epsilon) + 1.0 / (1.0 + self.epsilon))

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in the parameters: quantiles at random probabilities."""
        shape = self._extended_shape(sample_shape)
        tail = torch.empty(shape, dtype=self.loc.dtype, device=self.loc.device).exponential_().add_(LOG_2).neg_().exp_()
        sign = 1.0 - 2.0 * torch.empty_like(tail).bernoulli_()
        return self.loc + self.scale * sign * self._tail_quantile(tail)

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples."""
        with torch.no_grad():
            return self.rsample(sample_shape)


# Divergences


@register_kl(EpsilonInsensitive, EpsilonInsensitive)
def _kl_epsilon_insensitive(p: EpsilonInsensitive, q: EpsilonInsensitive) -> Tensor:
    """Return E log(p/q); the loss of q is two excesses of p's variable over q's band."""
    d, reach = (q.loc - p.loc) / p.scale, q.scale * q.epsilon / p.scale
    loss = p.scale / q.scale * (_mean_excess(p.epsilon, reach + d) + _mean_excess(p.epsilon, reach - d))
    return loss + q.scale.log() + (LOG_2 + torch.log1p(q.epsilon)) - p.entropy()


def _mean_excess(epsilon: Tensor, c: Tensor) -> Tensor:
    """Return E max(Z - c, 0) of the standard law, the integral of its upper tail; beyond 0 by symmetry."""
    short = (epsilon - c.abs()).clamp(min=0.0)
    flat = short * (1.0 + 0.5 * short)
    return (-c).clamp(min=0.0) + (torch.exp(epsilon - c.abs() - short) + flat) / (2.0 * (1.0 + epsilon))
