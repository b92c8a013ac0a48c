"""Losses of a positive target."""

from __future__ import annotations

from likelihoods.distributions import Gamma, LogNormal
from likelihoods.likelihood import Family, Likelihood
from likelihoods.registry import register
from likelihoods.sources import predicted


@register(
    elicits="mean",
    reference="McCullagh and Nelder (1989), Generalized Linear Models, doi:10.1007/978-1-4899-3242-6",
    examples=({}, {"concentration": 0.5}, {"concentration": 20.0}),
    aliases=("gamma_nll", "GammaLoss", "gamma_regression"),
    formula="k (f + y exp(-f)) + log Γ(k) - k log k - (k - 1) log y, k = concentration",
    nuisance=("concentration",),
)
def gamma(concentration: float = 1.0) -> Likelihood:
    """The target is positive, with a mean of exp(prediction) and a standard deviation in proportion to it.

    Use it for amounts, durations and costs that never are 0. It elicits the mean under any law; the concentration does not
    move the minimum. At an exact 0 the density is 0 or infinite unless the concentration is 1.
    """
    return Family(Gamma, mean=predicted("log"), concentration=concentration)


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
