"""Truncated and rounded laws as cases of the battery; the formulas are those of the definitions."""

from __future__ import annotations

import mpmath as mp

from likelihoods.distributions import Discretized, Gamma, NegativeBinomial, Normal, Poisson, Truncated
from tests.distributions.case import Case
from tests.distributions.combined import (
    POSITIVE,
    REAL,
    gamma,
    gamma_cdf,
    law,
    normal,
    poisson,
    poisson_cdf,
)


def sampled(family):
    """Return the class, whose instances have no rsample."""
    family.has_rsample = False
    return named(family)


def named(family):
    """Return the class as one of this module, where pickle finds it."""
    family.__module__ = __name__
    return family


def normal_mass(a, b, loc, scale):
    """Return P(a < Y <= b), from the tail that keeps its digits."""
    a, b = (a - loc) / scale, (b - loc) / scale
    with mp.extradps(20):
        if a > 0:
            return (mp.erfc(a / mp.sqrt(2)) - mp.erfc(b / mp.sqrt(2))) / 2
        return (mp.erfc(-b / mp.sqrt(2)) - mp.erfc(-a / mp.sqrt(2))) / 2


def in_window(y, low, high, **normal_parameters):
    return mp.log(normal(y, **normal_parameters)) - mp.log(normal_mass(low, high, **normal_parameters))


def window_cdf(y, low, high, **parameters):
    return normal_mass(low, min(y, high), **parameters) / normal_mass(low, high, **parameters)


TruncatedNormal = named(
    law(
        "TruncatedNormal",
        Truncated,
        lambda loc, scale, low, high: (Normal(loc, scale), low, high),
        loc=REAL,
        scale=POSITIVE,
        low=REAL,
        high=REAL,
    )
)
LeftTruncatedNormal = named(
    law(
        "LeftTruncatedNormal",
        Truncated,
        lambda loc, scale, low: (Normal(loc, scale), low),
        loc=REAL,
        scale=POSITIVE,
        low=REAL,
    )
)
TruncatedGamma = named(
    law(
        "TruncatedGamma",
        Truncated,
        lambda concentration, rate, low, high: (Gamma(concentration, rate), low, high),
        concentration=POSITIVE,
        rate=POSITIVE,
        low=REAL,
        high=REAL,
    )
)
ZeroTruncatedPoisson = sampled(law("ZeroTruncatedPoisson", Truncated, lambda rate: (Poisson(rate), 0), rate=POSITIVE))
WindowedNegativeBinomial = sampled(
    law(
        "WindowedNegativeBinomial",
        Truncated,
        lambda mean, dispersion: (NegativeBinomial(mean=mean, dispersion=dispersion), 2.0, 11.5),
        mean=POSITIVE,
        dispersion=POSITIVE,
    )
)
RoundedNormal = sampled(
    law("RoundedNormal", Discretized, lambda loc, scale: (Normal(loc, scale), 0.5), loc=REAL, scale=POSITIVE)
)
ClippedNormal = sampled(
    law(
        "ClippedNormal",
        Discretized,
        lambda loc, scale: (Normal(loc, scale), 0.25, -1.0, 2.0),
        loc=REAL,
        scale=POSITIVE,
    )
)
ClosedNormal = sampled(
    law(
        "ClosedNormal",
        Discretized,
        lambda loc, scale: (Normal(loc, scale), 0.25, -1.0, 2.0, "closed"),
        loc=REAL,
        scale=POSITIVE,
    )
)
RoundedGamma = sampled(
    law(
        "RoundedGamma",
        Discretized,
        lambda concentration, rate: (Gamma(concentration, rate), 1.0),
        concentration=POSITIVE,
        rate=POSITIVE,
    )
)

QUARTERS = [-1 + 0.25 * k for k in range(13)]
EIGHTH = mp.mpf("0.125")


def rounded_gamma(y, concentration, rate):
    low = rate * (y - mp.mpf(0.5)) if y > 0 else 0
    return mp.log(mp.gammainc(concentration, low, rate * (y + mp.mpf(0.5)), regularized=True))


def counted(y, mean, dispersion):
    """Return the negative binomial mass up to a factor."""
    size = 1 / dispersion
    return mp.rf(size, y) / mp.factorial(y) * (mean / (mean + size)) ** int(y)


def clipped(y, **parameters):
    low = -mp.inf if y == -1 else y - EIGHTH
    return mp.log(normal_mass(low, mp.inf if y == 2 else y + EIGHTH, **parameters))


def clipped_cdf(y, **parameters):
    if y < -1:
        return mp.mpf(0)
    return mp.mpf(1) if y >= 2 else normal_mass(-mp.inf, mp.floor(4 * y) / 4 + EIGHTH, **parameters)


def closed(y, **parameters):
    return mp.log(normal_mass(y - EIGHTH, y + EIGHTH, **parameters)) - mp.log(
        normal_mass(-1 - EIGHTH, 2 + EIGHTH, **parameters)
    )


def closed_cdf(y, **parameters):
    if y < -1:
        return mp.mpf(0)
    edge = min(mp.floor(4 * y) / 4, mp.mpf(2)) + EIGHTH
    return normal_mass(-1 - EIGHTH, edge, **parameters) / normal_mass(-1 - EIGHTH, 2 + EIGHTH, **parameters)


