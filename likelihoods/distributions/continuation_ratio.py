"""The continuation-ratio law of ordered categories: a climb that may stop at each step."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import logsigmoid

from likelihoods.distributions.base import Value, derived, promote
from likelihoods.distributions.index import Index, pick
from likelihoods.distributions.tails import both_tails


class ContinuationRatio(Index):
    r"""The law on 0, …, K - 1 with P(Y > k | Y ≥ k) = 1 / (1 + exp(-log_odds_k)), k = 0, …, K - 2.

    It is the law of a survival time in discrete steps, and that of the CORN loss.

    Args:
        log_odds: ``(..., K - 1)``, of going beyond k once k is reached; real.
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        ValueError: log_odds have no axis.

    Source: D. R. Cox (1972), Regression models and life-tables, section 5, doi:10.1111/j.2517-6161.1972.tb00899.x.

    >>> ContinuationRatio(torch.tensor([0.0, 1.0])).log_prob(torch.tensor([0, 1, 2, 3]))
    tensor([-0.6931, -2.0064, -1.0064,    -inf])
    """

    arg_constraints = {"log_odds": constraints.real_vector}

    def __init__(self, log_odds: Value, *, validate_args: bool | None = None) -> None:
        (self.log_odds,) = promote(log_odds)
        if self.log_odds.dim() < 1:
            raise ValueError("ContinuationRatio got log_odds of shape (); give K - 1 numbers for K categories.")
        self._settle(validate_args)

    @derived
    def _num_events(self) -> int:
        return self.log_odds.shape[-1] + 1

    @derived
    def _param(self) -> Tensor:
        return self.log_odds.new_empty(1).expand(*self._batch_shape, self._num_events)

    @derived
    def logits(self) -> Tensor:
        """The log-masses, ``(..., K)``: of every step up to k, and of none beyond it."""
        end = self.log_odds.new_zeros((*self.log_odds.shape[:-1], 1))
        reached = torch.cat([end, logsigmoid(self.log_odds).cumsum(-1)], -1)
        return reached + torch.cat([logsigmoid(-self.log_odds), end], -1)

    @derived
    def probs(self) -> Tensor:
        """The probabilities, ``(..., K)``."""
        return self.logits.exp()

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-mass in nats; -inf for a value that is no index of a category."""
        index, missing = self._index(value)
        return pick(self.logits, index) + missing

    # Distribution function

    def _cumulated(self) -> Tensor:
        return self._log_cumulated()[0].exp()

    def _log_cumulated(self) -> tuple[Tensor, Tensor]:
        never = self.log_odds.new_full((*self.log_odds.shape[:-1], 1), -torch.inf)
        above = torch.cat([logsigmoid(self.log_odds).cumsum(-1), never], -1)
        return both_tails(torch.logcumsumexp(self.logits, -1), above)
