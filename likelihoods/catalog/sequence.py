"""Losses of a sequence."""

from __future__ import annotations

import torch
from torch import Tensor

from likelihoods.distributions import LabelString
from likelihoods.likelihood import Family, Likelihood
from likelihoods.registry import register
from likelihoods.relations import Exact, Relation, Weighted
from likelihoods.sources import predicted


def per_label(target: Tensor) -> Tensor:
    """1 / max(1, length of y)"""  # noqa: D415
    length = (target != -1).sum(-1).clamp_min(1)
    return length.to(target.dtype if target.is_floating_point() else torch.float64).reciprocal()


def _ctc_relation(blank: int, per_label: bool) -> Relation:
    return _PER_LABEL if per_label else Exact


_PER_LABEL = Weighted(per_label, "the law of strings with each probability divided by max(1, length)")


@register(
    elicits="the law within its family",
    reference="Graves, Fernández, Gomez and Schmidhuber (2006), doi:10.1145/1143844.1143891",
    relation=_ctc_relation,
    examples=({}, {"per_label": False}, {"blank": 1}),
    aliases=("CTCLoss", "connectionist_temporal_classification", "ctc_loss"),
    formula="-log Σ over frames that read y of Π_t softmax(f_t)[frame t], divided by max(1, length of y)",
    outcome="the string of labels",
    compare=False,
)
def ctc(blank: int = 0, per_label: bool = True) -> Likelihood:
    """A string of labels is read from frames that are independent given the input, by merging runs and taking out blanks.

    Use it for speech and handwriting, where labels have an order but no known place. Raw ``(..., T, C)`` holds the logits of
    the C labels in T frames (log-probabilities will do), the target ``(..., T)`` the labels, then -1 to the end;
    LabelString.shortened makes frames beyond an input's end. `blank` is the label that stands for nothing. With `per_label`,
    as in torch's mean, each string's loss is divided by its length, which elicits a law biased to short strings: where a string
    and one twice as long are equally frequent, the long one comes out at a third. Write per_label=False for the likelihood.
    A string that does not fit into the frames has probability 0 and an infinite loss.
    """
    return Family(LabelString, logits=predicted(), blank=blank)
