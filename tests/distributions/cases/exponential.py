"""The exponential law."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import Exponential
from tests.distributions.case import Case


def log_prob(y, rate):
    return mp.log(rate) - rate * y


def cdf(y, rate):
    return -mp.expm1(-rate * y)


CASE = Case(
    Exponential,
    parameters=({"rate": 1.0}, {"rate": 0.03}, {"rate": 250.0}),
    log_prob=log_prob,
    outside=(-1.0, -1e-30, -1e30),
    extreme=(
        ({"rate": 1e-30}, 3e30),
        ({"rate": 1e30}, 2.5e-30),
        ({"rate": 1e-300}, 5.0),
        ({"rate": 1.0}, 1e-300),
        ({"rate": 1e3}, 1e5),
    ),
    scipy=lambda rate: scipy.stats.expon(scale=1 / rate),
    cdf=cdf,
)
