"""The Pareto law."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import Pareto
from tests.distributions.case import Case


def log_prob(y, scale, alpha):
    return mp.log(alpha) + alpha * mp.log(scale) - (alpha + 1) * mp.log(y)


def cdf(y, scale, alpha):
    return 1 - (scale / y) ** alpha


CASE = Case(
    Pareto,
    parameters=(
        {"scale": 1.0, "alpha": 1.0},
        {"scale": 0.3, "alpha": 1.8},
        {"scale": 20.0, "alpha": 2.5},
        {"scale": 1.5, "alpha": 40.0},
    ),
    log_prob=log_prob,
    outside=(-1.0, 0.0, 0.25, -1e30),
    extreme=(
        ({"scale": 1.0, "alpha": 1e6}, 1.0 + 3e-6),
        ({"scale": 1.0, "alpha": 1e-3}, 1e30),
        ({"scale": 1e30, "alpha": 2.0}, 2e30),
        ({"scale": 1e-30, "alpha": 0.5}, 1.0),
        ({"scale": 1e-3, "alpha": 3.0}, 1e3),
    ),
    scipy=lambda scale, alpha: scipy.stats.pareto(alpha, scale=scale),
    cdf=cdf,
)
