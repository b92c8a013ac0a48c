"""The laws of the order of failures behind Cox's partial likelihood."""

from __future__ import annotations

import abc
import itertools
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import Parametric, Value, floating, promote

MOST = 8  # subjects of whom all orders are listed


class Failures(constraints.Constraint):
    """Pairs (time, event), ``(..., n, 2)``: a time that is finite, and 1 where it is the failure's, 0 where it is censored."""

    is_discrete, event_dim = False, 2

    def check(self, value: Tensor) -> Tensor:
        """Return whether all pairs are such."""
        time, event = value[..., 0], value[..., 1]
        return (torch.isfinite(time) & ((event == 0) | (event == 1))).all(-1)

    def __repr__(self) -> str:
        return "pairs (time, event), the time finite and the event 1 where it was seen, else 0"


class FailureOrder(Parametric, TorchDistribution, abc.ABC):
    """Abstract: who fails next, of those who are still at risk, in proportion to the hazard exp(log_hazard).

    A value ``(..., n, 2)`` has for each of n subjects its time and 1 where it failed then, 0 where it was only seen till then
    (right-censored). Only the order of the times counts. Without ties and censoring this is a normalised law of the n!
    orders, that of PlackettLuce; with censoring it is the marginal law of the ranks, and it says nothing of who is censored.
    """

    arg_constraints = {"log_hazard": constraints.real_vector}
    support = Failures()
    has_enumerate_support = True

    def __init__(self, log_hazard: Value, *, validate_args: bool | None = None) -> None:
        (self.log_hazard,) = promote(log_hazard)
        if self.log_hazard.dim() < 1:
            raise ValueError(f"{type(self).__name__} got log_hazard of shape (); give (..., n) for n subjects.")
        batch, n = self.log_hazard.shape[:-1], self.log_hazard.shape[-1]
        self._initialise(batch, torch.Size((n, 2)), validate_args)

    @abc.abstractmethod
    def _log_risks(self, tied: _Tied) -> Tensor:
        """Return for each failure, ``(..., n)``, the log of the sum of hazards from which it was taken."""

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log partial likelihood in nats; -inf where an event is not 0 or 1, or a time is infinite."""
        n = self.log_hazard.shape[-1]
        if value.shape[-2:] != (n, 2):
            raise ValueError(
                f"The failures of {n} subjects are pairs (time, event) of shape (..., {n}, 2), but the value has shape "
                f"{tuple(value.shape)}; write torch.stack([time, event.to(time.dtype)], -1)."
            )
        value = floating(value, self.log_hazard)
        possible, missing = self.support.check(value), value.isnan().flatten(-2).any(-1)
        shape = torch.broadcast_shapes(value.shape[:-1], self.log_hazard.shape)
        value = value.expand(*shape, 2)
        order = value[..., 0].argsort(-1, descending=True)
        time, event = (x.gather(-1, order) for x in value.unbind(-1))
        log_hazard = self.log_hazard.expand(shape).gather(-1, order)
        if n:  # only differences count; small numbers keep more digits, above all in the slopes
            log_hazard = log_hazard - log_hazard.detach().amax(-1, keepdim=True)
        failed = event == 1
        terms = torch.where(failed, log_hazard - self._log_risks(_Tied(time, failed, log_hazard)), 0.0)
        log_prob = torch.where(possible, terms.sum(-1), -torch.inf)
        return torch.where(missing, torch.nan, log_prob)

    # Values

    @property
    def mode(self) -> Tensor:
        """The likeliest order without censoring, as ranks: by falling hazard."""
        return self._ranks(self._full_hazard().argsort(dim=-1, descending=True, stable=True))

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return every order without ties and censoring, ``(n!, *batch, n, 2)``: times are ranks 1, …, n, events 1.

        Raises:
            NotImplementedError: there are more than 8 subjects.
        """
        n = self.log_hazard.shape[-1]
        if n > MOST:
            raise NotImplementedError(f"There are {n}! orders of {n} subjects; they are listed up to {MOST}.")
        orders = torch.tensor(list(itertools.permutations(range(n))), device=self.log_hazard.device).reshape(-1, n)
        every = self._ranks(orders).reshape(-1, *[1] * len(self.batch_shape), n, 2)
        return every.expand(-1, *self.batch_shape, n, 2) if expand else every

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return orders without ties and censoring, ``(..., n, 2)``: times are ranks 1, …, n, events 1."""
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)[:-1]
            waiting = torch.empty(shape, dtype=torch.float64, device=self.log_hazard.device).exponential_().log()
            return self._ranks((waiting - self.log_hazard).argsort(-1))

    def _full_hazard(self) -> Tensor:
        return self.log_hazard.expand(*self.batch_shape, self.log_hazard.shape[-1])

    def _ranks(self, order: Tensor) -> Tensor:
        """Return (rank, 1) of each subject, from the subjects in the order in which they fail."""
        rank = (order.argsort(-1) + 1).to(self.log_hazard.dtype)
        return torch.stack([rank, torch.ones_like(rank)], -1)


class FailureOrderBreslow(FailureOrder):
    r"""Cox's partial likelihood with Breslow's rule for ties: each of d tied failures is taken from all who were at risk.

    Π over failures i of exp(log_hazard_i) / Σ_{j: time_j ≥ time_i} exp(log_hazard_j). With ties that is no probability: it
    is too small, the more so the more there are.

    Args:
        log_hazard: ``(..., n)``, one for each subject, up to a common constant.
        validate_args: whether to check the parameters; torch's default if None.

    Source: D. R. Cox (1975), Partial likelihood, doi:10.1093/biomet/62.2.269; N. Breslow (1974), doi:10.2307/2529620.

    >>> failures = torch.tensor([[1.0, 1.0], [2.0, 1.0], [2.0, 1.0]])  # subject 0 first, then two at once
    >>> FailureOrderBreslow(torch.zeros(3)).log_prob(failures).exp() * 12
    tensor(1.0000)
    """

    def _log_risks(self, tied: _Tied) -> Tensor:
        return tied.log_at_risk


class FailureOrderEfron(FailureOrder):
    r"""Cox's partial likelihood with Efron's rule for ties: of d tied failures the k-th is taken without the k tied before.

    As :class:`FailureOrderBreslow`, but the k-th of d failures at a time, k = 0, …, d - 1, is taken from the sum over who is
    at risk, less k/d of the sum over the d tied. Without ties the two are the same; with ties this one is closer to the
    average over the orders in which the tied may have failed.

    Args:
        log_hazard: ``(..., n)``, one for each subject, up to a common constant.
        validate_args: whether to check the parameters; torch's default if None.

    Source: B. Efron (1977), doi:10.1080/01621459.1977.10480613; D. R. Cox (1975), doi:10.1093/biomet/62.2.269.

    >>> failures = torch.tensor([[1.0, 1.0], [2.0, 1.0], [2.0, 1.0]])  # subject 0 first, then two at once
    >>> FailureOrderEfron(torch.zeros(3)).log_prob(failures).exp() * 6
    tensor(1.0000)
    """

    def _log_risks(self, tied: _Tied) -> Tensor:
        share = tied.before / tied.number.clamp(min=1.0)
        failing = torch.where(share > 0, tied.log_failing - tied.log_at_risk, 0.0).clamp(max=0.0)
        return tied.log_at_risk + torch.log1p(-share * failing.exp())


class _Tied:
    """What the rules for ties need, for each subject ``(..., n)`` in the order of falling times.

    Attributes:
        log_at_risk: log of the sum of hazards of those whose time is not shorter.
        number: how many fail at the subject's time.
        before: how many of these are listed before it.
        log_failing: log of the sum of their hazards.
    """

    def __init__(self, time: Tensor, failed: Tensor, log_hazard: Tensor) -> None:
        n = time.shape[-1]
        place = torch.arange(n, device=time.device).expand(time.shape)
        new = torch.ones_like(failed)
        new[..., 1:] = time[..., 1:] != time[..., :-1]
        group = new.long().cumsum(-1) - 1  # which of the distinct times

        def total(values: Tensor) -> Tensor:
            return torch.zeros_like(values).scatter_add(-1, group, values).gather(-1, group)

        size = total(torch.ones_like(group))
        first = torch.where(new, place, 0).cummax(-1).values
        self.log_at_risk = torch.logcumsumexp(log_hazard, -1).gather(-1, first + size - 1)
        fails = failed.to(log_hazard.dtype)
        self.number = total(fails)
        running = fails.cumsum(-1)
        self.before = running - fails - (running - fails).gather(-1, first)
        # relative to the largest hazard at the time, so that no sum overflows or vanishes
        failing = torch.where(failed, log_hazard.detach(), -torch.inf)
        top = torch.full_like(failing, -torch.inf).scatter_reduce(-1, group, failing, "amax").gather(-1, group)
        top = torch.where(top > -torch.inf, top, 0.0)
        scaled = torch.where(failed, log_hazard - top, 0.0).exp() * fails
        self.log_failing = torch.where(self.number > 0, total(scaled), 1.0).log() + top
