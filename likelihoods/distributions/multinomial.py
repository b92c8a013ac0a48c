"""The multinomial law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.distributions import constraints, kl_divergence

from likelihoods.distributions.base import Parametric, Value, derived, floating, log_indicator, promote, register_kl
from likelihoods.distributions.binomial import Binomial
from likelihoods.distributions.categorical import Categorical
from likelihoods.distributions.index import log_softmax
from likelihoods.special import HALF_LOG_2PI, NEAR, analytic, near_log1pmx, stirling
from likelihoods.wide import FEW, by_blocks, is_wide, lgamma, lgamma_block


def _log_part(count: Tensor, mean: Tensor, log_mean: Tensor) -> Tensor:
    """Return count·log(mean) - mean - log(count!), as Stirling's tail and a deviance, which do not cancel."""
    some = count.clamp(min=1.0)
    log_some = some.log()
    excess = (mean - some) / some
    deviance = torch.where(excess.abs() < NEAR, near_log1pmx(excess), log_mean - log_some - excess)
    part = some * deviance - (0.5 * log_some + HALF_LOG_2PI + stirling(some))
    return torch.where(count == 0, -mean, part)


_log_part_ = analytic(_log_part, None, None, lambda count, mean, log_mean: count - mean)


def _plain_block(count: Tensor, log_p: Tensor) -> Tensor:
    count = count.double()
    return log_p.double().clamp_(min=-1e300).mul_(count).sub_(lgamma_block(count + 1.0))


_plain_ = analytic(
    lambda count, log_p: by_blocks(_plain_block, count, log_p), None, lambda count, log_p: count
)  # p^count / count!, for tensors of one shape


