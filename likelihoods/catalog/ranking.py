"""Losses of an order."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from likelihoods.distributions import Categorical, PlackettLuce
from likelihoods.energy import Energy
from likelihoods.functionals import Functional
from likelihoods.likelihood import Family, Likelihood
from likelihoods.registry import register
from likelihoods.relations import Exact, Expected, Gibbs, Relation
from likelihoods.sources import predicted


def margin_ranking_energy(raw: Tensor, label: Tensor, margin: float) -> Tensor:
    """Return (margin - y (f₁ - f₂))₊ of labels y = ±1, f₁ and f₂ being scores."""
    first, second = raw.unbind(-1)
    return (margin - label * (first - second)).clamp_min(0)


def _gap(values: Tensor, weights: Tensor, margin: float, **options: Any) -> Tensor:
    return margin * torch.sign((weights * values).sum())


def _ahead(law: Any) -> Tensor:
    first, second = law.raw.unbind(-1)
    ahead: Tensor = first - second
    return ahead


@register(
    elicits=Functional("margin, in the likelier order", _gap, _ahead),
    reference="Herbrich, Graepel and Obermayer (2000), Large margin rank boundaries for ordinal regression",
    relation=Gibbs(),
    examples=({}, {"margin": 1.0}),
    aliases=("MarginRankingLoss", "ranking_hinge", "pairwise_hinge"),
    formula="max(0, margin - y (f₁ - f₂))",
    outcome="which of two ranks higher: 1 the first, -1 the second",
    compare=False,
)
def margin_ranking(margin: float = 0.0) -> Likelihood:
    """The label says which of two items ranks higher, and the predictions are their scores.

    Use it for the order alone: the difference of scores is driven to `margin` and no further, however sure the order is. With
    torch's default margin of 0 all scores may be the same at the minimum, so give a margin. bradley_terry has odds.
    """
    return Energy(margin_ranking_energy, width=2, labels=(-1.0, 1.0), margin=margin)


def _given(target: Tensor, outcomes: int) -> Tensor:
    """the target itself"""  # noqa: D403, D415
    return target


def _shares(values: Tensor, weights: Tensor, soft: bool, **options: Any) -> Tensor:
    return weights @ (values if soft else one_hot(values.long(), 2).to(weights.dtype))


def _probabilities(law: Any) -> Tensor:
    probabilities: Tensor = law.probs
    return probabilities


def _pair_relation(soft: bool) -> Relation:
    return Expected(_given, vector=True) if soft else Exact


@register(
    elicits=Functional("probabilities of the outcomes", _shares, _probabilities),
    reference="Bradley and Terry (1952), doi:10.1093/biomet/39.3-4.324; Burges et al. (2005), doi:10.1145/1102351.1102363",
    relation=_pair_relation,
    examples=({}, {"soft": True}),
    aliases=("ranknet", "pairwise_logistic"),
    formula="log(1 + exp(f_other - f_y))",
    outcome="the index of the one of two that wins",
    compare=False,
)
def bradley_terry(soft: bool = False) -> Likelihood:
    """Of two items one wins, with odds that are the exponential of the difference of their scores.

    Use it for comparisons: games, preferences, clicks. Raw holds the two scores, the target is the index of the winner, 0 or 1;
    with `soft` it is the vector of the two's probabilities, as in RankNet, (1/2, 1/2) for a tie. Scores are known but for
    a constant. Summed over all pairs of one ranking it is a composite likelihood, which loses mass to cycles: use list_mle there.
    """
    return Family(Categorical, logits=predicted(size=2))


@register(
    elicits="the law within its family",
    reference="Plackett (1975), doi:10.2307/2346567; Xia, Liu, Wang, Zhang and Li (2008), doi:10.1145/1390156.1390306",
    aliases=("plackett_luce", "rank_ordered_logit", "exploded_logit"),
    formula="Σ_k (log Σ_{j ≥ k} exp(f_{y_j}) - f_{y_k})",
    outcome="the ranking",
    compare=False,
)
def list_mle() -> Likelihood:
    """A ranking is made from the top, each place going to one of the items that are left, with odds exponential in the scores.

    Use it for whole rankings. Raw ``(..., n)`` holds the scores of the n items, the target ``(..., n)`` their indices, the best
    first: relevance.argsort(-1, descending=True), where no two are equally relevant. Scores are known but for a constant. It
    assumes that who wins among the rest does not depend on who has gone (Luce's axiom).
    """
    return Family(PlackettLuce, logits=predicted())


def _top_one(target: Tensor, outcomes: int) -> Tensor:
    """softmax(y)"""  # noqa: D415
    return target.softmax(-1)


def _top_share(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    return weights @ values.softmax(-1)


@register(
    elicits=Functional("mean of softmax(y)", _top_share, _probabilities),
    reference="Cao, Qin, Liu, Tsai and Li (2007), doi:10.1145/1273496.1273513",
    relation=Expected(_top_one, vector=True),
    aliases=("listwise_softmax",),
    formula="-Σ_k softmax(y)_k log softmax(f)_k",
    outcome="the item in the first place, drawn from softmax(y)",
    compare=False,
)
def list_net() -> Likelihood:
    """The item in the first place is drawn with odds exponential in the items' relevances, and the predictions are their scores.

    Use it where items have relevances rather than an order. Raw and target are ``(..., n)``, scores and relevances of the
    same n items. Only the first place counts (the paper's top-one version); list_mle is a likelihood of whole rankings.
    """
    return Family(Categorical, logits=predicted())
