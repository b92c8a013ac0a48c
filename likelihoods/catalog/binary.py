"""Losses of a target that is 0 or 1."""

from __future__ import annotations

from torch import Tensor

from likelihoods.distributions import Bernoulli
from likelihoods.energy import Energy
from likelihoods.likelihood import Family, Likelihood
from likelihoods.registry import register
from likelihoods.relations import Exact, Gibbs, Relation, Weighted
from likelihoods.sources import predicted


def _binary_relation(pos_weight: float | None) -> Relation:
    if pos_weight is None:
        return Exact

    def weight(target: Tensor) -> Tensor:
        return 1 + (pos_weight - 1) * target

    weight.__doc__ = f"{pos_weight:g} where y = 1, else 1"
    return Weighted(weight, f"the log-odds plus log {pos_weight:g}")


@register(
    elicits="probability of 1",
    reference="Cox (1958), doi:10.1111/j.2517-6161.1958.tb00292.x; King and Zeng (2001), doi:10.1093/oxfordjournals.pan.a004868",
    relation=_binary_relation,
    examples=({}, {"pos_weight": 3.0}),
    aliases=(
        "BCEWithLogitsLoss",
        "binary_cross_entropy_with_logits",
        "logistic",
        "log_loss",
        "sigmoid_cross_entropy",
        "bernoulli",
    ),
    formula="-y log σ(f) - (1 - y) log σ(-f), the first term times pos_weight",
)
def bce_with_logits(pos_weight: float | None = None) -> Likelihood:
    """The target is 0 or 1, and the prediction is the log-odds of 1.

    Use it for yes-or-no targets. With `pos_weight` the log-odds come out larger by its logarithm: subtract it to get true
    probabilities. On grey values between 0 and 1 it is no likelihood of the values (but its minimum is still at their mean).
    """
    return Family(Bernoulli, logits=predicted())


@register(
    elicits="probability of 1",
    reference="Good (1952), doi:10.1111/j.2517-6161.1952.tb00104.x",
    aliases=("BCELoss", "binary_cross_entropy", "binary_crossentropy"),
    formula="-y log f - (1 - y) log(1 - f)",
    compare=False,  # a probability is no linear predictor; bce_with_logits has the same law
)
def bce() -> Likelihood:
    """The target is 0 or 1, and the prediction is the probability of 1.

    Use bce_with_logits where you can: it keeps its digits where the probability is near 0 or 1, while torch's BCELoss cuts
    the loss at 100 nats there. `.nll` is not cut.
    """
    return Family(Bernoulli, probs=predicted("identity"))


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
