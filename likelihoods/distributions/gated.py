"""What the laws with a chance of their own for zero share: zero-inflated and hurdle laws."""

from __future__ import annotations

import abc
from typing import Any, Self

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.nn.functional import logsigmoid

from likelihoods.distributions.base import Value, between, derived, floating, promote, quantile
from likelihoods.distributions.inversion import smallest
from likelihoods.distributions.supports import OrZero, on_lattice, support_of
from likelihoods.distributions.tails import BothTails, both_tails
from likelihoods.distributions.univariate import Univariate, on_line
from likelihoods.special import log_add_exp


class Gated(BothTails, TorchDistribution, abc.ABC):
    """Abstract: zero with the probability of a gate, else a law of other values, whose chances are the base's times a factor.

    Where the base is a density, zero is an atom: the law is mixed, ``log_prob`` is a log-probability at 0 and a
    log-density elsewhere, and the base measure is Lebesgue's and one unit at 0.
    """

    arg_constraints = {"logits": constraints.real}

    def __init__(self, base: Distribution, logits: Value, *, validate_args: bool | None = None) -> None:
        if base.event_shape:
            raise ValueError(
                f"{type(self).__name__} got a law of values with shape {tuple(base.event_shape)}; zero must be one number: "
                f"put the gate inside, {type(self).__name__}(base, logits).to_event(…)."
            )
        (self.logits,) = promote(logits)
        self.base = base
        shape = base.batch_shape
        batch = shape if shape == self.logits.shape else torch.broadcast_shapes(shape, self.logits.shape)
        self._initialise(batch, torch.Size(), validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        """Return the law with base and gate expanded."""
        new: Self = self._get_checked_instance(type(self), _instance)
        batch = torch.Size(batch_shape)
        new.base, new.logits = self.base.expand(batch), self.logits.expand(batch)
        Distribution.__init__(new, batch, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def support(self) -> Any:
        """The base's support, and zero."""
        support: Any = self.base.support
        if support in (constraints.nonnegative_integer, constraints.nonnegative, constraints.real):
            return support
        if support is constraints.positive:
            return constraints.nonnegative
        starts = isinstance(support, constraints.integer_interval) and not isinstance(support.lower_bound, Tensor)
        return support if starts and support.lower_bound == 0 else OrZero(support)

    @property
    def atoms(self) -> tuple[float, ...]:
        """Zero, where the base is not a law of counts, and the base's own atoms."""
        if support_of(self.base).is_discrete:
            return ()
        return (0.0, *(atom for atom in self._base_atoms if atom != 0.0))

    @property
    def _base_atoms(self) -> tuple[float, ...]:
        return self.base.atoms if isinstance(self.base, Univariate) else ()

    @property
    def _holds_zero(self) -> bool:
        """Whether the base's own log_prob at 0 is that of a mass."""
        return support_of(self.base).is_discrete or 0.0 in self._base_atoms

    def _log_base_zero(self) -> Tensor:
        """Return log P(0) under the base."""
        if self._holds_zero:
            return self.base.log_prob(torch.zeros((), dtype=self.logits.dtype, device=self.logits.device))
        return torch.full_like(self.logits, -torch.inf)

    @abc.abstractmethod
    def _log_factor(self) -> Tensor:
        """Return the logarithm of what the base's chances of other values than 0 are multiplied by."""

    @abc.abstractmethod
    def _log_zero(self) -> Tensor:
        """Return log P(0)."""

    @abc.abstractmethod
    def _counted(self, line: Univariate, low: Tensor | None, high: Tensor) -> Tensor:
        """Return the log-mass that the base gives to low < Y <= high (Y <= high for None), but for what is the gate's."""

    # Density

    def _apart(self, value: Tensor) -> Tensor:
        """Return ``log_prob``, with 0 treated apart from other values."""
        value = floating(value, self.logits)
        zero = value == 0.0
        other = torch.where(zero, 1.0 if support_of(self.base).is_discrete else 0.5, value)
        return torch.where(zero, self._log_zero(), self._log_factor() + self.base.log_prob(other))

    # Distribution function

    def log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``log_cdf`` and ``log_sf``."""
        line = on_line(self.base, f"the distribution function of {type(self).__name__}")
        value = floating(value, self.logits)
        below = self._counted(line, None, value)
        above = line.log_sf(value)
        gate, factor = logsigmoid(self.logits), self._log_factor()
        left = value < 0.0
        below = log_add_exp(torch.where(left, -torch.inf, gate), factor + below)
        above = log_add_exp(torch.where(left, gate, -torch.inf), factor + above)
        below, above = both_tails(below, above)
        return torch.where(value.isnan(), torch.nan, below), torch.where(value.isnan(), torch.nan, above)

    def log_mass(self, low: Tensor, high: Tensor) -> Tensor:
        """Return log P(low < Y <= high)."""
        line = on_line(self.base, f"the mass of an interval under {type(self).__name__}")
        gate = torch.where((low < 0.0) & (high >= 0.0), logsigmoid(self.logits), -torch.inf)
        return log_add_exp(gate, self._log_factor() + self._counted(line, low, high))

    def icdf(self, value: Tensor) -> Tensor:
        """Return the smallest y of the support with P(Y <= y) >= value."""
        line = on_line(self.base, f"the quantile of {type(self).__name__}")
        with torch.no_grad():
            low, high = (line.icdf(torch.full_like(value, end)) for end in (0.0, 1.0))
            low, high = low.clamp(max=0.0), high.clamp(min=0.0)
        p = between(value, 0.0, 1.0, torch.full_like(value, 0.5))
        if self.support.is_discrete:
            found = on_lattice(self.support, smallest(self, p.nan_to_num(nan=0.5), low, high))
        else:
            found = self._quantile(line, p)
        return torch.where(value.isnan(), torch.nan, quantile(found, value, low, high))

    def _quantile(self, line: Univariate, p: Tensor) -> Tensor:
        """Return the quantile of a law with a density: the base's, at a probability on the near side of 0."""
        nought, factor = torch.zeros_like(p), self._log_factor().exp()
        with torch.no_grad():
            negative = (
                p < factor * line.cdf(nought)
                if line.support is constraints.real
                else torch.zeros_like(p, dtype=torch.bool)
            )
            zero = ~negative & (p <= self.cdf(nought))
        # from the tail that keeps its digits; below 0 the gate has not counted yet
        excess = p - self._log_zero().exp()
        upper = 1.0 - (1.0 - p) / factor
        lower = self._log_base_zero().exp() + excess / factor
        inner = torch.where(negative, p / factor, torch.where(p > 0.5, upper, lower))
        return torch.where(zero, 0.0, line.icdf(torch.where(zero, 0.5, inner.clamp(0.0, 1.0))))

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(self._log_factor().exp() * self.base.mean)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        factor, mean = self._log_factor().exp(), self.base.mean
        return self._full(factor * (self.base.variance + (1.0 - factor) * (mean * mean)))

    @abc.abstractmethod
    def _other_mode(self, line: Univariate) -> Tensor:
        """Return the point of highest ``log_prob`` among those that may have a higher one than 0."""

    @property
    def mode(self) -> Tensor:
        """The point of highest ``log_prob``: 0, or the base's mode (for counts whose mode is 0, the least other count)."""
        with torch.no_grad():
            other = self._other_mode(on_line(self.base, f"the mode of {type(self).__name__}")).to(self.logits.dtype)
            return self._full(torch.where(self.log_prob(other) > self._log_zero(), other, 0.0))

    def entropy(self) -> Tensor:
        """Return the entropy in nats, with respect to the measure that ``log_prob`` refers to."""
        log_zero, log_factor, log_base = self._log_zero(), self._log_factor(), self._log_base_zero()
        base = self.base.entropy() + _plogp(log_base)
        others = -torch.expm1(log_base.clamp(max=0.0))
        return self._full(log_factor.exp() * (base - others * log_factor) - _plogp(log_zero))

    # Sampling

    @derived
    def has_enumerate_support(self) -> bool:
        """Whether the base's support is finite."""
        return bool(self.base.has_enumerate_support)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return all values, along a new first axis; zero must be among the base's."""
        points = self.base.enumerate_support(expand=False)
        points = points.reshape(len(points), *(1,) * len(self.batch_shape))
        return points.expand(-1, *self.batch_shape) if expand else points

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples."""
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)
            uniform = torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device)
            base = self.base if self.base.batch_shape == self.batch_shape else self.base.expand(self.batch_shape)
            return torch.where(
                uniform < self.logits.sigmoid(), 0.0, self._sample_others(base, torch.Size(sample_shape))
            )

    @abc.abstractmethod
    def _sample_others(self, base: Distribution, sample_shape: torch.Size) -> Tensor:
        """Return what the gate lets pass."""


def _plogp(log_p: Tensor) -> Tensor:
    return torch.where(log_p == -torch.inf, 0.0, log_p.exp() * log_p.clamp(min=torch.finfo(log_p.dtype).min))
