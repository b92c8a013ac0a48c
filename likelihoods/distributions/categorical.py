"""The categorical law."""

from __future__ import annotations

import math
from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import Distribution, constraints, register_kl

from likelihoods.distributions.base import Univariate, Value, derived, log_indicator, promote

NARROW, FEW = 32, 1000  # torch's log_softmax is slow along a short axis, fast along a long one and for a single row


class Categorical(Univariate, pyro.distributions.Categorical):  # type: ignore[misc]
    r"""The categorical law on the indices 0, …, K - 1, with P(k) = exp(logits_k) / Σ_j exp(logits_j).

    The logits are kept as given; ``.logits`` and ``.probs`` are normalised, as torch's are. The distribution function and
    the moments are those of the index as a number, which means something where the categories have an order.

    Args:
        logits: ``(..., K)``, log-probabilities up to a constant; -inf excludes a category.
        probs: ``(..., K)``, probabilities up to a factor; give either this or ``logits``.
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        TypeError: neither or both of ``logits`` and ``probs`` are given.
        ValueError: the parameter has no axis of categories, logits are NaN, or probs are negative, infinite or all 0.

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1997), Discrete Multivariate Distributions, chapter 35 (one trial).

    >>> Categorical(torch.tensor([0.0, 1.0, 2.0])).log_prob(torch.tensor([2, 0, 5]))
    tensor([-0.4076, -2.4076,    -inf])
    """

    arg_constraints = {"logits": constraints.real_vector, "probs": constraints.simplex}  # noqa: RUF012
    has_enumerate_support = True

    def __init__(
        self, logits: Value | None = None, *, probs: Value | None = None, validate_args: bool | None = None
    ) -> None:
        if (logits is None) == (probs is None):
            given = "neither" if logits is None else "both"
            raise TypeError(
                f"Categorical got {given} of logits and probs; write Categorical(logits) or Categorical(probs=p)."
            )
        self._from_logits = logits is not None
        (self._param,) = promote(logits if probs is None else probs)  # type: ignore[arg-type]
        if self._param.dim() < 1:
            name = "logits" if self._from_logits else "probs"
            raise ValueError(f"Categorical got {name} of shape (); give a tensor of shape (..., K) for K categories.")
        self._num_events = self._param.shape[-1]
        self._initialise(self._param.shape[:-1], torch.Size(), validate_args)
        if self._validate_args and not torch.compiler.is_compiling():
            self._check()

    def _check(self) -> None:
        """Check the parameter as it was given; torch's own check would first have to normalise it."""
        if self._from_logits:
            total = self._param.sum()  # NaN if a logit is NaN, and if inf meets -inf
            valid = total == total
        else:
            total = self._param.sum(-1)
            valid = (torch.isfinite(total) & (total > 0)).all() & (self._param >= 0).all()
        if not bool(valid):
            name, wanted = (
                ("logits", "not NaN") if self._from_logits else ("probs", "finite, not negative and not all 0")
            )
            raise ValueError(f"Categorical: {name} must be {wanted} along the last axis, but got\n{self._param}")

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """Return the distribution with its parameter expanded to ``batch_shape``."""
        new = self._get_checked_instance(type(self), _instance)
        batch = torch.Size(batch_shape)
        new._from_logits, new._num_events = self._from_logits, self._num_events
        new._param = self._param.expand((*batch, self._num_events))
        Distribution.__init__(new, batch, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @derived
    def logits(self) -> Tensor:
        """The normalised logits: log P(k)."""
        if self._from_logits:
            return self._param.log_softmax(-1)
        return self._param.log() - self._param.sum(-1, keepdim=True).log()

    @derived
    def probs(self) -> Tensor:
        """The probabilities P(k)."""
        return self._param.softmax(-1) if self._from_logits else self._param / self._param.sum(-1, keepdim=True)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-mass in nats; -inf for a value that is no index of a category."""
        index, missing = self._index(value)
        if not self._from_logits:
            return _pick(self._param, index).log() - self._param.sum(-1).log() + missing
        if self._num_events > NARROW or self._param.numel() < FEW:
            return _pick(self._param.log_softmax(-1), index) + missing
        shifted = self._param - self._param.detach().amax(-1, keepdim=True)
        return _pick(shifted, index) - shifted.exp().sum(-1).log() + missing

    def _index(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return the category nearest to the value, and 0 where it is the value, else -inf (NaN at NaN)."""
        if not value.is_floating_point():
            index = value.long().clamp(0, self._num_events - 1)
            return index, log_indicator(index == value, self._param)
        index = value.nan_to_num(0.0).clamp(0, self._num_events - 1).long()
        missing = log_indicator(index == value, self._param)
        return index, torch.where(value.isnan(), value, missing)

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return self._steps(value, 0.0, self._cumulated(), 1.0)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return self._steps(value, -torch.inf, _log_cumulated(self.logits), 0.0)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        at_least = _log_cumulated(self.logits.flip(-1)).flip(-1)
        return self._steps(value, 0.0, at_least.roll(-1, -1), -torch.inf)

    def _cumulated(self) -> Tensor:
        total = self.probs.cumsum(-1)
        return total / total[..., -1:]

    def _steps(self, value: Tensor, below: float, table: Tensor, above: float) -> Tensor:
        """Return ``below`` left of 0, ``table[k]`` from k on, and ``above`` from K - 1 on."""
        top = self._num_events - 1
        index = (value if not value.is_floating_point() else value.nan_to_num(0.0)).clamp(0, top).long()
        steps = torch.where(value >= top, above, torch.where(value < 0, below, _pick(table, index)))
        return torch.where(value.isnan(), torch.nan, steps)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the first index whose distribution function reaches the probability ``value``, NaN outside [0, 1]."""
        index = (self._cumulated() < value.unsqueeze(-1)).sum(-1).to(self._param.dtype)
        return torch.where((value >= 0) & (value <= 1), index, torch.nan)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean of the index."""
        return (self.probs * self._indices()).sum(-1)

    @property
    def variance(self) -> Tensor:
        """The variance of the index."""
        deviation = self._indices() - self.mean.unsqueeze(-1)
        return (self.probs * deviation * deviation).sum(-1)

    @property
    def mode(self) -> Tensor:
        """The likeliest index, the first of equals."""
        return self._param.argmax(-1)

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        log_p = self.logits
        return -(log_p.exp() * log_p.clamp(min=torch.finfo(log_p.dtype).min)).sum(-1)

    def _indices(self) -> Tensor:
        return torch.arange(self._num_events, dtype=self._param.dtype, device=self._param.device)


def _pick(table: Tensor, index: Tensor) -> Tensor:
    """Return ``table[..., index]``, where ``index`` broadcasts with the axes of ``table`` before the last.

    Axes that ``index`` has before those are moved to the end, so that the table is not copied for each sample.
    """
    if index.shape == table.shape[:-1]:
        return table.gather(-1, index.unsqueeze(-1)).squeeze(-1)
    rank = table.dim() - 1
    shape = torch.broadcast_shapes(index.shape, table.shape[:-1])
    lead, batch = shape[: len(shape) - rank], shape[len(shape) - rank :]
    columns = index.expand(shape).reshape((math.prod(lead), *batch)).movedim(0, -1)
    picked = table.expand((*batch, table.shape[-1])).gather(-1, columns)
    return picked.movedim(-1, 0).reshape(shape)


def _log_cumulated(log_p: Tensor) -> Tensor:
    """Return the cumulated log-probabilities; excluded categories are given a finite one, for the gradient's sake."""
    lowest = torch.finfo(log_p.dtype).min
    total = torch.logcumsumexp(log_p.clamp(min=lowest), -1)
    return torch.where(total > 0.5 * lowest, total, -torch.inf)


# Divergences


@register_kl(Categorical, Categorical)
def _kl_categorical_categorical(p: Categorical, q: Categorical) -> Tensor:
    """Return Σ p log(p/q), where an index that p excludes adds nothing."""
    if p._num_events != q._num_events:
        raise ValueError(
            f"KL of a Categorical over {p._num_events} categories from one over {q._num_events}: give both the same."
        )
    log_p, log_q = torch.broadcast_tensors(p.logits, q.logits)
    possible = log_p > -torch.inf
    ratio = torch.where(possible, log_p, 0.0) - torch.where(possible, log_q, 0.0)
    return torch.where(possible, log_p.exp() * ratio, 0.0).sum(-1)
