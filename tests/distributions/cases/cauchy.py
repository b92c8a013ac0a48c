"""The Cauchy law."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import Cauchy
from tests.distributions.case import Case


def log_prob(y, loc, scale):
    return mp.log(scale) - mp.log(mp.pi) - mp.log(scale**2 + (y - loc) ** 2)


def cdf(y, loc, scale):
    return mp.acot((loc - y) / scale) / mp.pi if y < loc else 1 - mp.atan2(scale, y - loc) / mp.pi


CASE = Case(
    Cauchy,
    parameters=({"loc": 0.0, "scale": 1.0}, {"loc": -3.5, "scale": 0.25}, {"loc": 40.0, "scale": 7.0}),
    log_prob=log_prob,
    extreme=(
        ({"loc": 0.0, "scale": 1.0}, 1e30),  # z² overflows in float32
        ({"loc": 0.0, "scale": 1.0}, -1e200),  # and here in float64
        ({"loc": 1e6, "scale": 1e-3}, 1e6 + 1e-3),
        ({"loc": 0.0, "scale": 1e-30}, 1e-30),
        ({"loc": 0.0, "scale": 1e-12}, 1e12),
        ({"loc": 0.0, "scale": 1e30}, -3.0),
    ),
    scipy=lambda loc, scale: scipy.stats.cauchy(loc, scale),
    cdf=cdf,
)
