"""Losses of a class whose target is itself a law: soft labels, smoothed labels, a teacher's probabilities."""

from __future__ import annotations

from torch import Tensor

from likelihoods.catalog.category import Weights, check_share, known_only, outcome_weights, smoothed
from likelihoods.catalog.output import tempered
from likelihoods.distributions import Categorical
from likelihoods.likelihood import Family, Likelihood
from likelihoods.registry import register
from likelihoods.relations import Expected, Relation, stated
from likelihoods.sources import predicted


def mixed_evenly(target: Tensor, outcomes: int, smoothing: float) -> Tensor:
    """Return (1 - smoothing) y + smoothing / K for a probability vector y, ``(..., K)``."""
    return target if smoothing == 0 else (1 - smoothing) * target + smoothing / outcomes


def _soft_relation(classes: int | None, weight: Weights, label_smoothing: float) -> Relation:
    check_share("label_smoothing", label_smoothing)
    words = f"{1 - label_smoothing:g} y + {label_smoothing:g} / K" if label_smoothing else "y, a probability vector"
    tilt = None if weight is None else stated("the class weights", outcome_weights, weight=weight)
    return Expected(stated(words, mixed_evenly, smoothing=label_smoothing), vector=True, weight=tilt)


@register(
    elicits="mean of the probability vectors",
    reference="Szegedy, Vanhoucke, Ioffe, Shlens and Wojna (2016), arXiv:1512.00567",
    relation=_soft_relation,
    examples=(
        {},
        {"classes": 3},
        {"label_smoothing": 0.1},
        {"weight": (0.5, 1.0, 2.0, 0.25), "label_smoothing": 0.2},
    ),
    aliases=(
        "soft_target_cross_entropy",
        "SoftTargetCrossEntropy",
        "categorical_crossentropy",
        "soft_labels",
        "soft_targets",
    ),
    formula="-Σ_k t_k w_k log softmax(f)[k], t = (1 - label_smoothing) y + label_smoothing / K",
    outcome="a class drawn from the target's own law",
    compare=False,  # a target is a vector
)
def soft_cross_entropy(classes: int | None = None, weight: Weights = None, label_smoothing: float = 0.0) -> Likelihood:
    """The target is a law over several classes, and the predictions are the log-probabilities of a class drawn from it.

    Use it for labels that several people voted on, for mixed-up images, or for one-hot vectors. It is the expected loss of
    cross_entropy, and its smallest value is the entropy of the target: kl_div subtracts that. Class weights tilt the
    probabilities as they do in cross_entropy.
    """
    return Family(Categorical, logits=predicted("identity", size=classes))


def as_probabilities(target: Tensor, outcomes: int, log_target: bool) -> Tensor:
    """Return the target as a probability vector, ``(..., K)``."""
    return target.exp() if log_target else target


def _divergence_relation(log_target: bool, classes: int | None) -> Relation:
    words = "exp(y), y log-probabilities" if log_target else "y, a probability vector"
    return Expected(stated(words, as_probabilities, log_target=log_target), vector=True, entropy=True)


@register(
    elicits="mean of the probability vectors",
    reference="Kullback and Leibler (1951), doi:10.1214/aoms/1177729694",
    relation=_divergence_relation,
    examples=({}, {"log_target": True}, {"classes": 2}),
    aliases=("KLDivLoss", "kl_divergence", "kullback_leibler", "KLDivergence"),
    formula="Σ_k y_k (log y_k - log softmax(f)[k])",
    outcome="a class drawn from the target's own law",
    compare=False,
)
def kl_div(log_target: bool = False, classes: int | None = None) -> Likelihood:
    """The target is a law over several classes, and the predictions are the log-probabilities of a class drawn from it.

    It is soft_cross_entropy less the entropy of the target, so that its minimum is 0 and its gradient the same. raw is
    log-probabilities, and is normalised, so that logits will do; torch's KLDivLoss does not normalise, and takes numbers for a
    divergence that may be negative. "mean" is over rows, which torch calls batchmean. Where the target is 0 nothing is added,
    even where raw is -inf; torch has NaN there.
    """
    return Family(Categorical, logits=predicted("identity", size=classes))


