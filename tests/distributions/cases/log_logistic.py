"""The log-logistic law."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import LogLogistic
from tests.distributions.case import Case


def log_prob(y, scale, concentration):
    r = y / scale
    return mp.log(concentration / scale) + (concentration - 1) * mp.log(r) - 2 * mp.log(1 + r**concentration)


def cdf(y, scale, concentration):
    return 1 / (1 + (y / scale) ** (-concentration))


CASE = Case(
    LogLogistic,
    parameters=(
        {"scale": 1.0, "concentration": 1.0},
        {"scale": 0.3, "concentration": 1.6},
        {"scale": 20.0, "concentration": 2.5},
        {"scale": 2.0, "concentration": 30.0},
        {"scale": 5.0, "concentration": 1e3},
    ),
    log_prob=log_prob,
    outside=(-1.0, 0.0, -1e30),
    extreme=(
        ({"scale": 1.0, "concentration": 1e3}, 3.0),
        ({"scale": 1.0, "concentration": 1e3}, 0.5),
        ({"scale": 1.0, "concentration": 1e-3}, 1e-30),
        ({"scale": 1e30, "concentration": 2.0}, 2e30),
        ({"scale": 1e-30, "concentration": 0.5}, 1.0),
        ({"scale": 1e-3, "concentration": 3.0}, 1e30),
    ),
    scipy=lambda scale, concentration: scipy.stats.fisk(concentration, scale=scale),
    cdf=cdf,
)
