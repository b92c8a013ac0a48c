"""The normal law."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import Normal
from tests.distributions.case import Case


def log_prob(y, loc, scale):
    return -(((y - loc) / scale) ** 2) / 2 - mp.log(scale) - mp.log(2 * mp.pi) / 2


def cdf(y, loc, scale):
    return mp.erfc((loc - y) / (scale * mp.sqrt(2))) / 2


CASE = Case(
    Normal,
    parameters=({"loc": 0.0, "scale": 1.0}, {"loc": -3.5, "scale": 0.25}, {"loc": 40.0, "scale": 7.0}),
    log_prob=log_prob,
    extreme=(
        ({"loc": 0.0, "scale": 1.0}, 1e15),
        ({"loc": 1e6, "scale": 1e-3}, 1e6 + 1e-3),
        ({"loc": 0.0, "scale": 1e-12}, 1e-12),
        ({"loc": 0.0, "scale": 1e12}, -3.0),
    ),
    scipy=lambda loc, scale: scipy.stats.norm(loc, scale),
    cdf=cdf,
)
