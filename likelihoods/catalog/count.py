"""Losses of a count."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from likelihoods.distributions import NegativeBinomial, Poisson
from likelihoods.likelihood import Family, Likelihood
from likelihoods.links import shifted
from likelihoods.registry import register
from likelihoods.relations import Affine
from likelihoods.sources import predicted


def _poisson_relation(log_input: bool, full: bool, eps: float) -> Affine:
    shift = 0.0 if log_input else eps
    moved = "" if log_input else f" - {eps:g}"

    def offset(target: Tensor) -> Tensor:
        return -torch.lgamma(target + 1) - shift

    def full_offset(target: Tensor) -> Tensor:
        safe = target.clamp_min(1)
        stirling = safe * safe.log() - safe + 0.5 * torch.log(2 * math.pi * safe)
        return offset(target) + stirling * (target > 1)

    offset.__doc__ = f"-log y!{moved}"
    full_offset.__doc__ = f"-log y! + Stirling(y){moved}, Stirling(y) = y log y - y + log(2π y)/2 for y > 1, else 0"
    return Affine(1.0, full_offset if full else offset)


@register(
    elicits="mean",
    reference="Gourieroux, Monfort and Trognon (1984), doi:10.2307/1913471",
    relation=_poisson_relation,
    examples=({}, {"full": True}, {"log_input": False}, {"log_input": False, "full": True, "eps": 1e-3}),
    aliases=("PoissonNLLLoss", "poisson", "poisson_regression", "poisson_loss"),
    formula="exp(f) - y f (log_input), or f - y log(f + eps)",
)
def poisson_nll(log_input: bool = True, full: bool = False, eps: float = 1e-8) -> Likelihood:
    """The target counts events that happen independently at a rate of exp(prediction).

    Use it for counts whose variance is near their mean. It elicits the mean of any non-negative target; with a variance
    above the mean its nats are wrong, and negative_binomial is better. `full` adds Stirling's approximation of log y!, which
    moves the value, never the gradient; the exact value in nats is `.nll`.
    """
    return Family(Poisson, rate=predicted("log" if log_input else shifted(eps)))


@register(
    elicits="mean",
    reference="Lawless (1987), doi:10.2307/3314912",
    examples=({}, {"dispersion": 0.1}, {"dispersion": 5.0}),
    aliases=("nb", "nb2", "negbin", "NegativeBinomialLoss", "negative_binomial_nll"),
    formula="-log NB(y; mean exp(f), variance mean + dispersion mean²)",
    nuisance=("dispersion",),
)
def negative_binomial(dispersion: float = 1.0) -> Likelihood:
    """The target counts events at a rate of exp(prediction) times a Gamma factor, which differs from case to case.

    Use it for counts whose variance exceeds their mean, the common case. As the dispersion falls to 0 it becomes poisson_nll.
    """
    return Family(NegativeBinomial, mean=predicted("log"), dispersion=dispersion)
