"""Laws of laws as cases of the battery: each a subclass that builds its parts from scalar parameters.

The formulas are those of the definitions, with the parts' own from the literature; they share no code with the package.
"""

from __future__ import annotations

import mpmath as mp
import torch
from torch.distributions import constraints

from likelihoods.distributions import Gamma, Hurdle, Mixture, NegativeBinomial, Normal, Poisson, ZeroInflated
from likelihoods.distributions.base import promote
from tests.distributions.case import Case

REAL, POSITIVE = constraints.real, constraints.positive


def law(name, combinator, build, **parameters):
    """Return a subclass of a combinator with scalar parameters, which ``build`` turns into the combinator's arguments."""

    names = tuple(parameters)

    def __init__(self, *, validate_args=None, **given):
        values = promote(*(given[key] for key in names))
        self.__dict__.update(zip(names, values, strict=True))
        combinator.__init__(self, *build(*values), validate_args=validate_args)

    members = {"__init__": __init__, "__module__": __name__, "arg_constraints": parameters}
    if combinator is Mixture:
        members["has_rsample"] = name == "NormalMixture"  # the battery asks the class
        # there is no closed entropy; the placeholder lets the checks of shapes run
        members["entropy"] = lambda self: self._full(torch.zeros_like(self.logits[..., 0]))
    return type(combinator)(name, (combinator,), members)


def pair(*values):
    return torch.stack(torch.broadcast_tensors(*values), -1)


def two(logit):
    """Return the logits of the first and the second component, where ``logit`` are the log-odds of the second."""
    return pair(torch.zeros_like(logit), logit)


# Formulas


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def mixed(logit, first, second):
    p = sigmoid(logit)
    return sigmoid(-logit) * first + p * second


def poisson(y, rate):
    return mp.exp(y * mp.log(rate) - rate - mp.loggamma(y + 1))


def poisson_cdf(y, rate):
    return mp.gammainc(mp.floor(y) + 1, rate, regularized=True)


def negative_binomial(y, mean, dispersion):
    r = 1 / dispersion
    with mp.extradps(30):
        p = mean / (mean + r)
        return mp.exp(mp.loggamma(y + r) - mp.loggamma(r) - mp.loggamma(y + 1) + y * mp.log(p) + r * mp.log1p(-p))


def negative_binomial_cdf(y, mean, dispersion):
    return mp.betainc(1 / dispersion, mp.floor(y) + 1, 0, 1 / (1 + mean * dispersion), regularized=True)


def gamma(y, concentration, rate):
    return mp.exp(
        concentration * mp.log(rate) + (concentration - 1) * mp.log(y) - rate * y - mp.loggamma(concentration)
    )


def gamma_cdf(y, concentration, rate):
    return mp.gammainc(concentration, 0, rate * y, regularized=True)


def normal(y, loc, scale):
    return mp.exp(-((y - loc) ** 2) / (2 * scale**2)) / (scale * mp.sqrt(2 * mp.pi))


def inflated(mass):
    def log_prob(y, logits, **rest):
        return mp.log((sigmoid(logits) if y == 0 else 0) + sigmoid(-logits) * mass(y, **rest))

    return log_prob


def inflated_cdf(cdf):
    return lambda y, logits, **rest: sigmoid(logits) + sigmoid(-logits) * cdf(y, **rest) if y >= 0 else mp.mpf(0)


def beyond_hurdle(mass):
    def log_prob(y, logits, **rest):
        if y == 0:
            return mp.log(sigmoid(logits))
        return mp.log(sigmoid(-logits) * mass(y, **rest) / (1 - mass(mp.mpf(0), **rest)))

    return log_prob


def beyond_hurdle_cdf(mass, cdf):
    def distribution(y, logits, **rest):
        zero = mass(mp.mpf(0), **rest)
        return sigmoid(logits) + sigmoid(-logits) * (cdf(y, **rest) - zero) / (1 - zero)

    return distribution


# Laws

