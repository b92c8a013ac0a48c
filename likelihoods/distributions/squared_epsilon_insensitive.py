"""The law of the squared ε-insensitive loss: flat within ε, a normal law's tails beyond."""

from __future__ import annotations

import math

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import Value, promote, register_kl
from likelihoods.distributions.tails import Symmetric
from likelihoods.special import LOG_2, log_ndtr

ROOT_2 = math.sqrt(2.0)
ROOT_PI = math.sqrt(math.pi)
HALF_ROOT_PI = 0.5 * ROOT_PI


class SquaredEpsilonInsensitive(Symmetric, TorchDistribution):
    r"""The law with density exp(-max(\|z\| - epsilon, 0)²) / (scale (2 epsilon + √π)), z = (y - loc) / scale.

    It is uniform on \|z\| ≤ epsilon with probability 2 epsilon / (2 epsilon + √π), and beyond falls as a normal law with
    standard deviation scale/√2. The exponent is the loss of support vector regression with squared slacks.

    Args:
        loc: mean and median, real.
        scale: scale of the tails, positive.
        epsilon: half-width of the flat part, in units of the scale, not negative (0 gives the normal law).
        validate_args: whether to check the parameters; torch's default if None.

    Source: A. J. Smola, B. Schölkopf (2004), A tutorial on support vector regression, doi:10.1023/B:STCO.0000035301.49549.88,
    on losses as densities; the constants follow from the integral.

    >>> SquaredEpsilonInsensitive(0.0, 1.0, 0.5).log_prob(torch.tensor([0.2, 1.5]))
    tensor([-1.0197, -2.0197])
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

    def _log_total(self) -> Tensor:
        """Return log(2 epsilon + √π), the normaliser at scale 1."""
        return torch.log(2.0 * self.epsilon + ROOT_PI)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        excess = (((value - self.loc) / self.scale).abs() - self.epsilon).clamp(min=0.0)
        return -excess * excess - (self.scale.log() + self._log_total())

    # Distribution function

    def _log_tail(self, z: Tensor) -> Tensor:
        """Return log P((Y - loc)/scale > z) for z >= 0: the flat part beyond z, or else the normal tail; one factor is 1."""
        short = (self.epsilon - z).clamp(min=0.0)
        excess = z - self.epsilon + short
        return torch.log(HALF_ROOT_PI + short) + (LOG_2 + log_ndtr(-ROOT_2 * excess)) - self._log_total()

    def _tail_quantile(self, tail: Tensor) -> Tensor:
        """Return the z >= 0 with P((Y - loc)/scale > z) = tail <= 1/2."""
        mass = (2.0 * self.epsilon + ROOT_PI) * tail  # ∫ exp(-excess²) beyond z
        flat = mass > HALF_ROOT_PI
        normal = -torch.special.ndtri(torch.where(flat, 0.5, mass / ROOT_PI)) / ROOT_2
        return torch.where(flat, (self.epsilon + HALF_ROOT_PI) - mass, self.epsilon + normal)

    # Moments

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self._full(self.scale * self.scale * self._square())

    def _square(self) -> Tensor:
        """Return E z²."""
        epsilon = self.epsilon
        total = 2.0 * epsilon + ROOT_PI
        flat = 2.0 * epsilon / total
        return epsilon * epsilon * (flat / 3.0 + ROOT_PI / total) + (flat + HALF_ROOT_PI / total)

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        return self._full(self.scale.log() + self._log_total() + HALF_ROOT_PI / (2.0 * self.epsilon + ROOT_PI))


# Divergences


@register_kl(SquaredEpsilonInsensitive, SquaredEpsilonInsensitive)
def _kl_squared_epsilon_insensitive(p: SquaredEpsilonInsensitive, q: SquaredEpsilonInsensitive) -> Tensor:
    """Return E log(p/q); the loss of q is the squares of two excesses of p's variable over q's band."""
    d, reach = (q.loc - p.loc) / p.scale, q.scale * q.epsilon / p.scale
    ratio = p.scale / q.scale
    loss = ratio * ratio * (_square_excess(p, reach + d) + _square_excess(p, reach - d))
    return loss + q.scale.log() + q._log_total() - p.entropy()


def _square_excess(p: SquaredEpsilonInsensitive, c: Tensor) -> Tensor:
    """Return E max(Z - c, 0)² of the standardised variable Z: a flat part up to epsilon, a normal one beyond."""
    x = c.abs()
    short = (p.epsilon - x).clamp(min=0.0)  # of the flat part, beyond x
    far = x - p.epsilon + short
    flat = short * short * short / 3.0 + short * short * HALF_ROOT_PI + short
    normal = HALF_ROOT_PI * (0.5 + far * far) * torch.special.erfc(far) - 0.5 * far * torch.exp(-far * far)
    above = (flat + normal) / (2.0 * p.epsilon + ROOT_PI)
    return torch.where(c < 0, p._square() + c * c - above, above)
