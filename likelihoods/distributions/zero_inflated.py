"""The zero-inflated law: zeros beyond those of the base."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.functional import logsigmoid

from likelihoods.distributions.gated import Gated
from likelihoods.distributions.looks import in_sight
from likelihoods.distributions.univariate import Univariate
from likelihoods.special import analytic, log_add_exp
from likelihoods.wide import FEW, by_blocks


def _gated(zero: Tensor, logits: Tensor, log_base: Tensor) -> Tensor:
    """Return the log-mass, from whether the value is 0."""
    at_zero = torch.where(zero, log_base, 0.0)
    apart = logits - at_zero  # log(π + (1 - π)p) is log(1 - π) + log(exp(logits) + p)
    at_zero = torch.maximum(logits, at_zero) - logsigmoid(apart.abs())
    return logsigmoid(-logits) + torch.where(zero, at_zero, log_base)


def _share(zero: Tensor, logits: Tensor, log_base: Tensor) -> Tensor:
    """Return the base's share in the mass: all but at 0, which the gate gives too."""
    return torch.where(zero, torch.sigmoid(log_base - logits), 1.0)


def _in_logits(zero: Tensor, logits: Tensor, log_base: Tensor) -> Tensor:
    return torch.where(zero, torch.sigmoid(logits - log_base), 0.0) - torch.sigmoid(logits)


_many = analytic(
    lambda *arguments: by_blocks(_gated, *arguments),
    None,
    lambda *arguments: by_blocks(_in_logits, *arguments),
    lambda *arguments: by_blocks(_share, *arguments),
)  # the same with slopes in fewer passes, which cost a small tensor more than they save


class ZeroInflated(Gated):
    """The law of a value that is replaced by 0 with probability π = sigmoid(logits).

    P(0) = π + (1 - π) P_base(0), and every other value has 1 - π times its mass or density under the base. Over a
    density 0 is an atom of mass π: ``log_prob`` is a log-probability there, and the base measure is Lebesgue's and one
    unit at 0.

    Args:
        base: a law of counts, or of a density (for a positive one this is the two-part model, as ``Hurdle`` is).
        logits: log-odds of an extra zero, real.
        validate_args: whether to check the logits; torch's default if None. The base has checked itself.

    Raises:
        ValueError: the base is a law of vectors.

    Source: D. Lambert (1992), Zero-inflated Poisson regression, doi:10.2307/1269547

    >>> import torch
    >>> from likelihoods.distributions import Poisson
    >>> ZeroInflated(Poisson(2.0), 0.0).log_prob(torch.tensor([0.0, 1.0, 0.5]))
    tensor([-0.5662, -2.0000,    -inf])
    """

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-mass (at 0, and for counts) or log-density in nats; -inf outside the support."""
        if not self._holds_zero:
            return self._apart(value)
        log_base = self.base.log_prob(value)  # once for zeros and others
        sloped = self.logits.requires_grad or log_base.requires_grad
        quick = sloped and log_base.numel() >= FEW and in_sight(self.logits, log_base)
        return (_many if quick else _gated)(value == 0, self.logits, log_base)

    def _log_factor(self) -> Tensor:
        return logsigmoid(-self.logits)

    def _log_zero(self) -> Tensor:
        gate = logsigmoid(self.logits)
        return log_add_exp(gate, self._log_factor() + self._log_base_zero()) if self._holds_zero else gate

    def _counted(self, line: Univariate, low: Tensor | None, high: Tensor) -> Tensor:
        return line.log_cdf(high) if low is None else line.log_mass(low, high)

    def _other_mode(self, line: Univariate) -> Tensor:
        return line.mode

    def _sample_others(self, base: Distribution, sample_shape: torch.Size) -> Tensor:
        return base.sample(sample_shape)
