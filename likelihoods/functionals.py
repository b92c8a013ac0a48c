"""What a loss elicits: the feature of the data's law that minimises its expectation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution


@dataclass(frozen=True)
class Functional:
    """A feature of a law, computed in two ways that have nothing in common.

    Attributes:
        name: the field's word for it.
        of_population: the feature of a finite population, from its values ``(n,)`` and probabilities ``(n,)``; further keyword
            arguments are the loss's options. It never looks at the loss.
        of_law: the same feature of a fitted distribution.
        unique: whether every population has one minimiser (a redescending location may have several).
    """

    name: str
    of_population: Callable[..., Tensor]
    of_law: Callable[[Distribution], Tensor]
    unique: bool = True


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


def _class_probabilities(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    return torch.zeros(int(values.max()) + 1, dtype=weights.dtype).index_add(0, values.long(), weights)


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


def _tilted_probability(values: Tensor, weights: Tensor, pos_weight: float | None = None, **options: Any) -> Tensor:
    tilt = 1.0 if pos_weight is None else pos_weight
    positive = tilt * (weights * values).sum()
    return positive / (positive + (weights * (1 - values)).sum())


def _law_median(law: Distribution) -> Tensor:
    return law.icdf(torch.tensor(0.5, dtype=torch.float64))


def _law_probabilities(law: Any) -> Tensor:
    probabilities: Tensor = law.probs
    return probabilities


FUNCTIONALS: dict[str, Functional] = {
    functional.name: functional
    for functional in (
        Functional("mean", _mean, lambda law: law.mean),
        Functional("mean and variance", _mean_and_variance, lambda law: torch.stack([law.mean, law.variance], -1)),
        Functional("median", _median, _law_median),
        Functional("geometric mean", _geometric_mean, _law_median),
        Functional("probability of 1", _tilted_probability, lambda law: law.mean),
        Functional("class probabilities", _class_probabilities, _law_probabilities),
        Functional("huber location", _root_of(_clipped), _law_median),
        Functional("log-cosh location", _root_of(_tanh), _law_median),
        Functional("student-t location", _root_of(_student), _law_median, unique=False),
    )
}
