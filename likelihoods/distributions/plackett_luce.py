"""The Plackett-Luce law of rankings."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import Parametric, Value, log_indicator, promote, register_kl

MOST = 8  # items of which all orders are listed: 8! = 40320


class Ranking(constraints.Constraint):
    """Vectors that hold each of the indices 0, …, n - 1 once."""

    is_discrete, event_dim = True, 1

    def check(self, value: Tensor) -> Tensor:
        """Return whether each vector is one."""
        return (value.sort(-1).values == torch.arange(value.shape[-1], device=value.device)).all(-1)

    def __repr__(self) -> str:
        return "the orders of 0, …, n - 1"


class PlackettLuce(Parametric, TorchDistribution):
    r"""The law of a ranking in which each place goes to one of the items that are left, in proportion to exp(logits).

    A value ``(..., n)`` lists the indices of the items from the first place to the last; it may be integers or floating
    point. P(y) = Π_k exp(logits[y_k]) / Σ_{j ≥ k} exp(logits[y_j]). It is the order of n independent exponential waiting
    times with rates exp(logits), the shortest first.

    Args:
        logits: ``(..., n)``, finite log-strengths, up to a common constant.
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        ValueError: the logits have no axis of items, or one is not finite (with validation on).

    Source: R. L. Plackett (1975), The analysis of permutations, doi:10.2307/2346567.

    >>> PlackettLuce(torch.tensor([0.0, 1.0, 2.0])).log_prob(torch.tensor([[2, 1, 0], [0, 1, 2], [0, 0, 2]]))
    tensor([-0.7209, -3.7209,    -inf])
    """

    arg_constraints = {"logits": constraints.real_vector}
    support = Ranking()
    has_enumerate_support = True

    def __init__(self, logits: Value, *, validate_args: bool | None = None) -> None:
        (self.logits,) = promote(logits)
        if self.logits.dim() < 1:
            raise ValueError("PlackettLuce got logits of shape (); give a tensor of shape (..., n) for n items.")
        self._settle(validate_args, event_dim=1)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-mass in nats; -inf for what is no order of the n items."""
        n = self.logits.shape[-1]
        if value.shape[-1:] != (n,):
            raise ValueError(
                f"A ranking of {n} items has shape (..., {n}), but the value has shape {tuple(value.shape)}; list every item, "
                f"the first place first."
            )
        ranking = self.support.check(value)
        missing = value != value if value.is_floating_point() else torch.zeros_like(value, dtype=torch.bool)
        index = value.nan_to_num(0.0).clamp(0, max(n - 1, 0)).long()
        shape = torch.broadcast_shapes(index.shape, self.logits.shape)
        # from the last place to the first, so that the running sum is over the items that were left
        ordered = self.logits.expand(shape).gather(-1, index.expand(shape)).flip(-1)
        if n:  # only differences count; small numbers keep more digits, above all in the slopes
            ordered = ordered - ordered.detach().amax(-1, keepdim=True)
        log_prob = (ordered - torch.logcumsumexp(ordered, -1)).sum(-1) + log_indicator(ranking, ordered)
        return torch.where(missing.any(-1), torch.nan, log_prob)

    # Moments

    @property
    def mode(self) -> Tensor:
        """The likeliest ranking: by falling logits; of equals the smaller index comes first."""
        best: Tensor = self._full(self.logits.argsort(dim=-1, descending=True, stable=True))
        return best

    def entropy(self) -> Tensor:
        """Return the entropy in nats, by listing every ranking of at most 8 items.

        Raises:
            NotImplementedError: there are more items.
        """
        every: Tensor = torch.special.entr(self.log_prob(self.enumerate_support()).exp())
        return every.sum(0)

    # Values

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return every ranking, ``(n!, *batch, n)``, or with ones for the batch.

        Raises:
            NotImplementedError: there are more than 8 items.
        """
        n = self.logits.shape[-1]
        if n > MOST:
            raise NotImplementedError(f"There are {n}! rankings of {n} items; they are listed up to {MOST} items.")
        every = torch.tensor(list(itertools.permutations(range(n))), device=self.logits.device).reshape(-1, n)
        every = every.reshape(-1, *[1] * len(self.batch_shape), n)
        return every.expand(-1, *self.batch_shape, n) if expand else every

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return rankings as integers: the order of logits plus independent Gumbel noise."""
        with torch.no_grad():
            # -log of the exponential waiting times; in double precision, where ties all but never happen
            shape = self._extended_shape(sample_shape)
            waiting = torch.empty(shape, dtype=torch.float64, device=self.logits.device).exponential_().log()
            return (waiting - self.logits).argsort(-1)


@register_kl(PlackettLuce, PlackettLuce)
def _kl_plackett_luce_plackett_luce(p: PlackettLuce, q: PlackettLuce) -> Tensor:
    """Return the sum over every ranking; NotImplementedError for more than 8 items."""
    if p.event_shape != q.event_shape:
        raise ValueError(f"The laws rank {p.event_shape[0]} and {q.event_shape[0]} items.")
    every = p.enumerate_support(expand=False)
    log_p = p.log_prob(every)
    return (log_p.exp() * (log_p - q.log_prob(every))).sum(0)
