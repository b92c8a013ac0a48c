"""Losses of a real target that predict its spread, or its whole law, beside its place."""

from __future__ import annotations

import math
from functools import partial

from torch import Tensor

from likelihoods.combinators import Mixture
from likelihoods.distributions import Normal
from likelihoods.evidential import Evidential
from likelihoods.likelihood import Family, Likelihood
from likelihoods.links import find_link
from likelihoods.links import variance as variance_link
from likelihoods.registry import register
from likelihoods.relations import Affine, Exact, NoLikelihood, Relation
from likelihoods.sources import predicted

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


@register(
    elicits="mean and variance",
    reference="Nix and Weigend (1994), doi:10.1109/ICNN.1994.374138; Dawid and Sebastiani (1999), doi:10.1214/aos/1018031101",
    relation=lambda full, eps: Exact if full else Affine(1.0, -HALF_LOG_2PI),
    examples=({}, {"full": True}, {"eps": 1e-3}),
    aliases=("GaussianNLLLoss", "gaussian_nll_loss", "heteroscedastic"),
    formula="(log v + (f - y)² / v) / 2, (f, v) = raw, v at least eps",
    compare=False,  # a variance is no linear predictor; Family(Normal, loc=predicted(), scale=predicted()) is its better half
)
def gaussian_nll(full: bool = False, eps: float = 1e-6) -> Likelihood:
    """The target is the prediction plus Gaussian noise, whose variance is predicted as well.

    Raw output holds the mean and the variance, `torch.stack([mean, var], -1)`. A network does better with an unconstrained
    scale: NLL(Family(Normal, loc=predicted(), scale=predicted("softplus"))).
    """
    return Family(Normal, loc=predicted(), scale=predicted(variance_link(eps)))


@register(
    elicits="mean and variance",
    reference="Nix and Weigend (1994), doi:10.1109/ICNN.1994.374138; Dawid and Sebastiani (1999), doi:10.1214/aos/1018031101",
    examples=({}, {"link": "log"}),
    aliases=("heteroscedastic_normal", "heteroscedastic_regression", "mean_variance_estimation", "normal_nll"),
    formula="log s + (f - y)² / (2 s²) + log(2π)/2, s = link(the second raw number)",
    compare=False,  # choose compares laws whose scale is the same in every row
)
def heteroscedastic_gaussian(link: str = "softplus") -> Likelihood:
    """The target is the prediction plus Gaussian noise, whose standard deviation is predicted as well.

    Use it when the noise differs from case to case. Raw output holds the mean and the raw scale, any two real numbers; `link`,
    "softplus" or "log", makes the scale positive. While the scale is still wide the mean is learned slowly: begin with mse, or
    see beta_nll. One scale for all the data is learned by NLL(loss("mse").likelihood.learn("scale")).
    """
    return Family(Normal, loc=predicted(), scale=predicted(link))


@register(
    elicits="the law within its family",
    reference="Bishop (1994), Mixture density networks, https://publications.aston.ac.uk/id/eprint/373/",
    examples=({}, {"components": 1, "link": "log"}, {"components": 2}),
    aliases=("mdn", "mixture_density_network", "gaussian_mixture", "mixture_of_gaussians", "MDNLoss"),
    formula="-log Σ_k softmax(a)_k Normal(y; m_k, s_k)",
    compare=False,  # a linear fit cannot part the components
)
def mixture_density(components: int = 3, link: str = "softplus") -> Likelihood:
    """The target comes from one of several Gaussian laws, whose shares, means and standard deviations are all predicted.

    Use it when the same input has several answers, or noise of no simple shape. Raw output holds the logits of the
    `components`, then mean and raw scale of each: width 3 components. It has no lower bound: a component that closes in on a
    single target earns without end, so stop early, or floor the scale.
    """
    return Mixture(Family(Normal, loc=predicted(), scale=predicted(link)), components)


def beta_weighted(raw: Tensor, target: Tensor, beta: float, link: str) -> Tensor:
    """Return v^beta (log v + (f - y)²/v) / 2, where v is the predicted variance and v^beta has no gradient.

    Args:
        raw: ``(..., 2)``: the mean f and the raw scale.
        target: ``(...)``.
        beta: from 0, the Gaussian loss, to 1, with the squared error's gradient in the mean.
        link: of the scale.

    >>> import torch
    >>> beta_weighted(torch.tensor([[0.0, 0.0]]), torch.tensor([1.0]), beta=0.5, link="log")
    tensor([0.5000])
    """
    mean, scale = raw[..., 0], find_link(link).forward(raw[..., 1])
    variance = scale * scale
    return variance.detach() ** beta * (scale.log() + 0.5 * (mean - target) ** 2 / variance)


