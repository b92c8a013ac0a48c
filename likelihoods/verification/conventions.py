"""The losses as the field writes them: torch's own call, or the textbook's formula, where no kernel is that already.

A derivation may be wrong in its constant and still be some law's; its value must be the one that people know.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from likelihoods.likelihood import reduce


def _margin_ranking(raw: Tensor, target: Tensor, reduction: str, margin: float) -> Tensor:
    return F.margin_ranking_loss(raw[..., 0], raw[..., 1], target, margin=margin, reduction=reduction)


def _hinge_embedding(raw: Tensor, target: Tensor, reduction: str, margin: float) -> Tensor:
    return F.hinge_embedding_loss(raw.squeeze(-1), target, margin=margin, reduction=reduction)


def _kl_div(raw: Tensor, target: Tensor, reduction: str, log_target: bool, classes: int | None) -> Tensor:
    terms = F.kl_div(raw.log_softmax(-1), target, log_target=log_target, reduction="none")
    return reduce(terms.sum(-1), reduction)


def _ctc(raw: Tensor, target: Tensor, reduction: str, blank: int, per_label: bool) -> Tensor:
    lengths = (target >= 0).sum(-1)
    frames = torch.full_like(lengths, raw.shape[-2])
    labels = target.clamp_min(0).long()
    each = F.ctc_loss(raw.log_softmax(-1).movedim(-2, 0), labels, frames, lengths, blank=blank, reduction="none")
    return reduce(each / lengths.clamp_min(1) if per_label else each, reduction)


def _adjusted(raw: Tensor, target: Tensor, reduction: str, temperature: float, **options: Any) -> Tensor:
    return F.cross_entropy(raw / temperature, target, reduction=reduction)


def _label_smoothing(
    raw: Tensor, target: Tensor, reduction: str, smoothing: float, over: str, padding: int | None, classes: int | None
) -> Tensor:
    shared = raw.shape[-1] - (padding is not None) - (over == "others")
    if padding is None:  # torch has the first form alone; of the second it is a rescaled one
        share = smoothing if over == "all" else smoothing * raw.shape[-1] / shared
        return F.cross_entropy(raw, target, label_smoothing=share, reduction=reduction)
    log_p, known = raw.log_softmax(-1), target != padding
    truth = log_p.gather(-1, target[..., None]).squeeze(-1)
    rest = log_p.sum(-1) - log_p[..., padding] - (truth if over == "others" else 0.0)
    value = torch.where(known, -(1 - smoothing) * truth - smoothing / shared * rest, 0.0)
    return value.sum() / known.sum() if reduction == "mean" else reduce(value, reduction)


TORCH: dict[str, Callable[..., Tensor]] = {
    "margin_ranking": _margin_ranking,
    "hinge_embedding": _hinge_embedding,
    "kl_div": _kl_div,
    "ctc": _ctc,
    "label_smoothing": _label_smoothing,
    "info_nce": _adjusted,
    "nt_xent": _adjusted,
}


def _hinge(raw: Tensor, target: Tensor, margin: float) -> Tensor:
    return (margin - target * raw.squeeze(-1)).relu()


def _squared_hinge(raw: Tensor, target: Tensor, margin: float) -> Tensor:
    return (margin - target * raw.squeeze(-1)).relu() ** 2


def _exponential_margin(raw: Tensor, target: Tensor) -> Tensor:
    return torch.exp(-target * raw.squeeze(-1))


def _binary_focal(raw: Tensor, target: Tensor, gamma: float, alpha: float | None) -> Tensor:
    score = torch.where(target == 1, raw.squeeze(-1), -raw.squeeze(-1))
    share = 1.0 if alpha is None else torch.where(target == 1, alpha, 1 - alpha)
    return share * score.neg().sigmoid() ** gamma * F.softplus(-score)


def _focal(raw: Tensor, target: Tensor, gamma: float, alpha: Any, classes: int | None) -> Tensor:
    log_p = raw.log_softmax(-1).gather(-1, target[..., None]).squeeze(-1)
    share = 1.0 if alpha is None else raw.new_tensor(alpha)[target] if isinstance(alpha, tuple) else alpha
    return -share * (-log_p.expm1()) ** gamma * log_p


def _cosine_embedding(raw: Tensor, target: Tensor, margin: float) -> Tensor:
    cosine = raw.squeeze(-1)
    return torch.where(target == 1, 1 - cosine, (cosine - margin).relu())


def _contrastive(raw: Tensor, target: Tensor, margin: float) -> Tensor:
    distance = raw.squeeze(-1)
    return 0.5 * torch.where(target == 1, distance**2, (margin - distance).relu() ** 2)


def _triplet_margin(raw: Tensor, target: Tensor, margin: float) -> Tensor:
    return (margin + target * (raw[..., 0] - raw[..., 1])).relu()


def _soft_triplet(raw: Tensor, target: Tensor, kernel: str, df: float) -> Tensor:
    log_kernel = -raw
    if kernel == "gaussian":
        log_kernel = -(raw**2)
    if kernel == "student_t":
        log_kernel = -(df + 1) / 2 * torch.log1p(raw**2 / df)
    return log_kernel.logsumexp(-1) - log_kernel.gather(-1, target[..., None]).squeeze(-1)


def _bradley_terry(raw: Tensor, target: Tensor, soft: bool) -> Tensor:
    wins = target if soft else F.one_hot(target, 2).to(raw.dtype)
    return (wins * F.softplus(raw.flip(-1) - raw)).sum(-1)


def _list_mle(raw: Tensor, target: Tensor) -> Tensor:
    ranked = raw.gather(-1, target.long())
    return (ranked.flip(-1).logcumsumexp(-1).flip(-1) - ranked).sum(-1)


def _list_net(raw: Tensor, target: Tensor) -> Tensor:
    return -(target.softmax(-1) * raw.log_softmax(-1)).sum(-1)


def _coral(raw: Tensor, target: Tensor) -> Tensor:
    score = raw.squeeze(-1)
    return -(target * F.logsigmoid(score) + (1 - target) * F.logsigmoid(-score)).sum(-1)


def _dice(raw: Tensor, target: Tensor, smooth: float, squared: bool, dims: int) -> Tensor:
    p = raw.squeeze(-1).sigmoid()
    p, y = p.flatten(-dims), target.flatten(-dims)
    whole = (p**2).sum(-1) + (y**2).sum(-1) if squared else p.sum(-1) + y.sum(-1)
    return 1 - (2 * (p * y).sum(-1) + smooth) / (whole + smooth)


def _multi_label_margin(raw: Tensor, target: Tensor) -> Tensor:
    gap = (1 - raw[..., :, None] + raw[..., None, :]).relu()
    return (gap * target[..., :, None] * (1 - target[..., None, :])).sum((-1, -2)) / raw.shape[-1]


def _von_mises(raw: Tensor, target: Tensor, concentration: float) -> Tensor:
    return concentration * (1 - torch.cos(target - raw.squeeze(-1)))


def _cosine(raw: Tensor, target: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(raw, target, dim=-1)


def _geman_mcclure(raw: Tensor, target: Tensor, scale: float) -> Tensor:
    z = (target - raw.squeeze(-1)) / scale
    return 2 * z**2 / (z**2 + 4)


def _welsch(raw: Tensor, target: Tensor, scale: float) -> Tensor:
    return 1 - torch.exp(-0.5 * ((target - raw.squeeze(-1)) / scale) ** 2)


def _distillation(raw: Tensor, target: Tensor, temperature: float, classes: int | None) -> Tensor:
    teacher = (target / temperature).log_softmax(-1)
    return temperature**2 * F.kl_div(
        (raw / temperature).log_softmax(-1), teacher, log_target=True, reduction="none"
    ).sum(-1)


def _evidential(raw: Tensor, target: Tensor, coefficient: float) -> Tensor:
    # the marginal of the normal-inverse-gamma law, as Amini and others print it
    mean, precision, shape, rate = (
        raw[..., 0],
        F.softplus(raw[..., 1]),
        1 + F.softplus(raw[..., 2]),
        F.softplus(raw[..., 3]),
    )
    width = 2 * rate * (1 + precision)
    value = 0.5 * (math.pi / precision).log() - shape * width.log()
    value = value + (shape + 0.5) * ((target - mean) ** 2 * precision + width).log()
    value = value + shape.lgamma() - (shape + 0.5).lgamma()
    return value + coefficient * (target - mean).abs() * (2 * precision + shape)


def _reduced(formula: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the formula of one target, with a reduction."""

    def reduced(raw: Tensor, target: Tensor, reduction: str, **options: Any) -> Tensor:
        return reduce(formula(raw, target, **options), reduction)

    return reduced


TEXTBOOK: dict[str, Callable[..., Tensor]] = {
    "hinge": _reduced(_hinge),
    "squared_hinge": _reduced(_squared_hinge),
    "exponential_margin": _reduced(_exponential_margin),
    "binary_focal": _reduced(_binary_focal),
    "focal": _reduced(_focal),
    "cosine_embedding": _reduced(_cosine_embedding),
    "contrastive": _reduced(_contrastive),
    "triplet_margin": _reduced(_triplet_margin),
    "soft_triplet": _reduced(_soft_triplet),
    "bradley_terry": _reduced(_bradley_terry),
    "list_mle": _reduced(_list_mle),
    "list_net": _reduced(_list_net),
    "coral": _reduced(_coral),
    "dice": _reduced(_dice),
    "multi_label_margin": _reduced(_multi_label_margin),
    "von_mises": _reduced(_von_mises),
    "cosine": _reduced(_cosine),
    "geman_mcclure": _reduced(_geman_mcclure),
    "welsch": _reduced(_welsch),
    "distillation": _reduced(_distillation),
    "evidential": _reduced(_evidential),
}

CONVENTIONS = TORCH | TEXTBOOK
