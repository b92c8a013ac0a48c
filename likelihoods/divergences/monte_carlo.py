"""The divergence estimated from samples, with its standard error and unbiased gradients."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.distributions import Distribution

from likelihoods.distributions.supports import support_of
from likelihoods.divergences.support import precise


def estimate_kl(
    q: Distribution, p: Distribution, samples: int, seed: int | None, estimator: str
) -> tuple[Tensor, Tensor]:
    """Return the mean of the estimator over samples of q, and its standard error, both with the batch shape."""
    with _generator(q, seed):
        pathwise = q.has_rsample and torch.is_grad_enabled()
        z = q.rsample((samples,)) if pathwise else q.sample((samples,))
    log_q, log_p = _log_prob(q, z), _log_prob(p, z)
    excluded = log_p == -torch.inf
    ratio = log_q - torch.where(excluded, log_q.detach(), log_p)
    terms = ratio if estimator == "k1" else torch.expm1(-ratio) + ratio
    fixed = terms.detach()
    error = (fixed.var(0) / samples).sqrt()
    if torch.is_grad_enabled() and not q.has_rsample and terms.requires_grad:
        # E f has the slope E (f d log q + df); the mean of the other terms as baseline leaves it so, with less variance
        others = (fixed.sum(0) - fixed) / (samples - 1)
        terms = terms + (fixed - others) * (log_q - log_q.detach())
    infinite = excluded.any(0)
    return torch.where(infinite, torch.inf, terms.mean(0)), torch.where(infinite, 0.0, error)


def _log_prob(law: Distribution, value: Tensor) -> Tensor:
    """Return the log-density with its gradients; -inf outside the support, where torch's laws raise or say anything."""
    if type(law).__module__.startswith("likelihoods."):
        return law.log_prob(value)
    try:
        inside = support_of(precise(law)).check(value.detach())
    except NotImplementedError:
        return law.log_prob(value)
    rank = len(law.event_shape)
    safe = value if bool(inside.all()) else torch.where(inside.view(*inside.shape, *[1] * rank), value, law.sample())
    return torch.where(inside, law.log_prob(safe), -torch.inf)


@contextlib.contextmanager
def _generator(law: Distribution, seed: int | None) -> Iterator[None]:
    """Seed torch's generators for a while, where a seed is given, and put them back as they were."""
    if seed is None:
        yield
        return
    devices = {v.device for v in vars(law).values() if isinstance(v, Tensor) and v.is_cuda}
    with torch.random.fork_rng(devices=list(devices)):
        torch.manual_seed(seed)
        yield
