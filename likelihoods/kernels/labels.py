"""Kernels of the losses of a label."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F


def _bce_with_logits(raw: Tensor, target: Tensor, reduction: str, *, pos_weight: float | None) -> Tensor:
    weight = None if pos_weight is None else raw.new_tensor(pos_weight)
    return F.binary_cross_entropy_with_logits(raw, target, pos_weight=weight, reduction=reduction)


def _bce(raw: Tensor, target: Tensor, reduction: str) -> Tensor:
    return F.binary_cross_entropy(raw, target, reduction=reduction)


def _cross_entropy(raw: Tensor, target: Tensor, reduction: str, *, classes: int | None) -> Tensor:
    rows = raw.reshape(-1, raw.shape[-1])
    value = F.cross_entropy(rows, target.reshape(-1).long(), reduction=reduction)
    return value.reshape(target.shape) if reduction == "none" else value


LABELS: dict[str, Callable[..., Tensor]] = {
    "bce_with_logits": _bce_with_logits,
    "bce": _bce,
    "cross_entropy": _cross_entropy,
}
