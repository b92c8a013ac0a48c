"""The hyperbolic secant law."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import HyperbolicSecant
from tests.distributions.case import Case


def log_prob(y, loc, scale):
    return mp.log(mp.sech((y - loc) / scale) / (mp.pi * scale))


def cdf(y, loc, scale):
    return 2 / mp.pi * mp.atan(mp.exp((y - loc) / scale))


CASE = Case(
    HyperbolicSecant,
    parameters=({"loc": 0.0, "scale": 1.0}, {"loc": -3.5, "scale": 0.25}, {"loc": 40.0, "scale": 7.0}),
    log_prob=log_prob,
    extreme=(
        ({"loc": 0.0, "scale": 1.0}, 1e15),
        ({"loc": 0.0, "scale": 1.0}, 1e-20),
        ({"loc": 1e6, "scale": 1e-3}, 1e6 + 1e-3),
        ({"loc": 0.0, "scale": 1e-12}, 1e-12),
        ({"loc": 0.0, "scale": 1e12}, -3.0),
    ),
    scipy=lambda loc, scale: scipy.stats.hypsecant(loc, scale),
    cdf=cdf,
)
