"""Losses of a class whose values have an order: grades, stages, ratings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from likelihoods.distributions import Bernoulli, ContinuationRatio, OrderedCloglog, OrderedLogistic, OrderedProbit
from likelihoods.likelihood import Family, Likelihood
from likelihoods.registry import register
from likelihoods.relations import Partial
from likelihoods.sources import predicted
from likelihoods.targets import Independent

LAWS = {"logit": OrderedLogistic, "probit": OrderedProbit, "cloglog": OrderedCloglog}


@register(
    elicits="ordinal location",
    reference="McCullagh (1980), doi:10.1111/j.2517-6161.1980.tb01109.x",
    examples=({}, {"link": "probit"}, {"link": "cloglog", "cutpoints": (-1.5, 0.5)}),
    aliases=(
        "ordinal_regression",
        "OrdinalLoss",
        "cumulative_link",
        "proportional_odds",
        "ordered_logit",
        "ordered_probit",
    ),
    formula="-log(F(c_y - f) - F(c_{y-1} - f)), c_{-1} = -∞, c_{K-1} = ∞, F the link's distribution function",
    outcome="the class, 0 to K - 1, in its order",
    nuisance=("cutpoints",),
    compare=False,  # the number of classes is that of the cutpoints
)
def ordinal(link: str = "logit", cutpoints: Any = (-1.0, 0.0, 1.0)) -> Likelihood:
    """The target is the interval between two cutpoints in which a latent variable, the prediction plus noise, lies.

    Use it for ordered classes. One prediction serves all K classes, and K - 1 increasing cutpoints divide the line. The noise is
    logistic (`link` "logit": proportional odds), normal ("probit") or Gumbel's ("cloglog": proportional hazards). Cutpoints are
    fixed in a loss; to learn them train lk.NLL(lk.find("ordinal").fitted(cutpoints=...)), which starts from those given.
    """
    if link not in LAWS:
        raise ValueError(f"link={link!r}; it must be one of {', '.join(map(repr, LAWS))}.")
    if isinstance(cutpoints, Sequence):
        cutpoints = torch.tensor([float(cut) for cut in cutpoints], dtype=torch.float64)
    return Family(LAWS[link], predictor=predicted(), cutpoints=cutpoints)


@register(
    elicits="hazards",
    reference="Shi, Cao and Raschka (2023), arXiv:2111.08851; Cox (1972), doi:10.1111/j.2517-6161.1972.tb00899.x",
    examples=({"classes": 2}, {"classes": 4}, {}),
    aliases=("CornLoss", "continuation_ratio", "sequential_logit"),
    formula="-Σ_{k < y} log σ(f_k) - log σ(-f_y), the last term where y < K - 1",
    outcome="the class, 0 to K - 1, in its order",
    compare=False,
)
def corn(classes: int | None = None) -> Likelihood:
    """The target is the step at which a climb through ordered classes stops, each further step having its own log-odds.

    Use it for ordered classes where one latent scale (ordinal) is too narrow: raw holds K - 1 log-odds of going beyond class k,
    given that it was reached. The mean here is over targets; the authors divide by the number of binary questions instead, which
    changes the step size alone.
    """
    return Family(ContinuationRatio, log_odds=predicted("identity", size=None if classes is None else classes - 1))


def levels(target: Tensor, classes: int) -> Tensor:
    """Return the K - 1 answers to "does the class exceed k?", ``(..., K - 1)``: the target of coral.

    Args:
        target: class indices 0, …, K - 1, ``(...)``.
        classes: their number K.

    Raises:
        ValueError: classes is less than 2.

    >>> levels(torch.tensor([0, 2, 3]), 4)
    tensor([[0., 0., 0.],
            [1., 1., 0.],
            [1., 1., 1.]])
    """
    if classes < 2:
        raise ValueError(f"classes={classes}; ordered classes are at least 2.")
    return (target.unsqueeze(-1) > torch.arange(classes - 1, device=target.device)).to(torch.get_default_dtype())


@register(
    elicits="marginal probabilities",
    reference="Cao, Mirjalili and Raschka (2020), arXiv:1901.07884",
    relation=Partial(
        "the K - 1 answers to y > k, taken as independent though each settles others; the law of the class itself is lost"
    ),
    aliases=("CoralLoss", "extended_binary_ordinal"),
    formula="-Σ_k (1[y > k] log σ(f_k) + 1[y ≤ k] log σ(-f_k)), k = 0, …, K - 2",
    outcome="the K - 1 answers to: does the class exceed k?",
    compare=False,
)
def coral() -> Likelihood:
    """The target is one of several ordered classes, seen as K - 1 answers of yes or no that are taken as independent.

    Each answer's probability is right, but their product is no law of the class: it gives mass to answers that contradict each
    other. Use ordinal or corn where a likelihood is wanted. raw holds K - 1 logits, in CORAL's own network one score plus K - 1
    biases; a target is the K - 1 answers, `likelihoods.catalog.ordered.levels(classes, K)`.
    """
    return Independent(Family(Bernoulli, logits=predicted()), 1)
