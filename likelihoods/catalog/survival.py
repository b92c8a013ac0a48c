"""Losses of a time until an event, which may not have been seen."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from likelihoods.combinators import Censored
from likelihoods.distributions import FailureOrderBreslow, FailureOrderEfron, LogLogistic, LogNormal, Weibull
from likelihoods.functionals import Functional
from likelihoods.functionals.numbers import location
from likelihoods.likelihood import Family, Likelihood
from likelihoods.registry import register
from likelihoods.relations import Partial
from likelihoods.sources import predicted

TIES = {"efron": FailureOrderEfron, "breslow": FailureOrderBreslow}
INTERVAL = "the time, as the interval (low, high) in which it is known to lie"


@register(
    elicits="the law within its family",
    reference="Cox (1972), doi:10.1111/j.2517-6161.1972.tb00899.x; Cox (1975), doi:10.1093/biomet/62.2.269; "
    "Efron (1977), doi:10.1080/01621459.1977.10480613",
    relation=Partial(
        "the order of the failures, given who was at risk; the times and the baseline hazard are left out"
    ),
    examples=({}, {"ties": "breslow"}),
    aliases=("CoxPHLoss", "cox_ph", "proportional_hazards", "survival:cox", "deepsurv", "partial_likelihood"),
    formula="Σ over failures i of log Σ_{j at risk} exp(f_j) - f_i",
    outcome="who failed at each failure time",
    compare=False,
)
def cox(ties: str = "efron") -> Likelihood:
    """At each failure time the one who fails is one of those at risk, with odds that are the exponential of their scores.

    Use it where only relative hazards matter and no law of the times is to be assumed. Raw ``(..., n)`` holds the scores (log
    relative hazards) of the n subjects of a cohort, the target ``(..., n, 2)`` pairs (time, event), event 1 where the failure
    was seen and 0 where the subject was only followed till then. One loss describes a whole cohort: in mini-batches only
    the batch is at risk, which is another (composite) likelihood. Without ties it is the marginal likelihood of the ranks;
    `ties` is the rule for equal failure times, "efron" or "breslow", which is coarser.
    """
    if ties not in TIES:
        raise ValueError(f"ties={ties!r}; it must be 'efron' or 'breslow'.")
    return Family(TIES[ties], log_hazard=predicted())


def _power_mean(values: Tensor, weights: Tensor, concentration: float, **options: Any) -> Tensor:
    return (weights * values[..., 0] ** concentration).sum() ** (1 / concentration)


def _geometric_mean(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    return (weights * values[..., 0].log()).sum().exp()


def _logistic_score(residual: Tensor, concentration: float) -> Tensor:
    return torch.tanh(0.5 * concentration * residual)


def _logistic_location(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    of_population, _ = location(_logistic_score)
    return of_population(values[..., 0].log(), weights, **options).exp()


def _law_scale(law: Any) -> Tensor:
    scale: Tensor = law.base.scale
    return scale


def _law_median(law: Any) -> Tensor:
    loc: Tensor = law.base.loc
    return loc.exp()


@register(
    elicits=Functional("power mean of the times", _power_mean, _law_scale),
    reference="Kalbfleisch and Prentice (2002), doi:10.1002/9781118032985; Barnwal, Cho and Hocking (2022), "
    "https://arxiv.org/abs/2006.04920",
    examples=({}, {"concentration": 0.7}),
    aliases=("weibull_survival", "aft_weibull"),
    formula="-log p(y), -log P(low < y ≤ high) where only that is known",
    outcome=INTERVAL,
    nuisance=("concentration",),
    compare=False,
)
def weibull_aft(concentration: float = 1.0) -> Likelihood:
    """The time, of which only an interval may be known, follows a Weibull law, and the prediction is the log of its scale.

    Use it for times until an event whose hazard grows or falls as a power: `concentration` 1 is a constant hazard, more a growing
    one. Targets are pairs (low, high): equal where the time was seen, (c, inf) where it was longer than c, (0, c) where it was at
    most c. From times and events: torch.stack([time, torch.where(event, time, torch.inf)], -1). Learn the concentration through
    NLL(likelihood.learn("concentration")), as a wrong one gives wrong scales wherever times are censored.
    """
    return Censored(Family(Weibull, scale=predicted("log"), concentration=concentration))


@register(
    elicits=Functional("geometric mean of the times", _geometric_mean, _law_median),
    reference="Kalbfleisch and Prentice (2002), doi:10.1002/9781118032985; Barnwal, Cho and Hocking (2022), "
    "https://arxiv.org/abs/2006.04920",
    examples=({}, {"scale": 0.4}),
    aliases=("log_normal_survival", "aft_normal", "survival:aft"),
    formula="-log p(y), -log P(low < y ≤ high) where only that is known",
    outcome=INTERVAL,
    nuisance=("scale",),
    compare=False,
)
def log_normal_aft(scale: float = 1.0) -> Likelihood:
    """The logarithm of the time, of which only an interval may be known, is the prediction plus Gaussian noise.

    Use it for times whose hazard first grows and then falls. It elicits their geometric mean, not the mean. Targets are pairs
    (low, high), as for weibull_aft. `scale` is the noise's standard deviation: learn it through
    NLL(likelihood.learn("scale")). XGBoost's survival:aft with the normal distribution is this loss, but for its floor in the
    tails.
    """
    return Censored(Family(LogNormal, loc=predicted(), scale=scale))


@register(
    elicits=Functional("logistic location of the log times", _logistic_location, _law_scale),
    reference="Kalbfleisch and Prentice (2002), doi:10.1002/9781118032985; Barnwal, Cho and Hocking (2022), "
    "https://arxiv.org/abs/2006.04920",
    examples=({}, {"concentration": 3.0}),
    aliases=("log_logistic_survival", "aft_logistic"),
    formula="-log p(y), -log P(low < y ≤ high) where only that is known",
    outcome=INTERVAL,
    nuisance=("concentration",),
    compare=False,
)
def log_logistic_aft(concentration: float = 1.0) -> Likelihood:
    """The logarithm of the time, of which only an interval may be known, is the prediction plus logistic noise.

    Use it for times whose hazard first grows and then falls, with heavier tails than log_normal_aft: the odds of outliving a time
    are multiplied by what moves the prediction. The exponential of the prediction is the median. Targets are pairs (low, high),
    as for weibull_aft. `concentration` is one over the noise's scale: learn it through NLL(likelihood.learn("concentration")).
    """
    return Censored(Family(LogLogistic, scale=predicted("log"), concentration=concentration))
