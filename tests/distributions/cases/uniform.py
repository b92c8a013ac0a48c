"""The uniform law."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import Uniform
from tests.distributions.case import Case


def log_prob(y, low, high):
    return -mp.log(high - low)


def cdf(y, low, high):
    return (y - low) / (high - low)


CASE = Case(
    Uniform,
    parameters=({"low": 0.0, "high": 1.0}, {"low": -0.1, "high": 0.3}, {"low": -40.0, "high": 7.0}),
    log_prob=log_prob,
    values=(0.125,),
    outside=(-41.0, 7.5, 1e30, -1e30),
    extreme=(
        ({"low": 0.0, "high": 1e-30}, 1e-31),
        ({"low": 1e6, "high": 1e6 + 0.25}, 1e6 + 0.125),
        ({"low": -1e30, "high": 1e30}, 3.0),
    ),
    scipy=lambda low, high: scipy.stats.uniform(low, high - low),
    cdf=cdf,
)
