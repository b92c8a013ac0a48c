"""Losses of distances and similarities of embeddings; what is random is a label or an order, never an embedding."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from likelihoods.catalog.output import tempered
from likelihoods.distributions import Categorical
from likelihoods.energy import Energy
from likelihoods.functionals import Functional
from likelihoods.likelihood import Family, Likelihood
from likelihoods.links import Link
from likelihoods.registry import register
from likelihoods.relations import Exact, Gibbs, Partial, Relation
from likelihoods.sources import predicted

SIGNS = (-1.0, 1.0)
PAIR = "whether the two are alike, 1 or -1"


def _either(label: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    return torch.where(label == 1, positive, torch.where(label == -1, negative, torch.nan))


def hinge_embedding_energy(raw: Tensor, label: Tensor, margin: float) -> Tensor:
    """Return the distance f for the label 1, and (margin - f)₊ for the label -1."""
    distance = raw[..., 0]
    return _either(label, distance, (margin - distance).clamp_min(0))


@register(
    elicits="label",
    reference="Hadsell, Chopra and LeCun (2006), doi:10.1109/CVPR.2006.100",
    relation=Gibbs(),
    examples=({}, {"margin": 0.4}),
    aliases=("HingeEmbeddingLoss",),
    formula="f where y = 1, max(0, margin - f) where y = -1",
    outcome=PAIR,
    compare=False,
)
def hinge_embedding(margin: float = 1.0) -> Likelihood:
    """The label says whether two things are alike, 1 or -1, and the prediction is their distance.

    Use it to bring like things together and to keep others `margin` apart. The prediction must be a distance, at least 0: below 0
    the loss falls without end. It elicits the likelier label, never its probability; bce_with_logits of a threshold minus the
    distance does.
    """
    return Energy(hinge_embedding_energy, width=1, labels=SIGNS, margin=margin)


def cosine_embedding_energy(raw: Tensor, label: Tensor, margin: float) -> Tensor:
    """Return 1 - f for the label 1, and (f - margin)₊ for the label -1, f being a cosine."""
    cosine = raw[..., 0]
    return _either(label, 1 - cosine, (cosine - margin).clamp_min(0))


@register(
    elicits="label",
    reference="Hadsell, Chopra and LeCun (2006), doi:10.1109/CVPR.2006.100",
    relation=Gibbs(),
    examples=({}, {"margin": 0.3}, {"margin": -0.5}),
    aliases=("CosineEmbeddingLoss",),
    formula="1 - f where y = 1, max(0, f - margin) where y = -1; f = cos(x₁, x₂)",
    outcome=PAIR,
    compare=False,
)
def cosine_embedding(margin: float = 0.0) -> Likelihood:
    """The label says whether two vectors are alike, 1 or -1, and the prediction is the cosine of their angle.

    Use it to point like things the same way and others no nearer than `margin`. It elicits the likelier label, never its
    probability. Given the label it has another reading: for y = 1 the second vector follows the von Mises-Fisher law around
    the first (the loss is that of cosine), for y = -1 a law that is even over all directions with a cosine below `margin` and
    falls beyond, whose normaliser depends on the dimension alone. That reading needs the vectors to be data; where both are
    learned, the label is what is random.
    """
    return Energy(cosine_embedding_energy, width=1, labels=SIGNS, margin=margin)


def contrastive_energy(raw: Tensor, label: Tensor, margin: float) -> Tensor:
    """Return f²/2 for the label 1, and (margin - f)₊²/2 for the label -1, f being a distance."""
    distance = raw[..., 0]
    return 0.5 * _either(label, distance, (margin - distance).clamp_min(0)).square()


def _apart(values: Tensor, weights: Tensor, margin: float, **options: Any) -> Tensor:
    return margin * (weights * (values < 0)).sum()


def _distance(law: Any) -> Tensor:
    distance: Tensor = law.raw[..., 0]
    return distance


@register(
    elicits=Functional("margin times the probability of -1", _apart, _distance),
    reference="Hadsell, Chopra and LeCun (2006), doi:10.1109/CVPR.2006.100",
    relation=Gibbs(),
    examples=({}, {"margin": 2.5}),
    aliases=("ContrastiveLoss", "siamese"),
    formula="f²/2 where y = 1, max(0, margin - f)²/2 where y = -1",
    outcome=PAIR,
    compare=False,
)
def contrastive(margin: float = 1.0) -> Likelihood:
    """The label says whether two things are alike, 1 or -1, and the prediction is their distance, which counts squared.

    Use it to bring like things together and to keep others `margin` apart. At its minimum the distance is `margin` times the
    probability that the two are not alike, so it does tell how probable, while the label-normalised law at that distance does
    not. Many codes write 0 for 1 and 1 for -1, or leave out the half.
    """
    return Energy(contrastive_energy, width=1, labels=SIGNS, margin=margin)


def triplet_margin_energy(raw: Tensor, label: Tensor, margin: float) -> Tensor:
    """Return (margin + y (f₁ - f₂))₊ of labels y = ±1, f₁ and f₂ being distances."""
    first, second = raw.unbind(-1)
    return _either(label, margin + first - second, margin + second - first).clamp_min(0)


@register(
    elicits="label",
    reference="Schroff, Kalenichenko and Philbin (2015), doi:10.1109/CVPR.2015.7298682",
    relation=Gibbs(),
    examples=({}, {"margin": 0.2}),
    aliases=("TripletMarginLoss", "TripletMarginWithDistanceLoss", "triplet"),
    formula="max(0, margin + y (f₁ - f₂))",
    outcome="which of two is nearer to an anchor: 1 the first, -1 the second",
    compare=False,
)
def triplet_margin(margin: float = 1.0) -> Likelihood:
    """The label says which of two things is nearer to an anchor, and the predictions are their two distances.

    Raw holds the distance to the positive and the one to the negative, and the label is 1 (with -1 the two change places); any
    distance will do, and swap is the smaller of the negative's distances to anchor and positive. The difference of distances is
    driven to `margin` and no further, however sure the order is: it tells which is nearer, never how surely. soft_triplet is
    the likelihood that comes nearest.
    """
    return Energy(triplet_margin_energy, width=2, labels=SIGNS, margin=margin)


def _negated_square(x: Tensor) -> Tensor:
    return -x.square()


def _negated_root(logit: Tensor) -> Tensor:
    return (-logit).sqrt()


def _heavy(x: Tensor, df: float) -> Tensor:
    return -0.5 * (df + 1) * torch.log1p(x.square() / df)


def _heavy_inverse(logit: Tensor, df: float) -> Tensor:
    return (df * torch.expm1(logit * (-2 / (df + 1)))).sqrt()


def _kernel(kernel: str, df: float) -> Link:
    if kernel == "student_t":
        return Link(f"student_t kernel, df {df:g}", partial(_heavy, df=df), partial(_heavy_inverse, df=df))
    known = {
        "exponential": Link("exponential kernel", torch.neg, torch.neg),
        "gaussian": Link("gaussian kernel", _negated_square, _negated_root),
    }
    if kernel not in known:
        raise ValueError(f"kernel={kernel!r}; it must be 'exponential', 'gaussian' or 'student_t'.")
    return known[kernel]


@register(
    elicits="class probabilities",
    reference="van der Maaten and Weinberger (2012), doi:10.1109/MLSP.2012.6349720",
    examples=({}, {"kernel": "gaussian"}, {"kernel": "student_t"}, {"kernel": "student_t", "df": 3.0}),
    aliases=("stochastic_triplet_embedding", "stochastic_triplet", "ste", "tste", "soft_margin_triplet"),
    formula="-log k(f_y) / Σ_j k(f_j), k(d) = exp(-d), exp(-d²) or (1 + d²/df)^(-(df + 1)/2)",
    outcome="the index of the one of two that is nearer to an anchor",
    compare=False,
)
def soft_triplet(kernel: str = "exponential", df: float = 1.0) -> Likelihood:
    """Of two things the nearer to an anchor is the first or the second, with odds that fall as a kernel of the distances says.

    Use it instead of triplet_margin, where people (or labels) say which of two is nearer: its odds are those of the data. Raw
    holds the two distances, the target is the index of the nearer one, 0 for the first (the positive). "exponential" is the
    softplus of the difference of distances, "gaussian" stochastic triplet embedding, "student_t" its heavy-tailed version, in
    which far things are told apart by ratios of distances; `df` is its number of degrees of freedom (in t-STE the embedding's
    dimensions less one).
    """
    return Family(Categorical, logits=predicted(_kernel(kernel, df), size=2))


def _info_nce_relation(temperature: float, in_batch: bool) -> Relation:
    if not in_batch:
        return Exact
    return Partial(
        "the positive of each anchor, given the embeddings of the batch; the anchors share their candidates, so the product "
        "over them is no law of the whole matching"
    )


@register(
    elicits="class probabilities",
    reference="van den Oord, Li and Vinyals (2018), https://arxiv.org/abs/1807.03748; "
    "Gutmann and Hyvärinen (2012), https://jmlr.org/papers/v13/gutmann12a.html",
    relation=_info_nce_relation,
    examples=({}, {"temperature": 0.5}, {"in_batch": True}),
    aliases=("n_pair", "NPairLoss", "multiple_negatives_ranking", "clip", "cpc"),
    formula="-log softmax(f / temperature)[y]",
    outcome="the index of the positive among an anchor's candidates",
    compare=False,
)
def info_nce(temperature: float = 0.1, in_batch: bool = False) -> Likelihood:
    """One of an anchor's candidates is its true partner, the others were drawn at random, and the predictions are similarities.

    Raw ``(..., K)`` holds the similarities of an anchor to its K candidates, the target is the index of the positive. At the
    minimum the similarities over `temperature` are log p(y | x) / p(y) up to a number for each anchor. With `in_batch` the
    candidates of an anchor are the partners of the others: raw is the matrix of similarities, the target torch.arange(N); the
    value is the same, but summed over the batch it is a composite likelihood. CLIP's loss is the mean of this loss for the
    matrix and for its transpose.
    """
    return Family(Categorical, logits=predicted(tempered(temperature)))


@register(
    elicits="class probabilities",
    reference="Chen, Kornblith, Norouzi and Hinton (2020), https://arxiv.org/abs/2002.05709",
    relation=Partial(
        "the other view of each anchor, given the embeddings of all 2N views; the anchors share their candidates, so the "
        "product over them is no law of the whole matching"
    ),
    examples=({}, {"temperature": 0.1}),
    aliases=("NTXentLoss", "simclr", "normalized_temperature_cross_entropy"),
    formula="-log exp(f_y / temperature) / Σ_{j ≠ anchor} exp(f_j / temperature)",
    outcome="the index of the anchor's other view among all views",
    compare=False,
)
def nt_xent(temperature: float = 0.5) -> Likelihood:
    """Of all the other views in the batch one shows the same thing as the anchor, and the predictions are cosines.

    Raw ``(2N, 2N)`` holds the cosines of each of the 2N views (the anchors, in rows) to each, -inf on the diagonal, as no
    view is its own partner; the target is the row of the other view. :func:`likelihoods.embeddings.two_views` makes both from
    two batches of embeddings. It is a composite likelihood: exact for one anchor, not for the batch.
    """
    return Family(Categorical, logits=predicted(tempered(temperature)))
