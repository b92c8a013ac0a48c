"""What the losses of a number elicit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from likelihoods.functionals.functional import Functional


def _mean(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    return (weights * values).sum()


def _mean_and_variance(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    mean = _mean(values, weights)
    return torch.stack([mean, (weights * (values - mean) ** 2).sum()])


def _median(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    order = values.argsort()
    return values[order][(weights[order].cumsum(0) >= 0.5).nonzero()[0, 0]]


def _geometric_mean(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    return (weights * values.log()).sum().exp()


def _root_of(score: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def solve(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
        from scipy import optimize  # half a second to import, and only `verify` needs it

        def expected(location: float) -> float:
            return float((weights * score(values - location, **options)).sum())

        root = optimize.brentq(expected, float(values.min()), float(values.max()), xtol=1e-14, rtol=1e-15)
        return torch.tensor(root, dtype=values.dtype)

    return solve


def _clipped(residual: Tensor, **options: Any) -> Tensor:
    bound = options["delta"] if "delta" in options else options["beta"]
    return residual.clamp(-bound, bound)


def _tanh(residual: Tensor, **options: Any) -> Tensor:
    return residual.tanh()


def _student(residual: Tensor, df: float, scale: float, **options: Any) -> Tensor:
    return residual / (df * scale**2 + residual**2)


def _law_median(law: Distribution) -> Tensor:
    return law.icdf(torch.tensor(0.5, dtype=torch.float64))


NUMBERS = (
    Functional("mean", _mean, lambda law: law.mean),
    Functional("mean and variance", _mean_and_variance, lambda law: torch.stack([law.mean, law.variance], -1)),
    Functional("median", _median, _law_median),
    Functional("geometric mean", _geometric_mean, _law_median),
    Functional("huber location", _root_of(_clipped), _law_median),
    Functional("log-cosh location", _root_of(_tanh), _law_median),
    Functional("student-t location", _root_of(_student), _law_median, unique=False),
)
