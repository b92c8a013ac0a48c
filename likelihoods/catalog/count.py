"""Losses of a count."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from likelihoods.combinators import Hurdle, ZeroInflated
from likelihoods.distributions import BetaBinomial, Binomial, Geometric, Multinomial, NegativeBinomial, Poisson
from likelihoods.likelihood import Family, Likelihood
from likelihoods.links import shifted
from likelihoods.registry import register
from likelihoods.relations import Affine, stated
from likelihoods.sources import predicted


def poisson_offset(target: Tensor, shift: float, full: bool) -> Tensor:
    """Return -log y! - shift, and with ``full`` Stirling's approximation of log y! added to it, as torch adds it."""
    offset = -torch.lgamma(target + 1) - shift
    if not full:
        return offset
    safe = target.clamp_min(1)
    stirling = safe * safe.log() - safe + 0.5 * torch.log(2 * math.pi * safe)
    return offset + stirling * (target > 1)


def _poisson_relation(log_input: bool, full: bool, eps: float) -> Affine:
    moved = "" if log_input else f" - {eps:g}"
    words = (
        f"-log y! + Stirling(y){moved}, Stirling(y) = y log y - y + log(2π y)/2 for y > 1, else 0"
        if full
        else f"-log y!{moved}"
    )
    return Affine(1.0, stated(words, poisson_offset, shift=0.0 if log_input else eps, full=full))


@register(
    elicits="mean",
    reference="Gourieroux, Monfort and Trognon (1984), doi:10.2307/1913471",
    relation=_poisson_relation,
    examples=({}, {"full": True}, {"log_input": False}, {"log_input": False, "full": True, "eps": 1e-3}),
    aliases=("PoissonNLLLoss", "poisson", "poisson_regression", "poisson_loss", "HalfPoissonLoss", "count:poisson"),
    formula="exp(f) - y f (log_input), or f - y log(f + eps)",
)
def poisson_nll(log_input: bool = True, full: bool = False, eps: float = 1e-8) -> Likelihood:
    """The target counts events that happen independently at a rate of exp(prediction).

    Use it for counts whose variance is near their mean. It elicits the mean of any non-negative target; with a variance
    above the mean its nats are wrong, and negative_binomial is better. `full` adds Stirling's approximation of log y!, which
    moves the value, never the gradient; the exact value in nats is `.nll`.
    """
    return Family(Poisson, rate=predicted("log" if log_input else shifted(eps)))


@register(
    elicits="mean",
    reference="Lawless (1987), doi:10.2307/3314912",
    examples=({}, {"dispersion": 0.1}, {"dispersion": 5.0}),
    aliases=("nb", "nb2", "negbin", "NegativeBinomialLoss", "negative_binomial_nll"),
    formula="-log NB(y; mean exp(f), variance mean + dispersion mean²)",
    nuisance=("dispersion",),
)
def negative_binomial(dispersion: float = 1.0) -> Likelihood:
    """The target counts events at a rate of exp(prediction) times a Gamma factor, which differs from case to case.

    Use it for counts whose variance exceeds their mean, the common case. As the dispersion falls to 0 it becomes poisson_nll.
    """
    return Family(NegativeBinomial, mean=predicted("log"), dispersion=dispersion)


@register(
    elicits="mean",
    reference="Johnson, Kemp and Kotz (2005), Univariate Discrete Distributions, section 5.2, doi:10.1002/0471715816",
    aliases=("GeometricLoss", "geometric_nll", "geometric_regression"),
    formula="y softplus(-f) + softplus(f)",
    compare=False,  # negative_binomial at a dispersion of 1
)
def geometric() -> Likelihood:
    """The target counts the failures before the first success, or the whole steps that a thing lasts, exp(prediction) on average.

    Use it for durations in whole steps that have no memory. It is negative_binomial with a dispersion of 1, and elicits the
    mean of any non-negative target.
    """
    return Family(Geometric, logits=predicted("negative"))


@register(
    elicits="mean",
    reference="Johnson, Kemp and Kotz (2005), Univariate Discrete Distributions, chapter 3, doi:10.1002/0471715816",
    examples=({}, {"total_count": 12}),
    aliases=("BinomialLoss", "binomial_nll", "binomial_regression"),
    formula="-y log σ(f) - (n - y) log σ(-f) - log C(n, y), n = total_count",
    compare=False,  # the number of trials must be known
)
def binomial(total_count: int = 1) -> Likelihood:
    """The target counts the successes among `total_count` independent trials, and the prediction is the log-odds of a success.

    Use it for shares of a known number. With one trial it is bce_with_logits. Where the number of trials differs from row to
    row, build the law for the batch: lk.distributions.Binomial(trials, logits=raw).log_prob(y).
    """
    return Family(Binomial, total_count=total_count, logits=predicted())


@register(
    elicits="beta-binomial chance",
    reference="Williams (1975), doi:10.2307/2529820; Crowder (1978), doi:10.2307/2346223",
    examples=({"total_count": 12}, {"total_count": 3, "precision": 0.5}, {"total_count": 30, "precision": 20.0}),
    aliases=("BetaBinomialLoss", "beta_binomial_nll", "beta_binomial_regression"),
    formula="-log C(n, y) - log B(y + φ σ(f), n - y + φ σ(-f)) + log B(φ σ(f), φ σ(-f)), n = total_count, φ = precision",
    nuisance=("precision",),
    compare=False,  # as binomial
)
def beta_binomial(total_count: int = 1, precision: float = 2.0) -> Likelihood:
    """The target counts the successes among `total_count` trials whose chance differs from case to case by a beta law.

    Use it for shares of a known number that scatter more than binomial allows. The prediction is the log-odds of the mean
    chance; the precision says how alike the chances are, and binomial is its limit. Unlike binomial it does not elicit the
    mean where the law is wrong. Trials that differ from row to row: as in binomial, with lk.distributions.BetaBinomial.
    """
    return Family(BetaBinomial, total_count=total_count, logits=predicted(), precision=precision)


