"""Losses of a class: one of several, without an order, for which a score of each is predicted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from likelihoods.distributions import Categorical
from likelihoods.distributions.index import pick
from likelihoods.energy import Energy
from likelihoods.likelihood import Family, Likelihood
from likelihoods.links import Link
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


def _cross_entropy_relation(
    classes: int | None, weight: Weights, label_smoothing: float, ignore_index: int | None
) -> Relation:
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
    relation=_cross_entropy_relation,
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
    return -pick(raw, label.long().clamp(0, raw.shape[-1] - 1))


def _nll_relation(weight: Weights, ignore_index: int | None) -> Relation:
    share = None if weight is None else stated("w_y", class_weight, weight=weight)
    return known_only(Gibbs(share, share), ignore_index)


@register(
    elicits="nothing",
    reference="Good (1952), doi:10.1111/j.2517-6161.1952.tb00104.x",
    relation=_nll_relation,
    examples=({}, {"weight": (0.5, 1.0, 2.0, 0.25)}, {"ignore_index": -100}),
    aliases=("NLLLoss", "NLLLoss2d", "negative_log_likelihood"),
    formula="-f[y], times w_y",
    compare=False,  # cross_entropy has the same law
)
def nll(weight: Weights = None, ignore_index: int | None = None) -> Likelihood:
    """The target is one of several classes, and the predictions are their log-probabilities, already normalised.

    It is exact where raw comes out of a log_softmax, and unbounded below where it does not, since nothing looks at the sum of the
    probabilities. `.nll` normalises: it is cross_entropy on any raw. Use cross_entropy, which cannot be misused so.
    """
    return Energy(nll_energy, width=None)


def _divided(raw: Tensor, by: float) -> Tensor:
    return raw / by


def _multiplied(logits: Tensor, by: float) -> Tensor:
    return logits * by


def tempered(temperature: float) -> Link:
    """Return the link of logits whose raw value is divided by a temperature."""
    if not temperature > 0:
        raise ValueError(f"temperature={temperature}; it divides the logits: give a positive number, 1 for none.")
    if temperature == 1:
        return Link("identity", partial(_divided, by=1.0), partial(_multiplied, by=1.0))
    return Link(
        f"identity, divided by {temperature:g}", partial(_divided, by=temperature), partial(_multiplied, by=temperature)
    )


@register(
    elicits="class probabilities",
    reference="Guo, Pleiss, Sun and Weinberger (2017), arXiv:1706.04599",
    examples=({"temperature": 2.0}, {"temperature": 0.5, "classes": 3}, {}),
    aliases=("temperature_scaling", "tempered_softmax", "softmax_with_temperature"),
    formula="-log softmax(f / temperature)[y]",
    compare=False,  # cross_entropy has the same law
)
def temperature(temperature: float = 1.0, classes: int | None = None) -> Likelihood:
    """The target is one of several classes, and the predictions are temperature times their log-probabilities, up to a constant.

    Use it to calibrate a network that is trained already: of all temperatures take the one with the smallest loss on data that
    it has not seen. While the network itself is trained a temperature says nothing, since it can scale its logits.
    """
    return Family(Categorical, logits=predicted(tempered(temperature), size=classes))


def _shifted(raw: Tensor, by: tuple[float, ...], sign: float) -> Tensor:
    return raw + sign * torch.tensor(by, dtype=raw.dtype, device=raw.device)


def _frequencies(name: str, given: Sequence[float]) -> Tensor:
    frequencies = torch.tensor([float(f) for f in given], dtype=torch.float64)
    if not bool((frequencies > 0).all()):
        raise ValueError(f"{name}={tuple(given)}; frequencies are positive, one for each class (their sum does not matter).")
    return frequencies / frequencies.sum()


@register(
    elicits="class probabilities",
    reference="King and Zeng (2001), doi:10.1093/oxfordjournals.pan.a004868; Menon et al. (2021), arXiv:2007.07314",
    examples=({"sampled": (1.0, 1.0, 1.0), "true": (0.7, 0.2, 0.1)}, {"sampled": (3, 1), "true": (1, 9)}, {}),
    aliases=("balanced_softmax", "logit_adjusted", "logit_adjustment", "prior_shift"),
    formula="-log softmax(f + log sampled - log true)[y]",
    outcome="the class in the sample, which was drawn with other class frequencies than the population's",
    compare=False,
)
def balanced_cross_entropy(
    sampled: Sequence[float] = (1.0, 1.0), true: Sequence[float] = (1.0, 1.0)
) -> Likelihood:
    """The target is a class in a sample with chosen class frequencies, and the predictions are the population's log-probabilities.

    Use it where classes were drawn to be balanced (`sampled`), but probabilities are wanted for data as they come (`true`, the
    frequencies in the population). The likelihood is that of the sample; softmax(raw) is the class's law in the population, so
    nothing has to be corrected afterwards. A network that was trained with cross_entropy on such a sample is corrected by
    raw - log sampled + log true.
    """
    share, aim = _frequencies("sampled", sampled), _frequencies("true", true)
    if len(share) != len(aim):
        raise ValueError(f"sampled has {len(share)} classes and true {len(aim)}; give one frequency for each class to both.")
    by = tuple((share.log() - aim.log()).tolist())
    link = Link("identity, moved by log sampled - log true", partial(_shifted, by=by, sign=1), partial(_shifted, by=by, sign=-1))
    return Family(Categorical, logits=predicted(link, size=len(by)))


def _linear(raw: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.linear(raw, weight.to(raw.dtype), None if bias is None else bias.to(raw.dtype))


def _linear_inverse(logits: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    moved = logits if bias is None else logits - bias.to(logits.dtype)
    return moved @ torch.linalg.pinv(weight.to(logits.dtype)).mT


@register(
    elicits="class probabilities of a linear layer",
    reference="Good (1952), doi:10.1111/j.2517-6161.1952.tb00104.x",
    relation=lambda weight, bias, class_weight, label_smoothing, ignore_index: _cross_entropy_relation(
        None, class_weight, label_smoothing, ignore_index
    ),
    examples=(
        {},
        {"weight": ((1.0, 0.5, -0.5), (0.0, 1.0, 0.25), (0.5, 0.0, 1.0)), "bias": (0.1, -0.2, 0.3)},
        {"class_weight": (0.5, 2.0), "label_smoothing": 0.1, "ignore_index": -100},
    ),
    aliases=("LinearCrossEntropyLoss", "fused_linear_cross_entropy"),
    formula="-log softmax(W f + b)[y]",
    compare=False,  # cross_entropy has the same law
)
def linear_cross_entropy(
    weight: Sequence[Sequence[float]] | Tensor = ((1.0, 0.0), (0.0, 1.0)),
    bias: Sequence[float] | Tensor | None = None,
    class_weight: Weights = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
) -> Likelihood:
    """The target is one of several classes, and a linear layer of the predictions gives their log-probabilities.

    It is cross_entropy with the last layer inside, `weight` ``(K, D)`` and `bias` ``(K,)``: raw holds the D features. Where the
    layer is trained, let it be a torch.nn.Linear, and use cross_entropy of its output.
    """
    matrix = class_weights(weight, torch.empty(0)) if not isinstance(weight, Tensor) else weight
    shift = bias if bias is None or isinstance(bias, Tensor) else torch.tensor(bias, dtype=torch.float64)
    link = Link("linear", partial(_linear, weight=matrix, bias=shift), partial(_linear_inverse, weight=matrix, bias=shift))
    return Family(Categorical, logits=predicted(link, size=matrix.shape[-1]))


def _leaves(raw: Tensor, cutoffs: tuple[int, ...]) -> Tensor:
    """Return the log-probabilities of all classes: of the shortlist, then of each cluster times those within it."""
    clusters = len(cutoffs) - 1
    sizes = [cutoffs[0] + clusters, *(high - low for low, high in zip(cutoffs, cutoffs[1:], strict=False))]
    head, *tails = (part.log_softmax(-1) for part in raw.split(sizes, -1))
    short, cluster = head.split([cutoffs[0], clusters], -1)
    return torch.cat([short, *(cluster[..., i : i + 1] + tail for i, tail in enumerate(tails))], -1)


def _branches(logits: Tensor, cutoffs: tuple[int, ...]) -> Tensor:
    """Return raw output that gives these log-probabilities."""
    sizes = [cutoffs[0], *(high - low for low, high in zip(cutoffs, cutoffs[1:], strict=False))]
    short, *tails = logits.split(sizes, -1)
    return torch.cat([short, *(tail.logsumexp(-1, keepdim=True) for tail in tails), *tails], -1)


@register(
    elicits="class probabilities",
    reference="Grave, Joulin, Cissé, Grangier and Jégou (2017), arXiv:1609.04309",
    examples=({}, {"cutoffs": (1, 2, 4)}, {"cutoffs": (1, 3)}),
    aliases=("AdaptiveLogSoftmaxWithLoss", "adaptive_softmax"),
    formula="-log p(y), p(y) = head(y) on the shortlist, head(cluster of y) tail(y) beyond it",
    compare=False,  # cross_entropy has the same law
)
def adaptive_log_softmax(cutoffs: Sequence[int] = (2, 4)) -> Likelihood:
    """The target is one of many classes, frequent ones first: either on a shortlist, or in a cluster and then a class of it.

    Use it where most of thousands of classes are rare. `cutoffs` are the ends of the shortlist and of each cluster, the last one
    being the number of classes (torch has that apart). raw holds the scores of the shortlist and of the clusters, then those of
    each cluster's classes.
    """
    ends = tuple(int(end) for end in cutoffs)
    if len(ends) < 2 or ends[0] < 1 or any(high <= low for low, high in zip(ends, ends[1:], strict=False)):
        raise ValueError(
            f"cutoffs={tuple(cutoffs)}; give the ends of the shortlist and of each cluster, increasing, the last one the number of "
            f"classes: (2000, 10000, 50000)."
        )
    link = Link("tree of softmaxes", partial(_leaves, cutoffs=ends), partial(_branches, cutoffs=ends))
    return Family(Categorical, logits=predicted(link, size=ends[-1] + len(ends) - 1))
