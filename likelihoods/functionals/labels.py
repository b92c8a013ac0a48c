"""What the losses of a label elicit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from likelihoods.functionals.functional import Functional


def _class_probabilities(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    return torch.zeros(int(values.max()) + 1, dtype=weights.dtype).index_add(0, values.long(), weights)


def _tilted_probability(values: Tensor, weights: Tensor, pos_weight: float | None = None, **options: Any) -> Tensor:
    tilt = 1.0 if pos_weight is None else pos_weight
    positive = tilt * (weights * values).sum()
    return positive / (positive + (weights * (1 - values)).sum())


def _law_probabilities(law: Any) -> Tensor:
    probabilities: Tensor = law.probs
    return probabilities


def _label(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    return values[weights.argmax()]


LABELS = (
    Functional("label", _label, lambda law: law.mode),
    Functional("probability of 1", _tilted_probability, lambda law: law.mean),
    Functional("class probabilities", _class_probabilities, _law_probabilities),
)