class Multinomial(Parametric, pyro.distributions.Multinomial):
    r"""The multinomial law of the counts of K categories in n independent trials, with mass n! Π_k p_k^y_k / y_k!.

    It is the law of K Poisson counts with means n p_k, given that their total is n, and is evaluated as that.

    Args:
        total_count: n, a non-negative integer; a tensor with the batch shape or a number.
        logits: ``(..., K)``, log-probabilities up to a constant.
        probs: ``(..., K)``, probabilities up to a factor; give either this or ``logits``.
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        TypeError: neither or both of ``logits`` and ``probs`` are given.
        ValueError: the parameter has no axis of categories.

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1997), Discrete Multivariate Distributions, chapter 35.

    >>> Multinomial(3, torch.tensor([0.0, 1.0])).log_prob(torch.tensor([[1.0, 2.0], [2.0, 2.0]]))
    tensor([-0.8412,    -inf])
    """

    arg_constraints = {
        "logits": constraints.real_vector,
        "probs": constraints.simplex,
        "total_count": constraints.nonnegative_integer,
    }

    total_count: Tensor  # type: ignore[assignment]  # torch has one number for the whole batch

    def __init__(
        self,
        total_count: Value = 1,
        logits: Tensor | None = None,
        *,
        probs: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if (logits is None) == (probs is None):
            got = "neither" if logits is None else "both"
            raise TypeError(
                f"Multinomial got {got} of logits and probs; write Multinomial(n, logits) or Multinomial(n, probs=p)."
            )
        given: Any = logits if probs is None else probs
        parameter, self.total_count = promote(given, total_count)
        if parameter.dim() < 1:
            name = "logits" if probs is None else "probs"
            raise ValueError(f"Multinomial got {name} of shape (); give a tensor of shape (..., K) for K categories.")
        if probs is None:
            self.logits = log_softmax(parameter)
        else:
            self.probs = parameter / parameter.sum(-1, keepdim=True)
        self._settle(validate_args, event_dim=1)

    @derived
    def logits(self) -> Tensor:
        """The normalised logits: log p."""
        return self.probs.log()

    @derived
    def probs(self) -> Tensor:
        """The probabilities p."""
        return self.logits.exp()

    @property
    def _param(self) -> Tensor:
        return self.logits if "logits" in self.__dict__ else self.probs

    @derived
    def _categorical(self) -> torch.distributions.Categorical:
        """The law of one trial."""
        if "logits" in self.__dict__:
            return Categorical(self.logits, validate_args=False)
        return Categorical(probs=self.probs, validate_args=False)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> constraints.Constraint:
        """Counts that add up to ``total_count``."""
        return Compositions(self.total_count)

    # Mass

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-mass in nats, ``(...)``; -inf where the counts are no counts or do not add up to the trials."""
        value = floating(value, self._param)
        count = torch.minimum(value.detach().clamp(min=0.0).floor(), self.total_count.unsqueeze(-1))
        mass = self._precise(count) if is_wide(self._param) else self._plain(count)
        return mass + log_indicator(self.support.check(value), mass)

    def _plain(self, count: Tensor) -> Tensor:
        """Return the log-mass as it is written, in float64 and rounded: -1e300 becomes -inf, but times a count of 0 it is 0."""
        log_p = self.logits if "logits" in self.__dict__ else _log_nonzero(self.probs)
        n = self.total_count.double()
        if log_p.shape == count.shape and log_p.numel() >= FEW:
            parts = _plain_(count, log_p)
        else:
            parts = count.double() * log_p.double().clamp(min=-1e300) - lgamma(count.double() + 1.0)
        with torch.no_grad():  # 0 but for rounding, which counts once a trial; its slope is 0
            norm = n * by_blocks(lambda x: x.double().exp_(), log_p).sum(-1).log()
        return (parts.sum(-1) - norm + lgamma(n + 1.0)).to(log_p.dtype)

    def _precise(self, count: Tensor) -> Tensor:
        """Return the log-mass from those of the Poisson counts and of their sum, which cancel nothing."""
        total = self.total_count.unsqueeze(-1)
        log_p = self.logits if "logits" in self.__dict__ else _log_nonzero(self.probs)
        parts = _log_part_(count, total * self.probs, total.log() + log_p)
        return parts.sum(-1) - _log_part(total, total, total.log()).squeeze(-1)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean, ``(..., K)``."""
        return self._full(self.total_count.unsqueeze(-1) * self.probs)

    @property
    def variance(self) -> Tensor:
        """The variance of each count, ``(..., K)``."""
        probs = self.probs
        return self._full(self.total_count.unsqueeze(-1) * probs * (1.0 - probs))

    @property
    def mode(self) -> Tensor:
        """The likeliest counts, ``(..., K)``: the means rounded down, and what is left put where it adds most, one by one.

        Source: H. M. Finucan (1964), The mode of a multinomial distribution, doi:10.1093/biomet/51.3-4.513.
        """
        mean = self.mean.detach()
        mode = mean.floor()
        for _ in range(mean.shape[-1]):
            left = self.total_count.unsqueeze(-1) - mode.sum(-1, keepdim=True)
            best = (mean / (mode + 1.0)).argmax(-1, keepdim=True)
            mode = mode.scatter_add(-1, best, (left > 0).to(mode.dtype))
        return mode

    def entropy(self) -> Tensor:
        """Return the entropy in nats: the masses of each count alone, a binomial one, give the mean of its part."""
        shape = self._batch_shape + self._event_shape
        total = self.total_count.unsqueeze(-1)
        mean, log_mean = (x.expand(shape) for x in (total * self.probs, total.log() + self.logits))
        alone = Binomial(total.expand(shape), probs=self.probs.expand(shape), validate_args=False)
        parts = alone._support_sum(lambda count, _: _log_part_(count, mean, log_mean))
        return _log_part(total, total, total.log()).squeeze(-1) - parts.sum(-1)

    # Sampling

    @torch.no_grad()
    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples: a binomial count for each category but the last, or single trials if they are fewer."""
        shape = self._extended_shape(sample_shape)
        probs = self.probs.expand(shape).contiguous()
        left = self.total_count.expand(shape[:-1]).contiguous()
        most = int(left.max()) if left.numel() else 0
        if most < shape[-1]:
            rows = probs.reshape(-1, shape[-1])
            trials = torch.multinomial(rows, max(most, 1), replacement=True)
            used = torch.arange(max(most, 1), device=rows.device) < left.reshape(-1, 1)
            return torch.zeros_like(rows).scatter_add_(-1, trials, used.to(rows.dtype)).reshape(shape)
        counts, rest = [], probs.flip(-1).cumsum(-1).flip(-1)
        for k in range(shape[-1] - 1):
            share = (probs[..., k] / rest[..., k]).nan_to_num(nan=0.0).clamp(0.0, 1.0)
            counts.append(torch.binomial(left, share))
            left = left - counts[-1]
        return torch.stack([*counts, left], -1)


class Compositions(constraints.Constraint):
    """Vectors of counts that add up to a total."""

    is_discrete = True
    event_dim = 1

    def __init__(self, total: Tensor) -> None:
        self.total = total

    def check(self, value: Tensor) -> Tensor:
        """Return whether each vector holds counts with that total."""
        return ((value >= 0) & (value.floor() == value)).all(-1) & (value.sum(-1) == self.total)

    def __repr__(self) -> str:
        return "the vectors of counts that add up to total_count"


def _log_nonzero(probs: Tensor) -> Tensor:
    """Return log p with slope 0 at p = 0."""
    return torch.where(probs > 0, torch.where(probs > 0, probs, 1.0).log(), -torch.inf)


# Divergences


@register_kl(Multinomial, Multinomial)
def _kl_multinomial_multinomial(p: Multinomial, q: Multinomial) -> Tensor:
    """Return n times the divergence of one trial; infinite for other numbers of trials, whose counts are never the same."""
    one = kl_divergence(p._categorical, q._categorical)
    return torch.where(p.total_count == q.total_count, p.total_count * one, torch.inf)