def _beta_relation(beta: float, link: str) -> Relation:
    if beta == 0:
        return Affine(1.0, -HALF_LOG_2PI)
    return NoLikelihood(
        partial(beta_weighted, beta=beta, link=link),
        f"the weight v^{beta:g} is held fixed while the rest is differentiated, and what then trains the network is the "
        f"gradient of no function (it has a curl), so of no log-density.",
        "heteroscedastic_gaussian",
    )


@register(
    elicits="mean and variance, where its gradient is 0",
    reference="Seitzer, Tavakoli, Antic and Martius (2022), arXiv:2203.09168",
    relation=_beta_relation,
    examples=({}, {"beta": 0.0}, {"beta": 1.0, "link": "log"}),
    aliases=("BetaNLLLoss", "beta_gaussian_nll", "seitzer"),
    formula="v^beta (log v + (f - y)² / v) / 2, v^beta without gradient",
    compare=False,  # it has no likelihood
)
def beta_nll(beta: float = 0.5, link: str = "softplus") -> Likelihood:
    """The target is the prediction plus Gaussian noise of predicted variance, and wide cases are weighted up as they are learned.

    Use it to train what heteroscedastic_gaussian describes where that one leaves the mean behind: a wide case pulls on its mean
    with weight v^(beta - 1). Its gradient is 0 at the true mean and variance, but its value is no score: evaluate by
    heteroscedastic_gaussian, whose raw output it shares. At beta = 0 it is that loss; at 1 the mean has the squared error's
    gradient.
    """
    if not beta >= 0:
        raise ValueError(f"beta={beta!r}; give a number from 0 to 1, such as 0.5.")
    return heteroscedastic_gaussian(link)


def evidential_penalized(raw: Tensor, target: Tensor, coefficient: float) -> Tensor:
    """Return the loss of evidential regression with its penalty, coefficient |f - y| (2 evidence + concentration).

    Args:
        raw: ``(..., 4)``, as in :class:`likelihoods.Evidential`.
        target: ``(...)``.
        coefficient: weight of the penalty.
    """
    likelihood = Evidential()
    loc, evidence, concentration, _ = likelihood.prior(raw)
    penalty = (loc - target).abs() * (2 * evidence + concentration)
    return coefficient * penalty - likelihood.distribution(raw).log_prob(target)


def _evidential_relation(coefficient: float) -> Relation:
    if coefficient == 0:
        return Exact
    return NoLikelihood(
        partial(evidential_penalized, coefficient=coefficient),
        "exp(-loss) integrates over the target to a number below 1 that moves with the predicted evidence, for the penalty "
        "is added to a law that was normalised without it.",
        "evidential",
    )


@register(
    elicits="the law within its family, without the penalty",
    reference="Amini, Schwarting, Soleimany and Rus (2020), arXiv:1910.02600; Meinert, Gawlikowski and Lavin (2023), "
    "arXiv:2205.10060",
    relation=_evidential_relation,
    examples=({}, {"coefficient": 0.01}),
    aliases=("deep_evidential_regression", "evidential_regression", "nig", "nig_nll", "normal_inverse_gamma"),
    formula="-log t(y; 2α, f, √(β(1 + ν)/(αν))) + coefficient |f - y| (2ν + α)",
    compare=False,  # one of its four numbers cannot be learned from data
)
def evidential(coefficient: float = 0.0) -> Likelihood:
    """The target is Gaussian with an unknown mean and variance, whose prior, a normal-inverse-gamma law, is predicted.

    Use it for a Student-t law with predicted location, scale and tails. Raw output holds f, and ν, α, β before their links
    (softplus, 1 + softplus, softplus). The likelihood knows β and ν through β(1 + 1/ν) alone, so what it calls evidence is not
    learned from data; the `coefficient` of the penalty settles it, and makes the loss no likelihood.
    """
    if not coefficient >= 0:
        raise ValueError(f"coefficient={coefficient!r}; the weight of the penalty is not negative.")
    return Evidential()
