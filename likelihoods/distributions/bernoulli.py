"""The Bernoulli law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import logsigmoid

from likelihoods.distributions.base import Value, derived, floating, promote, register_kl
from likelihoods.distributions.univariate import Univariate


class Bernoulli(Univariate, pyro.distributions.Bernoulli):  # type: ignore[misc]  # Pyro makes this class on import
    r"""The Bernoulli law, with P(1) = 1 / (1 + exp(-logits)) and P(0) = 1 / (1 + exp(logits)).

    Args:
        logits: log-odds of 1, real or infinite.
        probs: probability of 1, in [0, 1]; give either this or ``logits``.
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        TypeError: neither or both of ``logits`` and ``probs`` are given.

    Source: N. L. Johnson, A. W. Kemp, S. Kotz (2005), Univariate Discrete Distributions, section 3.2.

    >>> Bernoulli(2.0).log_prob(torch.tensor([0.0, 1.0, 0.5]))
    tensor([-2.1269, -0.1269,    -inf])
    >>> Bernoulli(probs=1e-30).log_prob(torch.tensor(1.0))
    tensor(-69.0776)
    """

    arg_constraints = {"logits": constraints.real, "probs": constraints.unit_interval}
    support = constraints.boolean
    has_enumerate_support = True

    def __init__(
        self, logits: Value | None = None, *, probs: Value | None = None, validate_args: bool | None = None
    ) -> None:
        if (logits is None) == (probs is None):
            got = "neither" if logits is None else "both"
            raise TypeError(f"Bernoulli got {got} of logits and probs; write Bernoulli(logits) or Bernoulli(probs=p).")
        given: Any = logits if probs is None else probs
        (self.__dict__["logits" if probs is None else "probs"],) = promote(given)
        self._settle(validate_args)

    @derived
    def logits(self) -> Tensor:
        """The log-odds."""
        return self.probs.log() - torch.log1p(-self.probs)

    @derived
    def probs(self) -> Tensor:
        """The probability of 1."""
        return self.logits.sigmoid()

    @property
    def _param(self) -> Tensor:
        return self.logits if "logits" in self.__dict__ else self.probs

    def _log_probs(self) -> tuple[Tensor, Tensor]:
        """Return log P(0) and log P(1), each with all its digits."""
        if "logits" in self.__dict__:
            return logsigmoid(-self.logits), logsigmoid(self.logits)
        return torch.log1p(-self.probs), self.probs.log()

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-mass in nats; -inf for a value other than 0 and 1."""
        value = floating(value, self._param).detach()
        bit = value.clamp(0.0, 1.0)
        outside = _log_zero(bit * bit - value)
        if "logits" in self.__dict__:
            return logsigmoid(self.logits * torch.threshold(bit, 0.0, -1.0)) + outside
        chosen = bit * self.probs + (1.0 - bit)  # exactly probs or 1, so that no digit of 1 - probs is lost
        return chosen.log() + torch.log1p((bit - 1.0) * self.probs) + outside

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return self._steps(value, 0.0, (-self.logits).sigmoid() if "logits" in self.__dict__ else 1.0 - self.probs, 1.0)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return self._steps(value, -torch.inf, self._log_probs()[0], 0.0)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return self._steps(value, 0.0, self._log_probs()[1], -torch.inf)

    def _steps(self, value: Tensor, below: float, between: Tensor, above: float) -> Tensor:
        """Return ``below`` left of 0, ``between`` from 0 on and ``above`` from 1 on."""
        steps = torch.where(value >= 1, above, torch.where(value < 0, below, between))
        return torch.where(value.isnan(), torch.nan, steps)

    def icdf(self, value: Tensor) -> Tensor:
        """Return 0 up to the probability P(0), 1 above it, NaN outside [0, 1]."""
        zero = self.cdf(torch.zeros_like(value))
        return torch.where((value >= 0) & (value <= 1), (value > zero).to(zero.dtype), torch.nan)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(self.probs)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        zero, one = self._log_probs()
        return self._full(torch.exp(zero + one))

    @property
    def mode(self) -> Tensor:
        """The likelier of 0 and 1; 1 where they are equally likely."""
        zero, one = self._log_probs()
        return self._full((one >= zero).to(one.dtype))

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        zero, one = self._log_probs()
        return self._full(-(_times_log(zero) + _times_log(one)))

    # Sampling

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples."""
        with torch.no_grad():
            return torch.bernoulli(self.probs.expand(self._extended_shape(sample_shape)))


def _log_zero(value: Tensor) -> Tensor:
    """Return 0 where the value is 0, -inf elsewhere and NaN at NaN, in a few quick passes."""
    limits = torch.finfo(value.dtype)
    return torch.threshold(value.abs().neg_(), -limits.smallest_normal * limits.eps, -torch.inf)


def _times_log(log_p: Tensor) -> Tensor:
    """Return p log p, 0 at p = 0 with its slope there cut to a finite one."""
    return log_p.exp() * log_p.clamp(min=torch.finfo(log_p.dtype).min)


# Divergences


@register_kl(Bernoulli, Bernoulli)
def _kl_bernoulli_bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    """Return Σ p log(p/q), where an outcome that p excludes adds nothing."""
    zero, one = map(_mean_log_ratio, p._log_probs(), q._log_probs())
    return zero + one


def _mean_log_ratio(log_p: Tensor, log_q: Tensor) -> Tensor:
    possible = log_p > -torch.inf
    ratio = torch.where(possible, log_p, 0.0) - torch.where(possible, log_q, 0.0)
    return torch.where(possible, log_p.exp() * ratio, 0.0)