def gamma_window(y, concentration, rate, low, high):
    parameters = {"concentration": concentration, "rate": rate}
    total = gamma_cdf(high, **parameters) - gamma_cdf(low, **parameters)
    return mp.log(gamma(y, **parameters)) - mp.log(total)


def gamma_window_cdf(y, concentration, rate, low, high):
    low, y, high = (gamma_cdf(x, concentration, rate) for x in (low, y, high))
    return (y - low) / (high - low)


NORMALS = ({"loc": 0.3, "scale": 1.7}, {"loc": -4.1, "scale": 0.6}, {"loc": 20.1, "scale": 5.0})
CASES = (
    Case(
        family=TruncatedNormal,
        parameters=(
            {"loc": 0.3, "scale": 1.7, "low": -1.0, "high": 2.5},
            {"loc": 0.0, "scale": 1.0, "low": 6.0, "high": 8.0},
            {"loc": 1.0, "scale": 0.1, "low": -3.5, "high": -3.0},  # 40 scales out
            {"loc": 2.0, "scale": 3.0, "low": 1.0, "high": 1.1},
        ),
        log_prob=in_window,
        cdf=window_cdf,
        outside=(-3.6, 8.5),
        kl=False,
    ),
    Case(
        family=LeftTruncatedNormal,
        parameters=(
            {"loc": 0.0, "scale": 1.0, "low": 0.5},
            {"loc": 0.0, "scale": 1.0, "low": 40.0},
            {"loc": 3.0, "scale": 0.5, "low": 0.0},
        ),
        log_prob=lambda y, low, **p: in_window(y, low, mp.inf, **p),
        cdf=lambda y, low, **p: window_cdf(y, low, mp.inf, **p),
        outside=(-0.5, 0.0 - 1e-3),
        kl=False,
    ),
    Case(
        family=TruncatedGamma,
        parameters=(
            {"concentration": 0.7, "rate": 2.0, "low": 0.1, "high": 5.0},
            {"concentration": 30.0, "rate": 2.0, "low": 1.0, "high": 12.0},
        ),
        log_prob=gamma_window,
        cdf=gamma_window_cdf,
        outside=(-1.0, 0.05, 13.0),
        smooth=False,
        kl=False,
    ),
    Case(
        family=ZeroTruncatedPoisson,
        parameters=({"rate": 1e-3}, {"rate": 1.3}, {"rate": 40.0}),
        log_prob=lambda y, rate: mp.log(poisson(y, rate)) - mp.log(-mp.expm1(-rate)),
        cdf=lambda y, rate: 1 + poisson_cdf(y, rate) / -mp.expm1(-rate) + 1 / mp.expm1(-rate) if y >= 1 else mp.mpf(0),
        outside=(-1.0, 0.0),
        smooth=False,  # the distribution functions of counts, and so P(Y > 0), are differentiable once
        kl=False,
    ),
    Case(
        family=WindowedNegativeBinomial,
        parameters=(
            {"mean": 3.0, "dispersion": 0.5},
            {"mean": 40.0, "dispersion": 0.1},
            {"mean": 0.1, "dispersion": 2.0},
        ),
        log_prob=lambda y, **p: mp.log(counted(y, **p)) - mp.log(sum(counted(k, **p) for k in range(3, 12))),
        cdf=lambda y, **p: (
            sum(counted(k, **p) for k in range(3, 12) if k <= y) / sum(counted(k, **p) for k in range(3, 12))
        ),
        outside=(-1.0, 2.0, 12.0),
        smooth=False,
        kl=False,
    ),
    Case(
        family=RoundedNormal,
        parameters=NORMALS,
        log_prob=lambda y, **p: mp.log(normal_mass(y - mp.mpf(0.25), y + mp.mpf(0.25), **p)),
        cdf=lambda y, **p: normal_mass(-mp.inf, mp.floor(2 * y) / 2 + mp.mpf(0.25), **p),
        outside=(0.3, -7.1),
        lattice=lambda **p: [0.5 * k for k in range(-1000, 1000)],
        kl=False,
    ),
    Case(
        family=ClippedNormal,
        parameters=({"loc": 0.3, "scale": 0.7}, {"loc": -4.0, "scale": 2.0}, {"loc": 5.0, "scale": 0.3}),
        log_prob=clipped,
        cdf=clipped_cdf,
        outside=(0.3, -1.25, 2.25),
        lattice=lambda **p: QUARTERS,
        kl=False,
    ),
    Case(
        family=ClosedNormal,
        parameters=({"loc": 0.3, "scale": 0.7}, {"loc": -4.0, "scale": 2.0}, {"loc": 5.0, "scale": 0.3}),
        log_prob=closed,
        cdf=closed_cdf,
        outside=(0.3, -1.25, 2.25),
        lattice=lambda **p: QUARTERS,
        kl=False,
    ),
    Case(
        family=RoundedGamma,
        parameters=({"concentration": 0.7, "rate": 0.3}, {"concentration": 30.0, "rate": 2.0}),
        log_prob=rounded_gamma,
        cdf=lambda y, **p: gamma_cdf(mp.floor(y) + mp.mpf(0.5), **p) if y >= 0 else mp.mpf(0),
        outside=(-1.0, 0.5),
        smooth=False,
        kl=False,
    ),
)
