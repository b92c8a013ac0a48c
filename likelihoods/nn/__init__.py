"""torch.nn with its loss classes derived: the same names, signatures, values and errors, and what each loss assumes.

``import likelihoods.nn as nn`` can replace ``import torch.nn as nn`` in a training script: every name that is no loss is
torch.nn's own, and a loss gives torch's own number. It is of torch's class too, and has besides ``assumption``, ``relation``,
``likelihood(...)``, ``nll(...)``, ``derived(...)`` and the keyword ``strict``. (Write ``from likelihoods.nn import functional``;
``import likelihoods.nn.functional`` finds no file.)
"""

from __future__ import annotations

from typing import Any

from torch import nn as _torch_nn

from likelihoods.nn.numbers import GaussianNLLLoss, HuberLoss, L1Loss, MSELoss, PoissonNLLLoss, SmoothL1Loss

__all__ = [
    "GaussianNLLLoss",
    "HuberLoss",
    "L1Loss",
    "MSELoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
]


def __getattr__(name: str) -> Any:
    try:
        return getattr(_torch_nn, name)
    except AttributeError:
        raise AttributeError(f"module 'likelihoods.nn' has no attribute {name!r}, and neither has torch.nn") from None


def __dir__() -> list[str]:
    return sorted({*dir(_torch_nn), *__all__})
