"""The log-normal law."""

import math

import mpmath as mp
import scipy.stats

from likelihoods.distributions import LogNormal
from tests.distributions.case import Case


def log_prob(y, loc, scale):
    return -(((mp.log(y) - loc) / scale) ** 2) / 2 - mp.log(y) - mp.log(scale) - mp.log(2 * mp.pi) / 2


def cdf(y, loc, scale):
    return mp.erfc((loc - mp.log(y)) / (scale * mp.sqrt(2))) / 2


CASE = Case(
    LogNormal,
    parameters=({"loc": 0.0, "scale": 1.0}, {"loc": -3.5, "scale": 0.25}, {"loc": 2.0, "scale": 1.5}),
    log_prob=log_prob,
    outside=(-1.0, 0.0, -1e30),
    extreme=(
        ({"loc": 0.0, "scale": 1.0}, 1e15),
        ({"loc": 0.0, "scale": 1.0}, 1e-30),
        ({"loc": 50.0, "scale": 1e-3}, 5.2e21),
        ({"loc": -80.0, "scale": 10.0}, 1e-36),
        ({"loc": 0.0, "scale": 1e12}, 3.0),
        ({"loc": 0.0, "scale": 1e-12}, 1.0),
    ),
    scipy=lambda loc, scale: scipy.stats.lognorm(scale, scale=math.exp(loc)),
    cdf=cdf,
)
