"""The half-Cauchy law."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import HalfCauchy
from tests.distributions.case import Case


def log_prob(y, scale):
    return mp.log(2 / (mp.pi * scale)) - mp.log(1 + (y / scale) ** 2)


def cdf(y, scale):
    return 2 / mp.pi * mp.atan(y / scale)


CASE = Case(
    HalfCauchy,
    parameters=({"scale": 1.0}, {"scale": 0.03}, {"scale": 250.0}),
    log_prob=log_prob,
    outside=(-1.0, -1e-30, -1e30),
    values=(0.125, 3.0),
    extreme=(
        ({"scale": 1.0}, 1e300),
        ({"scale": 1e30}, 3e30),
        ({"scale": 1e-30}, 2.5e-30),
        ({"scale": 1e-12}, 1e25),
        ({"scale": 1e12}, 1e-30),
    ),
    scipy=lambda scale: scipy.stats.halfcauchy(scale=scale),
    cdf=cdf,
)
