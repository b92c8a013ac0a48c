"""The categorical law."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from likelihoods.distributions.base import Value, derived, promote
from likelihoods.distributions.index import FEW, NARROW, Index, log_softmax, pick


class Categorical(Index):
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

    arg_constraints = {"logits": constraints.real_vector, "probs": constraints.simplex}

    def __init__(
        self, logits: Value | None = None, *, probs: Value | None = None, validate_args: bool | None = None
    ) -> None:
        if (logits is None) == (probs is None):
            got = "neither" if logits is None else "both"
            raise TypeError(
                f"Categorical got {got} of logits and probs; write Categorical(logits) or Categorical(probs=p)."
            )
        self._from_logits = logits is not None
        given: Any = logits if probs is None else probs
        (self._param,) = promote(given)
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
        try:
            wrong = not bool(valid)
        except RuntimeError:  # under vmap nothing may look at a value
            return
        if wrong:
            name, wanted = (
                ("logits", "not NaN") if self._from_logits else ("probs", "finite, not negative and not all 0")
            )
            raise ValueError(f"Categorical: {name} must be {wanted} along the last axis, but got\n{self._param}")

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        """Return the distribution with its parameter expanded to ``batch_shape``."""
        new: Self = self._get_checked_instance(type(self), _instance)
        batch = torch.Size(batch_shape)
        new._from_logits, new._num_events = self._from_logits, self._num_events
        new._param = self._param.expand((*batch, self._num_events))
        Distribution.__init__(new, batch, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def _like(self) -> Tensor:
        return self._param

    @derived
    def logits(self) -> Tensor:
        """The normalised logits: log P(k)."""
        if self._from_logits:
            return log_softmax(self._param)
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
            return pick(self._param, index).log() - self._param.sum(-1).log() + missing
        if self._num_events > NARROW or self._param.numel() < FEW:
            return pick(self._param.log_softmax(-1), index) + missing
        shifted = self._param - self._param.detach().amax(-1, keepdim=True)
        return pick(shifted, index) - shifted.exp().sum(-1).log() + missing

    # Distribution function

    def _cumulated(self) -> Tensor:
        total = self.probs.cumsum(-1)
        return total / total[..., -1:]

    def _log_cumulated(self) -> tuple[Tensor, Tensor]:
        """Return both tails by running sums from either end."""
        log_p = self.logits
        return _log_cumsum(log_p), _log_cumsum(log_p.flip(-1)).flip(-1).roll(-1, -1)


def _log_cumsum(log_p: Tensor) -> Tensor:
    """Return the logarithms of the running sums; excluded categories are given a finite one, for the gradient's sake."""
    lowest = torch.finfo(log_p.dtype).min
    total = torch.logcumsumexp(log_p.clamp(min=lowest), -1)
    return torch.where(total > 0.5 * lowest, total, -torch.inf)