NormalMixture = law(
    "NormalMixture",
    Mixture,
    lambda logit, loc, scale, loc2, scale2: (two(logit), Normal(pair(loc, loc2), pair(scale, scale2))),
    logit=REAL,
    loc=REAL,
    scale=POSITIVE,
    loc2=REAL,
    scale2=POSITIVE,
)
PoissonMixture = law(
    "PoissonMixture",
    Mixture,
    lambda logit, rate, rate2: (two(logit), Poisson(pair(rate, rate2))),
    logit=REAL,
    rate=POSITIVE,
    rate2=POSITIVE,
)
ZeroInflatedPoisson = law(
    "ZeroInflatedPoisson", ZeroInflated, lambda logits, rate: (Poisson(rate), logits), logits=REAL, rate=POSITIVE
)
ZeroInflatedGamma = law(
    "ZeroInflatedGamma",
    ZeroInflated,
    lambda logits, concentration, rate: (Gamma(concentration, rate), logits),
    logits=REAL,
    concentration=POSITIVE,
    rate=POSITIVE,
)
HurdlePoisson = law("HurdlePoisson", Hurdle, lambda logits, rate: (Poisson(rate), logits), logits=REAL, rate=POSITIVE)
HurdleNegativeBinomial = law(
    "HurdleNegativeBinomial",
    Hurdle,
    lambda logits, mean, dispersion: (NegativeBinomial(mean=mean, dispersion=dispersion), logits),
    logits=REAL,
    mean=POSITIVE,
    dispersion=POSITIVE,
)
HurdleGamma = law(
    "HurdleGamma",
    Hurdle,
    lambda logits, concentration, rate: (Gamma(concentration, rate), logits),
    logits=REAL,
    concentration=POSITIVE,
    rate=POSITIVE,
)
HurdleGammaMixture = law(
    "HurdleGammaMixture",
    Mixture,
    lambda logit, gate, concentration, rate, rate2: (
        two(logit),
        Hurdle(Gamma(concentration.unsqueeze(-1), pair(rate, rate2)), gate.unsqueeze(-1)),
    ),
    logit=REAL,
    gate=REAL,
    concentration=POSITIVE,
    rate=POSITIVE,
    rate2=POSITIVE,
)
HurdlePoissonMixture = law(
    "HurdlePoissonMixture",
    Hurdle,
    lambda logits, logit, rate, rate2: (PoissonMixture(logit=logit, rate=rate, rate2=rate2), logits),
    logits=REAL,
    logit=REAL,
    rate=POSITIVE,
    rate2=POSITIVE,
)

