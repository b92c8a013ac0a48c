"""What the losses of counts, amounts and shares elicit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.special import digamma, expit

from likelihoods.functionals.functional import Functional


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    mean: Tensor = torch.tensordot(weights, values, 1)
    return mean


def _power_mean(values: Tensor, weights: Tensor, concentration: float, **options: Any) -> Tensor:
    return _mean(values**concentration, weights) ** (1 / concentration)


def _mean_logit(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    return _mean(values.logit(), weights)


def _law_mean_logit(law: Any) -> Tensor:
    logit: Tensor = digamma(law.concentration1) - digamma(law.concentration0)
    return logit


def _mean_log(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    return _mean(values.log(), weights)


def _law_mean_log(law: Any) -> Tensor:
    log: Tensor = digamma(law.concentration) - digamma(law.concentration.sum(-1, keepdim=True))
    return log


def _mean_shares(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    mean = _mean(values, weights)
    return mean / mean.sum()


def _beta_binomial_chance(
    values: Tensor, weights: Tensor, total_count: int, precision: float, **options: Any
) -> Tensor:
    """Return the mean chance p at which Σ_i<y 1/(pφ + i) and Σ_i<n-y 1/((1-p)φ + i) have the same mean."""
    from scipy import optimize  # half a second to import, and only `verify` needs it

    steps = torch.arange(total_count, dtype=values.dtype)
    seen = torch.tensordot(weights, (steps < values[:, None]).to(values.dtype), 1)  # P(Y > i)
    missed = torch.tensordot(weights, (steps < total_count - values[:, None]).to(values.dtype), 1)

    def score(logit: float) -> float:
        p = expit(torch.tensor([logit, -logit], dtype=values.dtype)) * precision
        return float((p[0] * p[1] * (seen / (p[0] + steps) - missed / (p[1] + steps))).sum())

    root = optimize.brentq(score, -30.0, 30.0, xtol=1e-14, rtol=1e-15)
    chance: Tensor = expit(torch.tensor(root, dtype=values.dtype))
    return chance


def _share_of_zeros(values: Tensor, weights: Tensor) -> Tensor:
    return weights[values == 0].sum()


def _zeros_and_mean(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    return torch.stack([_share_of_zeros(values, weights), _mean(values, weights)])


def _inflated(values: Tensor, weights: Tensor, dispersion: float = 0.0, **options: Any) -> Tensor:
    """Return both, where no gate can take away the zeros that the base has at that mean."""
    mean = _mean(values, weights)
    of_base = torch.exp(-mean if dispersion == 0 else -torch.log1p(dispersion * mean) / dispersion)
    return torch.stack([torch.maximum(_share_of_zeros(values, weights), of_base), mean])


def _zeros_and_geometric_mean(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    others = values > 0
    log_mean = _mean(values[others].log(), weights[others]) / weights[others].sum()
    return torch.stack([_share_of_zeros(values, weights), log_mean.exp()])


def _law_zeros(law: Any) -> Tensor:
    zeros: Tensor = law.log_prob(torch.zeros((), dtype=law.logits.dtype)).exp()
    return zeros


def _law_zeros_and_mean(law: Any) -> Tensor:
    return torch.stack([_law_zeros(law), law.mean], -1)


def _law_zeros_and_median(law: Any) -> Tensor:
    return torch.stack([_law_zeros(law), law.base.icdf(torch.tensor(0.5, dtype=law.logits.dtype))], -1)


AMOUNTS = (
    Functional("power mean", _power_mean, lambda law: law.scale),  # type: ignore[attr-defined]  # Weibull's E[Y^k]^(1/k)
    Functional("mean of the logit", _mean_logit, _law_mean_logit),
    Functional("mean of the logarithms", _mean_log, _law_mean_log),
    Functional("mean shares", _mean_shares, lambda law: law.mean / law.total_count),  # type: ignore[attr-defined]
    Functional("beta-binomial chance", _beta_binomial_chance, lambda law: law.logits.sigmoid()),  # type: ignore[attr-defined]
    Functional("share of zeros and mean", _zeros_and_mean, _law_zeros_and_mean),
    Functional("share of zeros, at least the base's, and mean", _inflated, _law_zeros_and_mean),
    Functional("share of zeros and geometric mean of the others", _zeros_and_geometric_mean, _law_zeros_and_median),
)
