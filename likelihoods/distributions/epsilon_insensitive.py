"""The law of the ε-insensitive loss: flat within ε, Laplace beyond."""

from __future__ import annotations

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import Value, promote, register_kl
from likelihoods.distributions.tails import Symmetric
from likelihoods.special import LOG_2


class EpsilonInsensitive(Symmetric, TorchDistribution):
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

    def _log_tail(self, z: Tensor) -> Tensor:
        """Return log P((Y - loc)/scale > z) for z >= 0."""
        short = (self.epsilon - z).clamp(min=0.0)
        return torch.log1p(short) - (z - self.epsilon + short) - (LOG_2 + torch.log1p(self.epsilon))

    def _tail_quantile(self, tail: Tensor) -> Tensor:
        """Return the z >= 0 with P((Y - loc)/scale > z) = tail <= 1/2."""
        relative = 2.0 * (1.0 + self.epsilon) * tail  # to the tail beyond epsilon
        return torch.where(relative > 1.0, (1.0 + self.epsilon) - relative, self.epsilon - relative.log())

    # Moments

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

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full(self.scale.log() + LOG_2 + torch.log1p(self.epsilon) + 1.0 / (1.0 + self.epsilon))


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
