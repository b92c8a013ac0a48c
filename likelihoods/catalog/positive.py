"""Losses of a positive target, and of one that is positive or exactly 0."""

from __future__ import annotations

from torch import Tensor

from likelihoods.catalog.deviance import check_power, compound, saturated
from likelihoods.combinators import Hurdle
from likelihoods.distributions import Exponential, Gamma, InverseGaussian, LogNormal, Weibull
from likelihoods.likelihood import Family, Likelihood
from likelihoods.registry import register
from likelihoods.relations import Affine, stated
from likelihoods.sources import predicted


@register(
    elicits="mean",
    reference="McCullagh and Nelder (1989), Generalized Linear Models, doi:10.1007/978-1-4899-3242-6",
    examples=({}, {"concentration": 0.5}, {"concentration": 20.0}),
    aliases=("gamma_nll", "GammaLoss", "gamma_regression", "HalfGammaLoss", "reg:gamma", "gamma-nloglik"),
    formula="k (f + y exp(-f)) + log Γ(k) - k log k - (k - 1) log y, k = concentration",
    nuisance=("concentration",),
)
def gamma(concentration: float = 1.0) -> Likelihood:
    """The target is positive, with a mean of exp(prediction) and a standard deviation in proportion to it.

    Use it for amounts, durations and costs that never are 0. It elicits the mean under any law; the concentration does not
    move the minimum. At an exact 0 the density is 0 or infinite unless the concentration is 1. The default is the objective
    of scikit-learn, LightGBM and XGBoost.
    """
    return Family(Gamma, mean=predicted("log"), concentration=concentration)


@register(
    elicits="mean",
    reference="Johnson, Kotz and Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 19",
    aliases=("exponential_nll", "exponential_regression", "ExponentialNLLLoss", "exponential_waiting_time"),
    formula="f + y exp(-f)",
    compare=False,  # gamma and weibull have it among theirs
)
def exponential() -> Likelihood:
    """The target is the waiting time for an event that comes at any moment with equal chance, after exp(prediction) on average.

    Use it for times without memory; gamma and weibull have one parameter more, which says whether the chance rises or falls
    with the time waited. It elicits the mean. (AdaBoost's exponential loss is another: it has labels of -1 and 1.)
    """
    return Family(Exponential, rate=predicted("negative_log"))


@register(
    elicits="mean",
    reference="Tweedie (1957), doi:10.1214/aoms/1177706964; McCullagh and Nelder (1989), doi:10.1007/978-1-4899-3242-6",
    examples=({}, {"concentration": 0.3}, {"concentration": 20.0}),
    aliases=("inverse_gaussian_nll", "InverseGaussianLoss", "invgauss", "wald"),
    formula="k (y exp(-f) - 1)² / (2 y) + log(2π y³ / k) / 2, k = concentration",
    nuisance=("concentration",),
)
def inverse_gaussian(concentration: float = 1.0) -> Likelihood:
    """The target is the time at which a drifting Brownian motion first reaches a level, with a mean of exp(prediction).

    Use it for positive targets with a longer right tail than gamma's: the variance is mean³/concentration. It elicits the
    mean under any law, but counts an error the less the larger the mean.
    """
    return Family(InverseGaussian, mean=predicted("log"), concentration=concentration)


@register(
    elicits="geometric mean",
    reference="Johnson, Kotz and Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 14",
    examples=({}, {"scale": 0.2}),
    aliases=("log_normal_nll", "LogNormalLoss", "lognormal"),
    formula="(log y - f)² / (2 scale²) + log(scale y) + log(2π) / 2",
    nuisance=("scale",),
)
def log_normal(scale: float = 1.0) -> Likelihood:
    """The target is positive, and its logarithm is the prediction plus Gaussian noise.

    Use it for amounts that come from factors multiplied together. exp(prediction) is the median, not the mean: the mean is
    larger by a factor of exp(scale²/2).
    """
    return Family(LogNormal, loc=predicted(), scale=scale)


@register(
    elicits="power mean",
    reference="Johnson, Kotz and Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 21",
    examples=({}, {"concentration": 0.7}, {"concentration": 1.5}),
    aliases=("weibull_nll", "WeibullLoss", "weibull_regression"),
    formula="exp(k (log y - f)) - k (log y - f) - log k + log y, k = concentration",
    nuisance=("concentration",),
)
def weibull(concentration: float = 1.0) -> Likelihood:
    """The target is a time to failure whose hazard is a power of the time, on the scale of exp(prediction).

    Use it for lifetimes and wind speeds: the hazard rises with time where the concentration is above 1, and falls below 1.
    exp(prediction) is neither mean nor median: 63 % of the targets are below it. It elicits the power mean E[y^k]^(1/k).
    """
    return Family(Weibull, scale=predicted("log"), concentration=concentration)


