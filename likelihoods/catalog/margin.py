"""Losses of a class that are no likelihoods: margins between scores, and cross-entropy that turns away from the easy."""

from __future__ import annotations

import torch
from torch import Tensor

from likelihoods.catalog.category import Weights, class_weight
from likelihoods.distributions.index import pick
from likelihoods.energy import Energy
from likelihoods.likelihood import Likelihood
from likelihoods.registry import register
from likelihoods.relations import Exact, Gibbs


def focal_energy(raw: Tensor, label: Tensor, gamma: float, alpha: Weights) -> Tensor:
    """Return -(1 - p)^gamma log p for the probability p = softmax(f)[y], times alpha_y."""
    label = label.long().clamp(0, raw.shape[-1] - 1)
    log_p = pick(raw.log_softmax(-1), label)
    others = torch.arange(raw.shape[-1], device=raw.device) != label.unsqueeze(-1)
    # the probability of all other classes by their own sum: 1 - p has lost its digits where p is nearly 1
    log_rest = torch.where(others, raw, -torch.inf).logsumexp(-1) - raw.logsumexp(-1)
    energy = -log_p if gamma == 0 else -torch.exp(gamma * log_rest) * log_p
    return energy if alpha is None else energy * class_weight(label, alpha).to(energy.dtype)


@register(
    elicits="focal probabilities",
    reference="Lin, Goyal, Girshick, He and Dollár (2017), arXiv:1708.02002; Charoenphakdee et al. (2021), arXiv:2011.09172; "
    "Mukhoti et al. (2020), arXiv:2002.09437",
    relation=lambda gamma, alpha, classes: Exact if gamma == 0 and alpha is None else Gibbs(),
    examples=({}, {"gamma": 0.5, "classes": 3}, {"alpha": (0.25, 1.0, 0.5, 1.5)}, {"gamma": 0.0}),
    aliases=("FocalLoss", "CategoricalFocalCrossentropy", "softmax_focal"),
    formula="-alpha_y (1 - p)^gamma log p, p = softmax(f)[y]",
    compare=False,
)
def focal(gamma: float = 2.0, alpha: Weights = None, classes: int | None = None) -> Likelihood:
    """The target is one of several classes, and what is predicted well already counts for little.

    Use it where a few hard examples matter among many easy ones. It is not proper: softmax(f) at its minimum is flatter than the
    class probabilities, though in the same order, and can be mapped back onto them: π_k is in proportion to h(p_k) / alpha_k,
    h(p) = p / ((1 - p)^gamma - gamma (1 - p)^(gamma - 1) p log p). The likelihood here is normalised over the classes.
    """
    if not gamma >= 0:
        raise ValueError(f"gamma={gamma}; it is how fast what is predicted well loses weight: give a number from 0 up.")
    return Energy(focal_energy, width=classes, gamma=gamma, alpha=alpha)


def multi_margin_energy(raw: Tensor, label: Tensor, p: int, margin: float, weight: Weights) -> Tensor:
    """Return w_y Σ_{i ≠ y} (margin - f[y] + f[i])₊^p / K."""
    label = label.long().clamp(0, raw.shape[-1] - 1)
    excess = (margin - pick(raw, label).unsqueeze(-1) + raw).relu()  # whose slope at 0 is 0, as torch's
    others = torch.arange(raw.shape[-1], device=raw.device) != label.unsqueeze(-1)
    energy = torch.where(others, excess if p == 1 else excess**2, 0.0).sum(-1) / raw.shape[-1]
    return energy if weight is None else energy * class_weight(label, weight).to(energy.dtype)


@register(
    elicits="no named feature",
    reference="Weston and Watkins (1999), Support vector machines for multi-class pattern recognition, ESANN; "
    "Tewari and Bartlett (2007), https://www.jmlr.org/papers/v8/tewari07a.html",
    relation=Gibbs(),
    examples=(
        {},
        {"p": 2},
        {"margin": 0.5, "weight": (0.5, 1.0, 2.0, 0.25)},
        {"p": 2, "weight": (0.5, 1.0, 2.0, 0.25)},
    ),
    aliases=("MultiMarginLoss", "multiclass_hinge", "CategoricalHinge", "weston_watkins"),
    formula="w_y Σ_{i ≠ y} max(0, margin - f[y] + f[i])^p / K",
    compare=False,
)
def multi_margin(p: int = 1, margin: float = 1.0, weight: Weights = None, classes: int | None = None) -> Likelihood:
    """The target is one of several classes, and its score must be larger than each other score by the margin.

    Use it for the decision alone, if at all: with p=1 it need not even rank the likeliest class first where no class has half of
    the probability. The likelihood here is normalised over the classes; cross_entropy is one as it stands.
    """
    if p not in (1, 2):
        raise ValueError(f"p={p}; the excess is taken as it is, p=1, or squared, p=2.")
    return Energy(multi_margin_energy, width=classes, p=p, margin=margin, weight=weight)
