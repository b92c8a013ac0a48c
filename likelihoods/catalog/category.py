"""Losses of a class: one of several, without an order, for which a score of each is predicted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from likelihoods.distributions import Categorical
from likelihoods.distributions.index import pick
from likelihoods.energy import Energy
from likelihoods.likelihood import Family, Likelihood
from likelihoods.registry import register
from likelihoods.relations import Exact, Expected, Gibbs, Missing, Relation, Weighted, stated
from likelihoods.sources import predicted

Weights = Sequence[float] | Tensor | None


def class_weights(weight: Weights, like: Tensor) -> Tensor:
    """Return class weights as ``(K,)`` on a tensor's device; numbers in float64, so that none loses digits."""
    dtype = None if isinstance(weight, Tensor) else torch.float64
    return torch.as_tensor(weight, dtype=dtype, device=like.device)


def class_weight(target: Tensor, weight: Weights) -> Tensor:
    """Return the weight of each target's class."""
    table = class_weights(weight, target)
    return table[target.long().clamp(0, len(table) - 1)]


def outcome_weights(nll: Tensor, weight: Weights) -> Tensor:
    """Return the weight of each class in the NLL's dtype, ``(K,)``."""
    return class_weights(weight, nll).to(nll.dtype)


def smoothed(target: Tensor, outcomes: int, true: float, other: float, padding: int | None = None) -> Tensor:
    """Return the law ``(..., K)`` of a label that is the target with one mass, and each other class with another."""
    classes = torch.arange(outcomes, device=target.device)
    label = target.unsqueeze(-1)
    law = torch.where(label == classes, true, torch.tensor(other, dtype=torch.float64, device=target.device))
    if padding is not None:
        law = law.masked_fill(classes == padding, 0.0)
    return torch.where((label >= 0) & (label < outcomes), law, torch.inf)  # an impossible target costs infinitely much


def smoothed_evenly(target: Tensor, outcomes: int, smoothing: float) -> Tensor:
    """Return (1 - smoothing) onehot(y) + smoothing / K, ``(..., K)``."""
    spread = smoothing / outcomes
    return smoothed(target, outcomes, 1 - smoothing + spread, spread)


def known_only(relation: Relation, ignore_index: int | None) -> Relation:
    """Return the relation in which a target of ``ignore_index`` is missing; None switches it off."""
    return relation if ignore_index is None else Missing(relation, ignore_index)


def check_share(name: str, value: float) -> float:
    """Return a share of probability, or raise ValueError where it is none."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name}={value}; it is the probability taken from the true class: give a number from 0 to 1.")
    return value


def cross_entropy_relation(
    classes: int | None, weight: Weights, label_smoothing: float, ignore_index: int | None
) -> Relation:
    """Return the relation of cross_entropy with these options."""
    check_share("label_smoothing", label_smoothing)
    if weight is None:
        share = tilt = None
    else:
        share = stated("w_y", class_weight, weight=weight)
        tilt = stated("the class weights", outcome_weights, weight=weight)
    relation: Relation
    if label_smoothing > 0:
        words = f"{1 - label_smoothing:g} onehot(y) + {label_smoothing:g} / K"
        relation = Expected(stated(words, smoothed_evenly, smoothing=label_smoothing), weight=tilt, share=share)
    elif share is not None:
        relation = Weighted(share, "π_k w_k, made to sum to 1", share=share)
    else:
        relation = Exact
    return known_only(relation, ignore_index)


@register(
    elicits="class probabilities",
    reference="Good (1952), doi:10.1111/j.2517-6161.1952.tb00104.x; Gneiting and Raftery (2007), doi:10.1198/016214506000001437; "
    "Manski and Lerman (1977), doi:10.2307/1914121",
    relation=cross_entropy_relation,
    examples=(
        {"classes": 2},
        {"classes": 5},
        {"weight": (0.5, 1.0, 2.0, 0.25)},
        {"label_smoothing": 0.1},
        {"weight": (0.5, 1.0, 2.0, 0.25), "label_smoothing": 0.2},
        {"ignore_index": -100},
        {"weight": (0.5, 1.0, 2.0, 0.25), "label_smoothing": 0.2, "ignore_index": -1},
    ),
    aliases=(
        "CrossEntropyLoss",
        "weighted_cross_entropy",
        "ce",
        "softmax_cross_entropy",
        "categorical",
        "sparse_categorical_crossentropy",
        "multinomial_logistic",
        "softmax",
        "multi:softprob",
        "multiclass",
    ),
    formula="-log softmax(f)[y], times w_y; with label_smoothing the mean over a smoothed label",
)
def cross_entropy(
    classes: int | None = None, weight: Weights = None, label_smoothing: float = 0.0, ignore_index: int | None = None
) -> Likelihood:
    """The target is one of several classes, and the predictions are their log-probabilities up to a common constant.

    Use it for classes without an order. The classes belong to the last axis of raw; `classes` fixes their number, and
    otherwise raw's last axis says it. With `weight`, one for each class, probabilities come out in proportion to π_k w_k:
    `.relation.untilt` divides by the weights again. With `label_smoothing` they come out as (1 - e) π + e / K, which no
    mislabelled data explain: it is a prior, not a model of noise. A target of `ignore_index` is missing, and adds nothing to the
    loss or to the number by which its mean divides. Probability vectors as targets: soft_cross_entropy.
    """
    return Family(Categorical, logits=predicted("identity", size=classes))


def nll_energy(raw: Tensor, label: Tensor) -> Tensor:
    """Return -f[y]."""
    return -pick(raw, label)


def _nll_relation(classes: int | None, weight: Weights, ignore_index: int | None) -> Relation:
    share = None if weight is None else stated("w_y", class_weight, weight=weight)
    return known_only(Gibbs(weight=share, share=share), ignore_index)


@register(
    elicits="no named feature",
    reference="Good (1952), doi:10.1111/j.2517-6161.1952.tb00104.x",
    relation=_nll_relation,
    examples=({}, {"weight": (0.5, 1.0, 2.0, 0.25)}, {"ignore_index": -100, "classes": 3}),
    aliases=("NLLLoss", "NLLLoss2d", "negative_log_likelihood"),
    formula="-f[y], times w_y",
    compare=False,  # cross_entropy has the same law
)
def nll(classes: int | None = None, weight: Weights = None, ignore_index: int | None = None) -> Likelihood:
    """The target is one of several classes, and the predictions are their log-probabilities, already normalised.

    It is exact where raw comes out of a log_softmax, and unbounded below where it does not, since nothing looks at the sum of the
    probabilities. `.nll` normalises: it is cross_entropy on any raw. Use cross_entropy, which cannot be misused so.
    """
    return Energy(nll_energy, width=classes)
