"""Losses of a class whose log-probabilities are made of raw output by another layer than the identity."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from likelihoods.catalog.category import Weights, cross_entropy_relation
from likelihoods.distributions import Categorical
from likelihoods.likelihood import Family, Likelihood
from likelihoods.links import IDENTITY, Link
from likelihoods.registry import register
from likelihoods.sources import predicted


def _divided(raw: Tensor, by: float) -> Tensor:
    return raw / by


def _multiplied(logits: Tensor, by: float) -> Tensor:
    return logits * by


def tempered(temperature: float) -> Link:
    """Return the link of logits whose raw value is divided by a temperature."""
    if not temperature > 0:
        raise ValueError(f"temperature={temperature}; it must be positive, as it divides the logits: 1 for none.")
    if temperature == 1:
        return IDENTITY
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
        raise ValueError(
            f"{name}={tuple(given)}; frequencies are positive, one for each class (their sum does not matter)."
        )
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
def balanced_cross_entropy(sampled: Sequence[float] = (1.0, 1.0), true: Sequence[float] = (1.0, 1.0)) -> Likelihood:
    """The target is a class in a sample of chosen class frequencies, and the predictions are the population's log-probabilities.

    Use it where classes were drawn to be balanced (`sampled`), but probabilities are wanted for data as they come (`true`, the
    frequencies in the population). The likelihood is that of the sample; softmax(raw) is the class's law in the population, so
    nothing has to be corrected afterwards. A network that was trained with cross_entropy on such a sample is corrected by
    raw - log sampled + log true.
    """
    share, aim = _frequencies("sampled", sampled), _frequencies("true", true)
    if len(share) != len(aim):
        raise ValueError(
            f"sampled has {len(share)} classes and true {len(aim)}; give one frequency for each class to both."
        )
    by = tuple((share.log() - aim.log()).tolist())
    link = Link(
        "identity, moved by log sampled - log true", partial(_shifted, by=by, sign=1), partial(_shifted, by=by, sign=-1)
    )
    return Family(Categorical, logits=predicted(link, size=len(by)))


def _linear(raw: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.linear(raw, weight.to(raw.dtype), None if bias is None else bias.to(raw.dtype))


def _linear_inverse(logits: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    moved = logits if bias is None else logits - bias.to(logits.dtype)
    raw: Tensor = moved @ torch.linalg.pinv(weight.to(logits.dtype)).mT
    return raw


@register(
    elicits="class probabilities of a linear layer",
    reference="Good (1952), doi:10.1111/j.2517-6161.1952.tb00104.x",
    relation=lambda weight, bias, class_weight, label_smoothing, ignore_index: cross_entropy_relation(
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
    matrix = weight if isinstance(weight, Tensor) else torch.tensor(weight, dtype=torch.float64)
    shift = bias if bias is None or isinstance(bias, Tensor) else torch.tensor(bias, dtype=torch.float64)
    link = Link(
        "linear", partial(_linear, weight=matrix, bias=shift), partial(_linear_inverse, weight=matrix, bias=shift)
    )
    return Family(Categorical, logits=predicted(link, size=matrix.shape[-1]))


def _leaves(raw: Tensor, cutoffs: tuple[int, ...]) -> Tensor:
    """Return the log-probabilities of all classes: of the shortlist, then of each cluster times those within it."""
    clusters = len(cutoffs) - 1
    sizes = [cutoffs[0] + clusters, *(high - low for low, high in pairwise(cutoffs))]
    head, *tails = (part.log_softmax(-1) for part in raw.split(sizes, -1))
    short, cluster = head.split([cutoffs[0], clusters], -1)
    return torch.cat([short, *(cluster[..., i : i + 1] + tail for i, tail in enumerate(tails))], -1)


def _branches(logits: Tensor, cutoffs: tuple[int, ...]) -> Tensor:
    """Return raw output that gives these log-probabilities."""
    sizes = [cutoffs[0], *(high - low for low, high in pairwise(cutoffs))]
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
    if len(ends) < 2 or ends[0] < 1 or any(high <= low for low, high in pairwise(ends)):
        raise ValueError(
            f"cutoffs={tuple(cutoffs)}; give the ends of the shortlist and of each cluster, increasing, the last one being the "
            f"number of classes: (2000, 10000, 50000)."
        )
    link = Link("tree of softmaxes", partial(_leaves, cutoffs=ends), partial(_branches, cutoffs=ends))
    return Family(Categorical, logits=predicted(link, size=ends[-1] + len(ends) - 1))