def tweedie_offset(target: Tensor, likelihood: Likelihood, power: float, dispersion: float) -> Tensor:
    """Return dispersion * log a(y), where a(y) is the density's factor that is free of the mean; 0 at y = 0."""
    best = saturated(target, likelihood, dispersion, 0.0)
    return best - target.clamp_min(0) ** (2 - power) / ((1 - power) * (2 - power))


def _tweedie_relation(power: float, dispersion: float) -> Affine:
    check_power("tweedie", power)
    law = compound(power, dispersion)
    words = f"{dispersion:g} log a(y), 0 at y = 0"
    return Affine(dispersion, stated(words, tweedie_offset, likelihood=law, power=power, dispersion=dispersion))


@register(
    elicits="mean",
    reference="Jorgensen (1987), doi:10.1111/j.2517-6161.1987.tb01685.x; Dunn and Smyth (2005), doi:10.1007/s11222-005-4070-y",
    relation=_tweedie_relation,
    examples=({}, {"power": 1.2}, {"power": 1.9, "dispersion": 0.5}),
    aliases=("TweedieLoss", "HalfTweedieLoss", "reg:tweedie", "tweedie_regression", "compound_poisson_gamma"),
    formula="exp((2-p) f) / (2-p) - y exp((1-p) f) / (1-p), p = power",
    nuisance=("dispersion", "power"),
    compare=False,  # its density is a series, which takes minutes to fit
)
def tweedie(power: float = 1.5, dispersion: float = 1.0) -> Likelihood:
    """The target is a sum of a random number of positive amounts, so it is 0 or positive, with a mean of exp(prediction).

    Use it for claims, rain and spending, where many targets are exactly 0. The variance is dispersion · mean^power. It elicits
    the mean under any law; the value, which is the objective of LightGBM, XGBoost and scikit-learn, does not know the
    dispersion, which only says how it reads in nats. Where the zeros have causes of their own, hurdle_gamma is better.
    """
    check_power("tweedie", power)
    return compound(power, dispersion)


@register(
    elicits="share of zeros and mean",
    reference="Duan, Manning, Morris, Newhouse (1983), doi:10.1080/07350015.1983.10509330",
    examples=({}, {"concentration": 3.0}),
    aliases=("zero_inflated_gamma", "two_part_gamma", "zig", "delta_gamma"),
    formula="-log σ(g) where y = 0, -log σ(-g) + gamma's beyond, (g, f) = raw",
    nuisance=("concentration",),
    compare=False,  # 0 has a probability and other values a density, which no other law can be compared with
)
def hurdle_gamma(concentration: float = 1.0) -> Likelihood:
    """The target is 0 with a probability of its own, and otherwise positive as under gamma.

    Raw output holds the log-odds of 0 and the logarithm of the mean of the others, `torch.stack([zero, log_mean], -1)`. Use it
    for spending, rain and claims where whether and how much have different causes; it is the same law as a zero-inflated one.
    A value at 0 is a log-probability, a value beyond it a log-density.
    """
    return Hurdle(Family(Gamma, mean=predicted("log"), concentration=concentration))


@register(
    elicits="share of zeros and geometric mean of the others",
    reference="Duan, Manning, Morris, Newhouse (1983), doi:10.1080/07350015.1983.10509330; Aitchison (1955), doi:10.2307/2281175",
    examples=({}, {"scale": 0.3}),
    aliases=("zero_inflated_log_normal", "ziln", "ZILNLoss", "two_part_log_normal", "delta_log_normal"),
    formula="-log σ(g) where y = 0, -log σ(-g) + log_normal's beyond, (g, f) = raw",
    nuisance=("scale",),
    compare=False,  # as hurdle_gamma
)
def hurdle_log_normal(scale: float = 1.0) -> Likelihood:
    """The target is 0 with a probability of its own, and otherwise positive as under log_normal.

    Raw output holds the log-odds of 0 and the mean logarithm of the others, `torch.stack([zero, log_median], -1)`. Use it for
    what customers spend, and the like. A value at 0 is a log-probability, a value beyond it a log-density.
    """
    return Hurdle(Family(LogNormal, loc=predicted(), scale=scale))
