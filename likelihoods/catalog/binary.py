"""Losses of a target that is 0 or 1, or -1 or 1, for which a probability or a score is predicted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from likelihoods.distributions import Bernoulli
from likelihoods.energy import Energy
from likelihoods.likelihood import Family, Likelihood
from likelihoods.registry import register
from likelihoods.relations import Affine, Exact, Expected, Gibbs, Relation, Weighted, stated
from likelihoods.sources import predicted

Weights = float | Sequence[float] | Tensor | None


def bernoulli_law(target: Tensor, outcomes: int) -> Tensor:
    """Return (1 - y, y), ``(..., 2)``, for the probability y of 1."""
    return torch.stack([1 - target, target], -1)


def bernoulli_weight(target: Tensor, weight: Weights = None, pos_weight: Weights = None) -> Tensor:
    """Return weight * (pos_weight where y = 1, else 1); weights broadcast against the target."""
    result = torch.ones_like(target)
    if pos_weight is not None:
        result = 1 + (_like(pos_weight, target) - 1) * target
    return result if weight is None else result * _like(weight, target)


def bernoulli_outcome_weight(nll: Tensor, pos_weight: Weights) -> Tensor:
    """Return the weights of the outcomes 0 and 1, ``(..., 2)``."""
    positive = _like(pos_weight, nll) if pos_weight is not None else nll.new_ones(())
    return torch.stack([torch.ones_like(positive), positive], -1)


def _like(weight: Weights, target: Tensor) -> Tensor:
    return torch.as_tensor(weight, dtype=target.dtype, device=target.device)


def _text(weight: Weights) -> str:
    return f"{weight:g}" if isinstance(weight, int | float) else "the label's pos_weight"


def _binary_relation(weight: Weights = None, pos_weight: Weights = None, soft: bool = False) -> Relation:
    if soft:
        words = "(1 - y, y), y the probability of 1"
        tilt = stated(f"(1, {_text(pos_weight)})", bernoulli_outcome_weight, pos_weight=pos_weight)
        if weight is not None:
            raise ValueError(
                "Give soft=True or weight, not both: reduction='none' gives each target's loss, which you can weight yourself."
            )
        return Expected(stated(words, bernoulli_law), weight=None if pos_weight is None else tilt)
    if pos_weight is None:  # by the place in the batch alone, so that the law that is elicited stays
        return Exact if weight is None else Affine(stated("weight", bernoulli_weight, weight=weight))
    words = f"{'' if weight is None else 'weight, times '}{_text(pos_weight)} where y = 1, else 1"
    weigh = stated(words, bernoulli_weight, weight=weight, pos_weight=pos_weight)
    return Weighted(weigh, f"the log-odds plus the log of {_text(pos_weight)}")


@register(
    elicits="probability of 1",
    reference="Cox (1958), doi:10.1111/j.2517-6161.1958.tb00292.x; King and Zeng (2001), doi:10.1093/oxfordjournals.pan.a004868",
    relation=_binary_relation,
    examples=(
        {},
        {"pos_weight": 3.0},
        {"weight": 0.5, "pos_weight": 2.0},
        {"soft": True},
        {"soft": True, "pos_weight": 3.0},
    ),
    aliases=(
        "BCEWithLogitsLoss",
        "binary_cross_entropy_with_logits",
        "logistic",
        "log_loss",
        "logloss",
        "binary",
        "binary:logistic",
        "sigmoid_cross_entropy",
        "bernoulli",
    ),
    formula="-y log σ(f) - (1 - y) log σ(-f), the first term times pos_weight, both times weight",
)
def bce_with_logits(weight: Weights = None, pos_weight: Weights = None, soft: bool = False) -> Likelihood:
    """The target is 0 or 1, and the prediction is the log-odds of 1.

    Use it for yes-or-no targets. With `pos_weight` the log-odds come out larger by its logarithm: subtract it to get true
    probabilities (`.relation.untilt` does). `weight` counts a target by its place in the batch and changes no probability; both
    broadcast against the target. With `soft` a target is itself a probability between 0 and 1, and the loss is the expected one;
    it is no likelihood of grey values, though its minimum is at their mean: for those see continuous_bernoulli and beta.
    """
    return Family(Bernoulli, logits=predicted())


@register(
    elicits="probability of 1",
    reference="Good (1952), doi:10.1111/j.2517-6161.1952.tb00104.x",
    relation=_binary_relation,
    examples=({}, {"weight": 0.5}, {"soft": True}),
    aliases=("BCELoss", "binary_cross_entropy", "binary_crossentropy"),
    formula="-y log f - (1 - y) log(1 - f), times weight",
    compare=False,  # a probability is no linear predictor; bce_with_logits has the same law
)
def bce(weight: Weights = None, soft: bool = False) -> Likelihood:
    """The target is 0 or 1, and the prediction is the probability of 1.

    Use bce_with_logits where you can: it keeps its digits where the probability is near 0 or 1, while torch's BCELoss cuts
    the loss at 100 nats there. `.nll` is not cut. `weight` counts a target by its place in the batch; with `soft` a target is
    itself a probability between 0 and 1.
    """
    return Family(Bernoulli, probs=predicted("identity"))


def soft_margin_energy(raw: Tensor, label: Tensor) -> Tensor:
    """Return log(1 + exp(-y f)) of labels y = ±1, without overflow."""
    return -logsigmoid(label * raw[..., 0])


@register(
    elicits="probability of the label 1",
    reference="Cox (1958), doi:10.1111/j.2517-6161.1958.tb00292.x",
    aliases=("SoftMarginLoss", "logistic_margin"),
    formula="log(1 + exp(-y f)), y = ±1",
    outcome="the label, -1 or 1",
    compare=False,  # labels of -1 and 1
)
def soft_margin() -> Likelihood:
    """The label is -1 or 1, and the prediction is the log-odds of 1.

    It is bce_with_logits with other labels, and the one margin loss that is a likelihood as it stands: exp(-loss) sums to 1 over
    both labels. torch's SoftMarginLoss overflows where y f is below -88 in float32; this one does not.
    """
    return Energy(soft_margin_energy, width=1, labels=(-1.0, 1.0))


def hinge_energy(raw: Tensor, label: Tensor, margin: float) -> Tensor:
    """Return (margin - y f)₊ of labels y = ±1."""
    return (margin - label * raw[..., 0]).clamp_min(0)


@register(
    elicits="label",
    reference="Cortes and Vapnik (1995), doi:10.1007/BF00994018; Sollich (2002), doi:10.1023/A:1012489924661",
    relation=Gibbs(),
    examples=({}, {"margin": 0.3}),
    aliases=("HingeLoss", "svm", "max_margin"),
    formula="max(0, margin - y f), y = ±1",
    outcome="the label, -1 or 1",
    compare=False,  # labels of -1 and 1
)
def hinge(margin: float = 1.0) -> Likelihood:
    """The label is -1 or 1, and only its side of the margin counts: no probability of it is assumed.

    Use it for the decision alone. It elicits the more probable label, never how probable: its minimum is the same for 70 %
    and 90 %. The likelihood that comes nearest is normalised over the two labels; bce_with_logits is better for probabilities.
    """
    return Energy(hinge_energy, width=1, labels=(-1.0, 1.0), margin=margin)


def squared_hinge_energy(raw: Tensor, label: Tensor, margin: float) -> Tensor:
    """Return (margin - y f)₊² of labels y = ±1."""
    return (margin - label * raw[..., 0]).clamp_min(0) ** 2


@register(
    elicits="squared-hinge probability",
    reference="Bartlett, Jordan and McAuliffe (2006), doi:10.1198/016214505000000907",
    relation=Gibbs(),
    examples=({}, {"margin": 2.0}),
    aliases=("SquaredHingeLoss", "l2_svm"),
    formula="max(0, margin - y f)², y = ±1",
    outcome="the label, -1 or 1",
    compare=False,
)
def squared_hinge(margin: float = 1.0) -> Likelihood:
    """The label is -1 or 1, and every prediction short of the margin costs the square of what it lacks.

    Unlike hinge it tells probabilities apart: its minimum is at f = margin (2π - 1) for the probability π of 1. But exp(-loss) is
    not normalised over the labels; the likelihood here is, and soft_margin is one as it stands.
    """
    return Energy(squared_hinge_energy, width=1, labels=(-1.0, 1.0), margin=margin)


def exponential_energy(raw: Tensor, label: Tensor) -> Tensor:
    """Return exp(-y f) of labels y = ±1."""
    return torch.exp(-label * raw[..., 0])


@register(
    elicits="exponential-loss probability",
    reference="Friedman, Hastie and Tibshirani (2000), doi:10.1214/aos/1016218223",
    relation=Gibbs(),
    aliases=("adaboost", "AdaBoostLoss", "exponential_classification"),
    formula="exp(-y f), y = ±1",
    outcome="the label, -1 or 1",
    compare=False,
)
def exponential_margin() -> Likelihood:
    """The label is -1 or 1, and a wrong prediction costs exponentially in its size.

    It is what AdaBoost minimises. Its minimum is at half the log-odds of 1, as if it were a likelihood, but exp(-loss) is not
    normalised over the labels, and a single wrong label can outweigh all others: prefer soft_margin.
    """
    return Energy(exponential_energy, width=1, labels=(-1.0, 1.0))


def binary_focal_energy(raw: Tensor, label: Tensor, gamma: float, alpha: float | None) -> Tensor:
    """Return -(1 - p)^gamma log p for the probability p of the label, y = 0 or 1, times alpha or 1 - alpha."""
    score = (2 * label - 1) * raw[..., 0]
    energy = -torch.exp(gamma * logsigmoid(-score)) * logsigmoid(score)
    return energy if alpha is None else energy * (alpha * label + (1 - alpha) * (1 - label))


@register(
    elicits="binary focal probability",
    reference="Lin, Goyal, Girshick, He and Dollár (2017), arXiv:1708.02002; Charoenphakdee et al. (2021), arXiv:2011.09172",
    relation=lambda gamma, alpha: Exact if gamma == 0 and alpha is None else Gibbs(),
    examples=({}, {"gamma": 0.5}, {"alpha": 0.25}, {"gamma": 0.0}),
    aliases=("BinaryFocalLoss", "BinaryFocalCrossentropy", "sigmoid_focal", "sigmoid_focal_loss"),
    formula="-(1 - p)^gamma log p, p = σ(f) where y = 1, else σ(-f); times alpha, or 1 - alpha",
    outcome="the target, 0 or 1",
    compare=False,
)
def binary_focal(gamma: float = 2.0, alpha: float | None = None) -> Likelihood:
    """The target is 0 or 1, and what is predicted well already counts for little.

    Use it where easy negatives drown the rest, in object detection above all. It is not proper: where 1 has the probability 0.9
    its minimum is at σ(f) = 0.69 (gamma 2). σ(f) is therefore no probability; the likelihood here, normalised over both labels,
    says what exp(-loss) would mean. `alpha` weights the class 1 against 0.
    """
    if not gamma >= 0:
        raise ValueError(f"gamma={gamma}; it is how fast what is predicted well loses weight: give a number from 0 up.")
    return Energy(binary_focal_energy, width=1, labels=(0.0, 1.0), gamma=gamma, alpha=alpha)
