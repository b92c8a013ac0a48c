"""What the laws on the indices 0, …, K - 1 share: a table of log-masses, and the number of an index as a value."""

from __future__ import annotations

import abc
import math

import pyro.distributions
import torch
from torch import Tensor

from likelihoods.distributions.base import floating, log_indicator, register_kl
from likelihoods.distributions.univariate import Univariate

NARROW, FEW = 32, 1000  # torch's log_softmax is slow along a short axis, fast along a long one and for a single row


class Index(Univariate, pyro.distributions.Categorical):
    """A law on 0, …, K - 1. It is a Categorical for torch and Pyro: ``.probs`` and ``.logits`` are ``(..., K)``, normalised.

    Distribution function and moments are those of the index as a number, which means something where categories are ordered.
    """

    has_enumerate_support = True
    _num_events: int
    _param: Tensor  # with the dtype and the device of the law and, as in torch, the batch shape and an axis of K

    @abc.abstractmethod
    def _cumulated(self) -> Tensor:
        """Return P(Y <= k), ``(..., K)``, with exactly 1 at the end."""

    @abc.abstractmethod
    def _log_cumulated(self) -> tuple[Tensor, Tensor]:
        """Return log P(Y <= k) and log P(Y > k), ``(..., K)``."""

    def _index(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return the index nearest to the value, and 0 where it is the value, else -inf (NaN at NaN)."""
        top = self._num_events - 1
        if not value.is_floating_point():
            index = value.long().clamp(0, top)
            return index, log_indicator(index == value, self._param)
        index = value.nan_to_num(0.0).clamp(0, top).long()
        return index, torch.where(value.isnan(), value, log_indicator(index == value, self._param))

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return self._steps(value, 0.0, self._cumulated(), 1.0)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return self._steps(value, -torch.inf, self._log_cumulated()[0], 0.0)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return self._steps(value, 0.0, self._log_cumulated()[1], -torch.inf)

    def _steps(self, value: Tensor, below: float, table: Tensor, above: float) -> Tensor:
        """Return ``below`` left of 0, ``table[k]`` from k on, and ``above`` from K - 1 on."""
        top = self._num_events - 1
        value = floating(value, self._param)
        index = value.nan_to_num(0.0).clamp(0, top).long()
        steps = torch.where(value >= top, above, torch.where(value < 0, below, pick(table, index)))
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
        return self.logits.argmax(-1)

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        log_p = self.logits
        return -(log_p.exp() * log_p.clamp(min=torch.finfo(log_p.dtype).min)).sum(-1)

    def _indices(self) -> Tensor:
        return torch.arange(self._num_events, dtype=self._param.dtype, device=self._param.device)


def log_softmax(logits: Tensor) -> Tensor:
    """Return the normalised logits; torch's own kernel is slow along a short axis, unless there is a single row."""
    if logits.shape[-1] > NARROW or logits.numel() < FEW:
        return logits.log_softmax(-1)
    shifted = logits - logits.detach().amax(-1, keepdim=True)
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


def pick(table: Tensor, index: Tensor) -> Tensor:
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


# Divergences


@register_kl(Index, Index)
def _kl_index_index(p: Index, q: Index) -> Tensor:
    """Return Σ p log(p/q), where an index that p excludes adds nothing."""
    if p._num_events != q._num_events:
        raise ValueError(
            f"KL of a law over {p._num_events} categories from one over {q._num_events}; give both the same categories."
        )
    log_p, log_q = p.logits, q.logits
    possible = log_p > -torch.inf
    ratio = torch.where(possible, log_p, 0.0) - torch.where(possible, log_q, 0.0)
    return torch.where(possible, log_p.exp() * ratio, 0.0).sum(-1)