@register(
    elicits="mean shares",
    reference="Johnson, Kotz and Balakrishnan (1997), Discrete Multivariate Distributions, chapter 35",
    examples=({"total_count": 6, "classes": 3}, {"total_count": 1, "classes": 4}),
    aliases=("MultinomialLoss", "multinomial_nll", "multinomial_counts"),
    formula="-Σ_k y_k log softmax(f)_k - log(n! / Π_k y_k!), n = total_count",
    outcome="the counts of all classes, which add up to total_count",
    compare=False,  # a vector
)
def multinomial(total_count: int = 1, classes: int | None = None) -> Likelihood:
    """The target is a vector of counts of `total_count` independent draws, each of one of several classes.

    Use it for counts of classes among a known number, of shape (..., K) as the predictions, which are their log-probabilities
    up to a common constant. A single draw is cross_entropy; totals that differ from row to row: build the law for the batch,
    lk.distributions.Multinomial(y.sum(-1), raw).log_prob(y).
    """
    return Family(Multinomial, total_count=total_count, logits=predicted("identity", size=classes))


@register(
    elicits="share of zeros, at least the base's, and mean",
    reference="Lambert (1992), doi:10.2307/1269547",
    aliases=("zip", "zip_loss", "ZIPLoss", "zero_inflated_poisson_nll"),
    formula="-log(σ(g) + σ(-g) exp(-exp(f))) where y = 0, -log σ(-g) + exp(f) - y f + log y! beyond, (g, f) = raw",
)
def zero_inflated_poisson() -> Likelihood:
    """The target is a Poisson count, but for a share of cases in which it can be nothing but 0.

    Raw output holds the log-odds of such a case and the logarithm of the rate of the others, `torch.stack([gate, log_rate],
    -1)`. Use it where some cannot have the event at all (those who never fish, genes that were missed). It only adds zeros;
    hurdle_poisson may lack some too. If the other counts scatter more than Poisson's, zero_inflated_negative_binomial is better.
    """
    return ZeroInflated(Family(Poisson, rate=predicted("log")))


@register(
    elicits="share of zeros, at least the base's, and mean",
    reference="Greene (1994), NYU Stern paper EC-94-10, https://ssrn.com/abstract=1293115; Lambert (1992), doi:10.2307/1269547",
    examples=({}, {"dispersion": 0.2}),
    aliases=("zinb", "ZINBLoss", "zero_inflated_negative_binomial_nll"),
    formula="-log(σ(g) + σ(-g) NB(0)) where y = 0, -log σ(-g) - log NB(y) beyond, NB as negative_binomial, (g, f) = raw",
    nuisance=("dispersion",),
)
def zero_inflated_negative_binomial(dispersion: float = 1.0) -> Likelihood:
    """The target is a negative binomial count, but for a share of cases in which it can be nothing but 0.

    Raw output holds the log-odds of such a case and the logarithm of the mean of the others, `torch.stack([gate, log_mean],
    -1)`. Use it for counts of single cells, and wherever zero_inflated_poisson is too narrow. A large dispersion makes many
    zeros by itself, so gate and dispersion are hard to tell apart: try negative_binomial first.
    """
    return ZeroInflated(Family(NegativeBinomial, mean=predicted("log"), dispersion=dispersion))


@register(
    elicits="share of zeros and mean",
    reference="Mullahy (1986), doi:10.1016/0304-4076(86)90002-3",
    aliases=("poisson_hurdle", "zero_altered_poisson", "zap"),
    formula="-log σ(g) where y = 0, -log σ(-g) + log(exp(exp(f)) - 1) - y f + log y! beyond, (g, f) = raw",
)
def hurdle_poisson() -> Likelihood:
    """The target is 0 with a probability of its own, and otherwise a Poisson count given that it is not 0.

    Raw output holds the log-odds of 0 and the logarithm of the rate, `torch.stack([zero, log_rate], -1)`. Use it where whether
    and how often have different causes (to see a doctor at all, and how often then). Zeros may be more or fewer than
    Poisson's. The two parts are fitted apart from each other.
    """
    return Hurdle(Family(Poisson, rate=predicted("log")))


@register(
    elicits="share of zeros and mean",
    reference="Mullahy (1986), doi:10.1016/0304-4076(86)90002-3",
    examples=({}, {"dispersion": 0.2}),
    aliases=("negative_binomial_hurdle", "hurdle_nb", "zero_altered_negative_binomial", "zanb"),
    formula="-log σ(g) where y = 0, -log σ(-g) - log(NB(y) / (1 - NB(0))) beyond, NB as negative_binomial, (g, f) = raw",
    nuisance=("dispersion",),
)
def hurdle_negative_binomial(dispersion: float = 1.0) -> Likelihood:
    """The target is 0 with a probability of its own, and otherwise a negative binomial count given that it is not 0.

    Raw output holds the log-odds of 0 and the logarithm of the mean before zeros are left out, `torch.stack([zero, log_mean],
    -1)`. Use it as hurdle_poisson, where the counts beyond 0 scatter more than Poisson's.
    """
    return Hurdle(Family(NegativeBinomial, mean=predicted("log"), dispersion=dispersion))
