"""Losses of a set of labels: a vector of 0 and 1, one element for each label or pixel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from likelihoods.distributions import Bernoulli
from likelihoods.energy import Energy
from likelihoods.likelihood import Family, Likelihood
from likelihoods.registry import register
from likelihoods.relations import Affine, Gibbs, NoLikelihood
from likelihoods.sources import predicted
from likelihoods.targets import Independent, Weighted

MOST = 16  # labels of which all sets are listed


def _per_label(target: Tensor) -> float:
    """1/C for C labels."""
    return 1 / max(target.shape[-1], 1)


@register(
    elicits="marginal probabilities",
    reference="Cox (1958), doi:10.1111/j.2517-6161.1958.tb00292.x",
    relation=lambda weight: Affine(_per_label),
    aliases=("MultiLabelSoftMarginLoss", "multilabel_bce", "binary_relevance"),
    formula="-Σ_c w_c (y_c log σ(f_c) + (1 - y_c) log σ(-f_c)) / C",
    outcome="the set of labels, as a vector of 0 and 1",
    compare=False,  # a target is a vector
)
def multi_label_soft_margin(weight: Sequence[float] | Tensor | None = None) -> Likelihood:
    """The target is a set of labels, and given the predictions, the log-odds of each, they are independent.

    Use it where an item has several labels at once. It is bce_with_logits of every label, averaged over the labels; that average
    makes a likelihood C times weaker, which matters as soon as a prior or a KL term is added: `.nll` is the sum. Labels that
    exclude each other are one class: cross_entropy. `weight`, one for each label, counts some labels more than others and changes
    no probability; the likelihood is then a power likelihood, which scores and cannot be sampled.
    """
    label = Family(Bernoulli, logits=predicted())
    if weight is None:
        return Independent(label, 1)
    weights = weight if isinstance(weight, Tensor) else torch.tensor(weight, dtype=torch.float64)
    return Independent(Weighted(label, weights), 1)


def multi_label_margin_energy(raw: Tensor, label: Tensor) -> Tensor:
    """Return Σ_{j in y, i not in y} (1 - f[j] + f[i])₊ / C for sets y as vectors of 0 and 1."""
    excess = (1 - raw.unsqueeze(-1) + raw.unsqueeze(-2)).relu()
    pairs = label.unsqueeze(-1) * (1 - label).unsqueeze(-2)
    return (excess * pairs).sum((-2, -1)) / max(raw.shape[-1], 1)


def label_sets(size: int) -> Tensor:
    """Return every set of ``size`` labels, ``(2**size, size)``.

    Raises:
        ValueError: they are too many to be listed.
    """
    if size > MOST:
        raise ValueError(
            f"The law over the sets of {size} labels has 2**{size} outcomes, more than can be listed: give at most {MOST}, "
            f"or use multi_label_soft_margin, whose labels are independent. (The loss itself has no such limit.)"
        )
    return (torch.arange(2**size).unsqueeze(-1) >> torch.arange(size)) & 1


@register(
    elicits="no named feature",
    reference="Gao and Zhou (2011), https://proceedings.mlr.press/v19/gao11a.html",
    relation=Gibbs(),
    aliases=("MultiLabelMarginLoss", "multilabel_hinge", "multilabel_ranking"),
    formula="Σ_{j in y, i not in y} max(0, 1 - f[j] + f[i]) / C",
    outcome="the set of labels, as a vector of 0 and 1 (torch has a list of indices that -1 ends)",
    compare=False,
)
def multi_label_margin() -> Likelihood:
    """The target is a set of labels, and each of them must have a larger score than each label outside, by a margin of 1.

    Use it for an order of the labels alone. The empty and the full set cost nothing, whatever is predicted, and no such loss is
    consistent for the order (Gao and Zhou). The likelihood here is normalised over all 2^C sets; multi_label_soft_margin is one
    as it stands.
    """
    return Energy(multi_label_margin_energy, width=None, labels=label_sets, rank=1)


def dice_loss(raw: Tensor, target: Tensor, smooth: float, squared: bool, dims: int) -> Tensor:
    """Return 1 - (2 Σ p y + smooth) / (Σ p + Σ y + smooth), p = σ(f), over whole masks; with squares in the divisor or not."""
    axes = tuple(range(-dims, 0))
    mask = raw.squeeze(-1).sigmoid()
    both = (mask * target).sum(axes)
    sizes = ((mask**2 + target**2) if squared else (mask + target)).sum(axes)
    return 1 - (2 * both + smooth) / (sizes + smooth)


def _dice_relation(smooth: float, squared: bool, dims: int) -> NoLikelihood:
    if not smooth >= 0:
        raise ValueError(f"smooth={smooth}; it is added above and below the line: give 0, or a small positive number.")
    return NoLikelihood(
        partial(dice_loss, smooth=smooth, squared=squared, dims=dims),
        "it lies between 0 and 1 for a whole mask, so that a law of masks made of it could tell them apart by one nat at most, "
        "and its minimum is not at the pixels' probabilities.",
        "bce_with_logits",
    )


@register(
    elicits="mask of the best expected Dice",
    reference="Milletari, Navab and Ahmadi (2016), arXiv:1606.04797; Bertels et al. (2019), arXiv:1911.02278",
    relation=_dice_relation,
    examples=({}, {"smooth": 0.1}, {"squared": True}, {"dims": 2}),
    aliases=("DiceLoss", "soft_dice", "sorensen_dice"),
    formula="1 - (2 Σ p y + smooth) / (Σ p + Σ y + smooth), p = σ(f), sums over one mask",
    outcome="the mask, a 0 or 1 for each pixel",
    compare=False,
)
def dice(smooth: float = 1.0, squared: bool = False, dims: int = 1) -> Likelihood:
    """The target is a whole mask, and only its overlap with the predicted one counts.

    It is a measure of decisions and no likelihood. Use it beside bce_with_logits where the object is small, or better: train with
    that, and choose the threshold by Dice. raw holds logits, one for each pixel; `dims` says how many axes a mask has. With
    `squared` the divisor has squares, as Milletari has it.
    """
    return Independent(Family(Bernoulli, logits=predicted()), dims)
