"""Losses of a class."""

from __future__ import annotations

from likelihoods.distributions import Categorical
from likelihoods.likelihood import Family, Likelihood
from likelihoods.registry import register
from likelihoods.sources import predicted


@register(
    elicits="class probabilities",
    reference="Good (1952), doi:10.1111/j.2517-6161.1952.tb00104.x; Gneiting and Raftery (2007), doi:10.1198/016214506000001437",
    examples=({"classes": 2}, {"classes": 5}),
    aliases=(
        "CrossEntropyLoss",
        "ce",
        "softmax_cross_entropy",
        "categorical",
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        "multinomial_logistic",
        "softmax",
    ),
    formula="-log softmax(f)[y]",
)
def cross_entropy(classes: int | None = None) -> Likelihood:
    """The target is one of several classes, and the predictions are their log-probabilities up to a common constant.

    Use it for classes without an order. The classes belong to the last axis of raw; `classes` fixes their number, and
    otherwise raw's last axis says it.
    """
    return Family(Categorical, logits=predicted("identity", size=classes))
