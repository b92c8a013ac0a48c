"""Losses that are deviances: twice what a prediction loses, in nats, against the best prediction of the same target."""

from __future__ import annotations

import torch
from torch import Tensor

from likelihoods.distributions import Gamma, InverseGaussian, Poisson, Tweedie
from likelihoods.likelihood import Family, Likelihood
from likelihoods.registry import register
from likelihoods.relations import Affine, stated
from likelihoods.sources import predicted


def saturated(target: Tensor, likelihood: Likelihood, scale: float, at_zero: float) -> Tensor:
    """Return scale * log p(y; mean = y) for y > 0, in nats, and ``at_zero`` for y = 0.

    Args:
        target: ``(...)``, not negative.
        likelihood: of width 1, whose raw output is the logarithm of the mean.
        scale: a factor.
        at_zero: the limit at y = 0.
    """
    some = torch.where(target > 0, target, 1.0)
    best = likelihood.log_prob(some.log(), some)
    return torch.where(target > 0, scale * best, at_zero)


def _deviance(likelihood: Likelihood, scale: float, at_zero: float = 0.0) -> Affine:
    words = f"{scale:.6g} log p(y; mean = y)"
    return Affine(scale, stated(words, saturated, likelihood=likelihood, scale=scale, at_zero=at_zero))


def check_power(row: str, power: float) -> None:
    """Raise ValueError unless 1 < power < 2; the message names the row of the law with the power that was given."""
    if not 1 < power < 2:
        others: dict[float, str] = {
            0: "0 is the squared error: write loss('mse')",
            1: "1 is Poisson's: write loss('poisson_nll') or loss('poisson_deviance')",
            2: "2 is the gamma law's: write loss('gamma') or loss('gamma_deviance')",
            3: "3 is the inverse Gaussian's: write loss('inverse_gaussian') or loss('inverse_gaussian_deviance')",
        }
        hint = others.get(power, "no power between 0 and 1 belongs to a law")
        raise ValueError(
            f"{row}: power={power}; it must be between 1 and 2, both left out. {hint[0].upper()}{hint[1:]}."
        )


def _poisson() -> Likelihood:
    return Family(Poisson, rate=predicted("log"))


@register(
    elicits="mean",
    reference="McCullagh and Nelder (1989), Generalized Linear Models, doi:10.1007/978-1-4899-3242-6",
    relation=lambda: _deviance(_poisson(), 2.0),
    aliases=("mean_poisson_deviance", "PoissonDevianceLoss"),
    formula="2 (y log y - y f - y + exp(f))",
    compare=False,  # the law of poisson_nll
)
def poisson_deviance() -> Likelihood:
    """The target counts events that happen independently at a rate of exp(prediction).

    Use it as poisson_nll, whose gradient it has twice: its value is 0 for a perfect prediction, so that it can be compared
    with that of a constant. scikit-learn's mean_poisson_deviance takes the rate itself; here the prediction is its logarithm.
    """
    return _poisson()


def _gamma(concentration: float) -> Likelihood:
    return Family(Gamma, mean=predicted("log"), concentration=concentration)


@register(
    elicits="mean",
    reference="McCullagh and Nelder (1989), Generalized Linear Models, doi:10.1007/978-1-4899-3242-6",
    relation=lambda concentration: _deviance(_gamma(concentration), 2 / concentration, torch.inf),
    examples=({}, {"concentration": 0.5}, {"concentration": 20.0}),
    aliases=("mean_gamma_deviance", "GammaDevianceLoss"),
    formula="2 (f - log y + y exp(-f) - 1)",
    nuisance=("concentration",),
    compare=False,  # the law of gamma
)
def gamma_deviance(concentration: float = 1.0) -> Likelihood:
    """The target is positive, with a mean of exp(prediction) and a standard deviation in proportion to it.

    Use it as gamma: its value is 0 for a perfect prediction, whatever the concentration, which only says how the loss
    reads in nats. scikit-learn's mean_gamma_deviance takes the mean itself; here the prediction is its logarithm. A target
    of 0 is infinitely bad.
    """
    return _gamma(concentration)


def _inverse_gaussian(concentration: float) -> Likelihood:
    return Family(InverseGaussian, mean=predicted("log"), concentration=concentration)


@register(
    elicits="mean",
    reference="Tweedie (1957), doi:10.1214/aoms/1177706964; McCullagh and Nelder (1989), doi:10.1007/978-1-4899-3242-6",
    relation=lambda concentration: _deviance(_inverse_gaussian(concentration), 2 / concentration, torch.inf),
    examples=({}, {"concentration": 0.5}, {"concentration": 20.0}),
    aliases=("InverseGaussianDevianceLoss", "wald_deviance"),
    formula="(y exp(-f) - 1)² / y",
    nuisance=("concentration",),
    compare=False,  # the law of inverse_gaussian
)
def inverse_gaussian_deviance(concentration: float = 1.0) -> Likelihood:
    """The target is positive, with a mean of exp(prediction) and a variance in proportion to its third power.

    Use it as inverse_gaussian: its value is 0 for a perfect prediction, whatever the concentration, which only says how the
    loss reads in nats. It is scikit-learn's mean_tweedie_deviance at power 3, of the logarithm of the mean.
    """
    return _inverse_gaussian(concentration)


def compound(power: float, dispersion: float) -> Likelihood:
    """Return the Tweedie likelihood of a mean on the log scale."""
    return Family(Tweedie, mean=predicted("log"), dispersion=dispersion, power=power)


def _tweedie_relation(power: float, dispersion: float) -> Affine:
    check_power("tweedie_deviance", power)
    return _deviance(compound(power, dispersion), 2 * dispersion)


@register(
    elicits="mean",
    reference="Jorgensen (1987), doi:10.1111/j.2517-6161.1987.tb01685.x; Dunn and Smyth (2005), doi:10.1007/s11222-005-4070-y",
    relation=_tweedie_relation,
    examples=({}, {"power": 1.2}, {"power": 1.9, "dispersion": 0.5}),
    aliases=("mean_tweedie_deviance", "TweedieDevianceLoss"),
    formula="2 (y^(2-p) / ((1-p)(2-p)) - y exp((1-p) f) / (1-p) + exp((2-p) f) / (2-p)), p = power",
    nuisance=("dispersion",),
    compare=False,  # the law of tweedie
)
def tweedie_deviance(power: float = 1.5, dispersion: float = 1.0) -> Likelihood:
    """The target is a sum of a random number of positive amounts, so it is 0 or positive, with a mean of exp(prediction).

    Use it as tweedie: its value is 0 for a perfect prediction. scikit-learn's mean_tweedie_deviance takes the mean itself;
    here the prediction is its logarithm. The dispersion only says how the loss reads in nats.
    """
    check_power("tweedie_deviance", power)
    return compound(power, dispersion)