def spread_label(target: Tensor, outcomes: int, smoothing: float, over: str, padding: int | None) -> Tensor:
    """Return the law of a smoothed label, ``(..., K)``; the class ``padding`` has no part in it."""
    proper = outcomes if padding is None else outcomes - 1
    if over == "all":
        other = smoothing / proper
        return smoothed(target, outcomes, 1 - smoothing + other, other, padding)
    return smoothed(target, outcomes, 1 - smoothing, smoothing / (proper - 1), padding)


def _smoothing_relation(smoothing: float, over: str, padding: int | None, classes: int | None) -> Relation:
    check_share("smoothing", smoothing)
    if over not in ("all", "others"):
        raise ValueError(f"over={over!r}; smooth over 'all' classes, or over the 'others' alone.")
    others = "all classes" if over == "all" else "the other classes"
    but = "" if padding is None else f" but {padding}"
    words = f"{1 - smoothing:g} onehot(y) + {smoothing:g} spread evenly over {others}{but}"
    relation = Expected(stated(words, spread_label, smoothing=smoothing, over=over, padding=padding))
    return known_only(relation, padding)


@register(
    elicits="class probabilities",
    reference="Szegedy, Vanhoucke, Ioffe, Shlens and Wojna (2016), arXiv:1512.00567; Müller, Kornblith and Hinton (2019), "
    "arXiv:1906.02629",
    relation=_smoothing_relation,
    examples=(
        {},
        {"over": "others"},
        {"smoothing": 0.3, "classes": 3},
        {"padding": 0},
        {"padding": 3, "over": "others"},
    ),
    aliases=("LabelSmoothing", "LabelSmoothingCrossEntropy", "label_smoothing_cross_entropy"),
    formula="-Σ_k t_k log softmax(f)[k], t the smoothed label",
    outcome="a class drawn from the smoothed label",
    compare=False,
)
def label_smoothing(
    smoothing: float = 0.1, over: str = "all", padding: int | None = None, classes: int | None = None
) -> Likelihood:
    """The target is one of several classes, of which a share is taken and spread evenly before the loss sees it.

    Use it against overconfident networks. The share is spread over="all" classes, the true one too (cross_entropy's
    label_smoothing), or over the "others" alone; smoothing s of the one is smoothing s (K - 1) / K of the other. `padding` is a
    class that has no part in it, neither in t nor as a target: such targets are missing. It is no model of wrong labels, in
    which the mixture would be inside the logarithm: probabilities come out smoothed, and must be smoothed back.
    """
    return Family(Categorical, logits=predicted("identity", size=classes))


def teacher_law(target: Tensor, outcomes: int, temperature: float) -> Tensor:
    """Return softmax(y / temperature) of a teacher's logits y, ``(..., K)``."""
    return (target / temperature).softmax(-1)


def _teacher_relation(temperature: float, classes: int | None) -> Relation:
    words = f"softmax(y / {temperature:g}), y the teacher's logits"
    soft = stated(words, teacher_law, temperature=temperature)
    return Expected(soft, vector=True, entropy=True, scale=temperature**2)


@register(
    elicits="mean of the probability vectors",
    reference="Hinton, Vinyals and Dean (2015), arXiv:1503.02531",
    relation=_teacher_relation,
    examples=({}, {"temperature": 4.0, "classes": 3}, {"temperature": 1.0}),
    aliases=("knowledge_distillation", "DistillationLoss", "KDLoss"),
    formula="T² Σ_k t_k (log t_k - log softmax(f / T)[k]), t = softmax(y / T)",
    outcome="a class drawn from the teacher's law at temperature T",
    compare=False,
)
def distillation(temperature: float = 2.0, classes: int | None = None) -> Likelihood:
    """The target is a teacher's logits, and the predictions are the log-probabilities of a class drawn from its softened law.

    Use it to train a small network on a large one's outputs. The square of the temperature keeps the size of the gradient; at a
    high temperature it becomes that of the squared distance of centred logits. Add cross_entropy of the true labels, times a
    number of your choice, where there are some.
    """
    return Family(Categorical, logits=predicted(tempered(temperature), size=classes))
