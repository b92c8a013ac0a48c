"""Kernels of the losses of a label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from likelihoods.likelihood import reduce

NEVER = -(2**62)  # torch's ignore_index where no label is missing: its default, -100, would hide a wrong target


def _weight(weight: Any, raw: Tensor) -> Tensor | None:
    return None if weight is None else torch.as_tensor(weight, dtype=raw.dtype, device=raw.device)


def _bce_with_logits(
    raw: Tensor, target: Tensor, reduction: str, *, weight: Any, pos_weight: Any, soft: bool
) -> Tensor:
    each, positive = _weight(weight, raw), _weight(pos_weight, raw)
    return F.binary_cross_entropy_with_logits(raw, target, weight=each, pos_weight=positive, reduction=reduction)


def _bce(raw: Tensor, target: Tensor, reduction: str, *, weight: Any, soft: bool) -> Tensor:
    return F.binary_cross_entropy(raw, target, weight=_weight(weight, raw), reduction=reduction)


def _soft_margin(raw: Tensor, target: Tensor, reduction: str) -> Tensor:
    return reduce(-F.logsigmoid(target * raw), reduction)


def _rows(raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    return raw.reshape(-1, raw.shape[-1]), target.reshape(-1).long()


def _known_mean(value: Tensor, target: Tensor, reduction: str, ignore_index: int | None) -> Tensor:
    """Return the value; where every label is missing its mean is 0, not torch's 0/0."""
    if reduction != "mean" or ignore_index is None:
        return value
    return torch.where((target != ignore_index).any(), value, 0.0)


def _cross_entropy(
    raw: Tensor,
    target: Tensor,
    reduction: str,
    *,
    classes: int | None = None,
    weight: Any,
    label_smoothing: float,
    ignore_index: int | None,
) -> Tensor:
    rows, labels = _rows(raw, target)
    value = F.cross_entropy(
        rows,
        labels,
        weight=_weight(weight, raw),
        reduction=reduction,
        label_smoothing=label_smoothing,
        ignore_index=NEVER if ignore_index is None else ignore_index,
    )
    if reduction == "none":
        return value.reshape(target.shape)
    return _known_mean(value, target, reduction, ignore_index)


def _nll(
    raw: Tensor, target: Tensor, reduction: str, *, classes: int | None, weight: Any, ignore_index: int | None
) -> Tensor:
    rows, labels = _rows(raw, target)
    ignored = NEVER if ignore_index is None else ignore_index
    value = F.nll_loss(rows, labels, weight=_weight(weight, raw), reduction=reduction, ignore_index=ignored)
    if reduction == "none":
        return value.reshape(target.shape)
    return _known_mean(value, target, reduction, ignore_index)


def _soft_cross_entropy(
    raw: Tensor, target: Tensor, reduction: str, *, classes: int | None, weight: Any, label_smoothing: float
) -> Tensor:
    rows, laws = raw.reshape(-1, raw.shape[-1]), target.reshape(-1, target.shape[-1])
    tilt = _weight(weight, raw)
    value = F.cross_entropy(rows, laws, weight=tilt, reduction=reduction, label_smoothing=label_smoothing)
    return value.reshape(target.shape[:-1]) if reduction == "none" else value


def _label_smoothing(
    raw: Tensor,
    target: Tensor,
    reduction: str,
    *,
    smoothing: float,
    over: str,
    padding: int | None,
    classes: int | None,
) -> Tensor:
    log_p, size = raw.log_softmax(-1), raw.shape[-1]
    proper = size if padding is None else size - 1
    other = smoothing / (proper if over == "all" else proper - 1) if smoothing else 0.0
    label = target.clamp(0, size - 1).unsqueeze(-1)
    value = -(1 - smoothing - (0.0 if over == "all" else other)) * log_p.gather(-1, label).squeeze(-1)
    if other:  # spread over all, or over all and taken from the true class again
        parts = (log_p,) if padding is None else (log_p[..., :padding], log_p[..., padding + 1 :])
        value = value - other * torch.stack([part.sum(-1) for part in parts]).sum(0)
    value = torch.where((target >= 0) & (target < size), value, torch.inf)
    if padding is None:
        return reduce(value, reduction)
    known = target != padding
    value = torch.where(known, value, 0.0)
    if reduction != "mean":
        return reduce(value, reduction)
    return value.sum() / known.sum().clamp_min(1)


def _multi_margin(
    raw: Tensor, target: Tensor, reduction: str, *, p: int, margin: float, weight: Any, classes: int | None
) -> Tensor:
    rows, labels = _rows(raw, target)
    tilt = _weight(weight, raw)
    value = F.multi_margin_loss(rows, labels, p=p, margin=margin, weight=tilt, reduction=reduction)
    return value.reshape(target.shape) if reduction == "none" else value


def _multi_label_soft_margin(raw: Tensor, target: Tensor, reduction: str, *, weight: Any) -> Tensor:
    return F.multilabel_soft_margin_loss(raw, target, weight=_weight(weight, raw), reduction=reduction)


LABELS: dict[str, Callable[..., Tensor]] = {
    "bce_with_logits": _bce_with_logits,
    "bce": _bce,
    "soft_margin": _soft_margin,
    "cross_entropy": _cross_entropy,
    "nll": _nll,
    "soft_cross_entropy": _soft_cross_entropy,
    "label_smoothing": _label_smoothing,
    "multi_margin": _multi_margin,
    "multi_label_soft_margin": _multi_label_soft_margin,
}