CASES = (
    Case(
        family=NormalMixture,
        parameters=(
            {"logit": 0.3, "loc": -1.0, "scale": 0.5, "loc2": 2.0, "scale2": 1.5},
            {"logit": -4.0, "loc": 0.0, "scale": 1.0, "loc2": 9.0, "scale2": 0.8},
            {"logit": 2.0, "loc": 5.0, "scale": 2.0, "loc2": 5.0, "scale2": 0.01},
        ),
        log_prob=lambda y, logit, loc, scale, loc2, scale2: mp.log(
            mixed(logit, normal(y, loc, scale), normal(y, loc2, scale2))
        ),
        cdf=lambda y, logit, loc, scale, loc2, scale2: mixed(
            logit, mp.ncdf((y - loc) / scale), mp.ncdf((y - loc2) / scale2)
        ),
        extreme=(
            ({"logit": 1000.0, "loc": 0.0, "scale": 1.0, "loc2": 1.0, "scale2": 2.0}, 0.5),
            ({"logit": -1000.0, "loc": 0.0, "scale": 1.0, "loc2": 1.0, "scale2": 2.0}, 60.0),
            ({"logit": 0.0, "loc": 0.0, "scale": 1e-6, "loc2": 1.0, "scale2": 1e6}, 1e7),
            ({"logit": 0.0, "loc": 0.0, "scale": 1.0, "loc2": 1.0, "scale2": 1.0}, 1e8),
        ),
        kl=False,
    ),
    Case(
        family=PoissonMixture,
        parameters=(
            {"logit": 0.3, "rate": 1.0, "rate2": 20.0},
            {"logit": -2.0, "rate": 0.1, "rate2": 0.5},
            {"logit": 0.0, "rate": 300.0, "rate2": 3.0},
        ),
        log_prob=lambda y, logit, rate, rate2: mp.log(mixed(logit, poisson(y, rate), poisson(y, rate2))),
        cdf=lambda y, logit, rate, rate2: mixed(logit, poisson_cdf(y, rate), poisson_cdf(y, rate2)),
        outside=(-1.0, 2.5),
        values=(0.0, 1.0, 2.0),
        extreme=(
            ({"logit": 0.0, "rate": 1e-8, "rate2": 1e6}, 0.0),
            ({"logit": -500.0, "rate": 1.0, "rate2": 1e4}, 1e4),
        ),
        kl=False,
    ),
    Case(
        family=ZeroInflatedPoisson,
        parameters=({"logits": 0.3, "rate": 2.0}, {"logits": -5.0, "rate": 20.0}, {"logits": 2.0, "rate": 0.1}),
        log_prob=inflated(poisson),
        cdf=inflated_cdf(poisson_cdf),
        outside=(-1.0, 2.5),
        values=(0.0, 1.0, 2.0),
        extreme=(
            ({"logits": 500.0, "rate": 2.0}, 3.0),
            ({"logits": 500.0, "rate": 2.0}, 0.0),
            ({"logits": -500.0, "rate": 1e4}, 0.0),
            ({"logits": -30.0, "rate": 1e-8}, 0.0),
            ({"logits": -500.0, "rate": 400.0}, 0.0),
            ({"logits": 0.0, "rate": 1e6}, 1.001e6),
        ),
        kl=False,
    ),
    Case(
        family=ZeroInflatedGamma,
        parameters=(
            {"logits": -0.5, "concentration": 2.5, "rate": 0.8},
            {"logits": -4.0, "concentration": 0.5, "rate": 4.0},
            {"logits": -0.2, "concentration": 30.0, "rate": 1.0},
        ),
        log_prob=lambda y, logits, **rest: mp.log(sigmoid(logits) if y == 0 else sigmoid(-logits) * gamma(y, **rest)),
        cdf=inflated_cdf(gamma_cdf),
        outside=(-1.0, -1e-30),
        values=(0.0, 0.5, 3.0),
        atoms=(0.0,),
        extreme=(
            ({"logits": 500.0, "concentration": 1e-3, "rate": 1.0}, 1e-30),
            ({"logits": -500.0, "concentration": 1e6, "rate": 1e6}, 1.001),
        ),
        kl=False,
    ),
    Case(
        family=HurdlePoisson,
        parameters=({"logits": 0.3, "rate": 2.0}, {"logits": -5.0, "rate": 20.0}, {"logits": -1.0, "rate": 0.01}),
        log_prob=beyond_hurdle(poisson),
        cdf=beyond_hurdle_cdf(poisson, poisson_cdf),
        outside=(-1.0, 2.5),
        values=(0.0, 1.0, 2.0),
        extreme=(
            ({"logits": 0.5, "rate": 1e-12}, 1.0),
            ({"logits": 0.5, "rate": 1e-30}, 2.0),
            ({"logits": -500.0, "rate": 1e6}, 1e6),
            ({"logits": 500.0, "rate": 3.0}, 2.0),
        ),
        kl=False,
    ),
    Case(
        family=HurdleNegativeBinomial,
        parameters=(
            {"logits": 0.3, "mean": 2.0, "dispersion": 0.5},
            {"logits": -3.0, "mean": 0.3, "dispersion": 3.0},
            {"logits": -1.0, "mean": 30.0, "dispersion": 0.1},
        ),
        log_prob=beyond_hurdle(negative_binomial),
        cdf=beyond_hurdle_cdf(negative_binomial, negative_binomial_cdf),
        outside=(-1.0, 2.5),
        values=(0.0, 1.0, 2.0),
        extreme=(
            ({"logits": 0.5, "mean": 1e-12, "dispersion": 0.5}, 1.0),
            ({"logits": 0.5, "mean": 1e-10, "dispersion": 1e-8}, 2.0),
            ({"logits": 0.5, "mean": 10.0, "dispersion": 1e6}, 3.0),
        ),
        kl=False,
    ),
    Case(
        family=HurdleGamma,
        parameters=(
            {"logits": -0.5, "concentration": 2.5, "rate": 0.8},
            {"logits": -2.0, "concentration": 1.0, "rate": 4.0},
        ),
        log_prob=lambda y, logits, **rest: mp.log(sigmoid(logits) if y == 0 else sigmoid(-logits) * gamma(y, **rest)),
        cdf=inflated_cdf(gamma_cdf),
        outside=(-1.0, -1e-30),
        values=(0.0, 0.5, 3.0),
        atoms=(0.0,),
        kl=False,
    ),
    Case(
        family=HurdleGammaMixture,
        parameters=({"logit": 0.3, "gate": -0.5, "concentration": 2.5, "rate": 0.8, "rate2": 8.0},),
        log_prob=lambda y, logit, gate, concentration, rate, rate2: mp.log(
            sigmoid(gate)
            if y == 0
            else sigmoid(-gate) * mixed(logit, gamma(y, concentration, rate), gamma(y, concentration, rate2))
        ),
        cdf=lambda y, logit, gate, concentration, rate, rate2: (
            sigmoid(gate)
            + sigmoid(-gate) * mixed(logit, gamma_cdf(y, concentration, rate), gamma_cdf(y, concentration, rate2))
        ),
        outside=(-1.0, -1e-30),
        values=(0.0, 0.5, 3.0),
        atoms=(0.0,),
        kl=False,
    ),
    Case(
        family=HurdlePoissonMixture,
        parameters=({"logits": 0.3, "logit": -0.5, "rate": 0.8, "rate2": 9.0},),
        log_prob=beyond_hurdle(lambda y, logit, rate, rate2: mixed(logit, poisson(y, rate), poisson(y, rate2))),
        cdf=beyond_hurdle_cdf(
            lambda y, logit, rate, rate2: mixed(logit, poisson(y, rate), poisson(y, rate2)),
            lambda y, logit, rate, rate2: mixed(logit, poisson_cdf(y, rate), poisson_cdf(y, rate2)),
        ),
        outside=(-1.0, 2.5),
        values=(0.0, 1.0, 2.0),
        kl=False,
    ),
)
