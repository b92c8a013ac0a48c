"""The logistic law."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import Logistic
from tests.distributions.case import Case


def log_prob(y, loc, scale):
    return -mp.log(4 * scale * mp.cosh((y - loc) / (2 * scale)) ** 2)


def cdf(y, loc, scale):
    return 1 / (1 + mp.exp((loc - y) / scale))


CASE = Case(
    Logistic,
    parameters=({"loc": 0.0, "scale": 1.0}, {"loc": -3.5, "scale": 0.25}, {"loc": 40.0, "scale": 7.0}),
    log_prob=log_prob,
    values=(0.0, -3.5, 40.0),
    extreme=(
        ({"loc": 0.0, "scale": 1.0}, 1e6),
        ({"loc": 0.0, "scale": 1.0}, -1e6),
        ({"loc": 1e6, "scale": 1e-3}, 1e6 + 1e-3),
        ({"loc": 0.0, "scale": 1e-12}, 1e-12),
        ({"loc": 0.0, "scale": 1e30}, -3.0),
    ),
    scipy=lambda loc, scale: scipy.stats.logistic(loc, scale),
    cdf=cdf,
)
