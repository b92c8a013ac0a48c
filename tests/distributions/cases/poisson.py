"""The Poisson law: Johnson, Kemp, Kotz (2005), Univariate Discrete Distributions, chapter 4."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import Poisson
from tests.distributions.case import Case


def log_prob(y, rate):
    return y * mp.log(rate) - rate - mp.loggamma(y + 1)


def cdf(y, rate):
    return mp.gammainc(mp.floor(y) + 1, rate, mp.inf, regularized=True)


CASE = Case(
    family=Poisson,
    parameters=({"rate": 0.03}, {"rate": 1.0}, {"rate": 7.5}, {"rate": 123.0}, {"rate": 500.0}),
    log_prob=log_prob,
    cdf=cdf,
    outside=(-1.0, 2.5, -0.5),
    values=(0.0, 1.0, 2.0),
    extreme=(
        ({"rate": 1e-30}, 0.0),
        ({"rate": 1e-30}, 4.0),
        ({"rate": 1e6}, 1e6),
        ({"rate": 1e6}, 1003000.0),
        ({"rate": 1e6}, 0.0),
        ({"rate": 1e12}, 1e12 + 3e6),
        ({"rate": 50.0}, 1e9),
        ({"rate": 1e20}, 1e3),
    ),
    scipy=lambda rate: scipy.stats.poisson(rate),
)
