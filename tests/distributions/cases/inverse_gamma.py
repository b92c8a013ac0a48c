"""The inverse gamma law: Johnson, Kotz, Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 17."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import InverseGamma
from tests.distributions.case import Case


def log_prob(y, concentration, rate):
    return concentration * mp.log(rate) - (concentration + 1) * mp.log(y) - rate / y - mp.loggamma(concentration)


def cdf(y, concentration, rate):
    return mp.gammainc(concentration, rate / y, mp.inf, regularized=True)


CASE = Case(
    family=InverseGamma,
    parameters=(
        {"concentration": 3.5, "rate": 2.0},
        {"concentration": 1.2, "rate": 0.1},
        {"concentration": 90.0, "rate": 300.0},
        {"concentration": 2.5, "rate": 1.0},
    ),
    log_prob=log_prob,
    cdf=cdf,
    outside=(-1.0, 0.0, -1e30),
    values=(2.0,),
    extreme=(
        ({"concentration": 1e6, "rate": 3e6}, 3.001),
        ({"concentration": 1e-3, "rate": 1.0}, 1e30),
        ({"concentration": 3.0, "rate": 1e-10}, 1e-20),
        ({"concentration": 2.0, "rate": 1.0}, 1e-6),
        ({"concentration": 50.0, "rate": 2.0}, 1e20),
        ({"concentration": 1e4, "rate": 1e-4}, 1e-8),
    ),
    scipy=lambda concentration, rate: scipy.stats.invgamma(concentration, scale=rate),
)
