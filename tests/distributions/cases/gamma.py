"""The gamma law: Johnson, Kotz, Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 17."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import Gamma
from tests.distributions.case import Case


def log_prob(y, concentration, rate=None, mean=None):
    a, b = concentration, concentration / mean if rate is None else rate
    return a * mp.log(b) + (a - 1) * mp.log(y) - b * y - mp.loggamma(a)


def cdf(y, concentration, rate=None, mean=None):
    return mp.gammainc(concentration, 0, y * (concentration / mean if rate is None else rate), regularized=True)


CASE = Case(
    family=Gamma,
    parameters=(
        {"concentration": 2.5, "rate": 0.8},
        {"concentration": 0.3, "rate": 4.0},
        {"concentration": 1.0, "rate": 1.0},
        {"concentration": 80.0, "rate": 10.0},
        {"concentration": 6.0, "mean": 3.0},
        {"concentration": 100.0, "mean": 10.0},
    ),
    log_prob=log_prob,
    cdf=cdf,
    outside=(-1.0, -1e-30, -1e30),
    values=(0.5, 3.0),
    extreme=(
        ({"concentration": 1e6, "mean": 3.0}, 3.001),
        ({"concentration": 1e10, "mean": 1e5}, 100001.0),
        ({"concentration": 1e7, "rate": 1e7}, 1.0003),
        ({"concentration": 1e-3, "rate": 1.0}, 1e-30),
        ({"concentration": 1e-3, "rate": 1e-10}, 1e5),
        ({"concentration": 3.0, "rate": 1e10}, 1e-20),
        ({"concentration": 50.0, "rate": 2.0}, 1e-30),
        ({"concentration": 0.5, "rate": 1.0}, 1e6),
        ({"concentration": 1e4, "rate": 1e-8}, 1e12),
    ),
    scipy=lambda concentration, rate=None, mean=None: scipy.stats.gamma(
        concentration, scale=mean / concentration if rate is None else 1 / rate
    ),
)
