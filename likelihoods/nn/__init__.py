"""torch.nn with its loss classes derived: the same names, signatures, values and errors, and what each loss assumes.

``import likelihoods.nn as nn`` can replace ``import torch.nn as nn`` in a training script: every name that is no loss is
torch.nn's own, and a loss gives torch's own number. It is of torch's class too, and has besides ``assumption``, ``relation``,
``likelihood(...)``, ``nll(...)``, ``derived(...)`` and the keyword ``strict``. (Write ``from likelihoods.nn import functional``;
``import likelihoods.nn.functional`` finds no file.)
"""

from __future__ import annotations

from typing import Any

from torch import nn as _torch_nn

from likelihoods.nn.binary import BCELoss, BCEWithLogitsLoss, SoftMarginLoss
from likelihoods.nn.classes import AdaptiveLogSoftmaxWithLoss, CrossEntropyLoss, KLDivLoss, NLLLoss, NLLLoss2d
from likelihoods.nn.embeddings import (
    CosineEmbeddingLoss,
    HingeEmbeddingLoss,
    MarginRankingLoss,
    TripletMarginLoss,
    TripletMarginWithDistanceLoss,
)
from likelihoods.nn.margins import MultiLabelMarginLoss, MultiLabelSoftMarginLoss, MultiMarginLoss
from likelihoods.nn.numbers import GaussianNLLLoss, HuberLoss, L1Loss, MSELoss, PoissonNLLLoss, SmoothL1Loss
from likelihoods.nn.sequences import CTCLoss

__all__ = [
    "AdaptiveLogSoftmaxWithLoss",
    "BCELoss",
    "BCEWithLogitsLoss",
    "CTCLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "NLLLoss2d",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]

if hasattr(_torch_nn, "LinearCrossEntropyLoss"):  # not before torch 2.13
    from likelihoods.nn.linear import LinearCrossEntropyLoss

    __all__ += ["LinearCrossEntropyLoss"]


def __getattr__(name: str) -> Any:
    try:
        return getattr(_torch_nn, name)
    except AttributeError:
        raise AttributeError(f"module 'likelihoods.nn' has no attribute {name!r}, and neither has torch.nn") from None


def __dir__() -> list[str]:
    return sorted({*dir(_torch_nn), *__all__})
