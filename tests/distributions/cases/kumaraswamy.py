"""The Kumaraswamy law."""

import mpmath as mp

from likelihoods.distributions import Kumaraswamy
from tests.distributions.case import Case


def log_prob(y, concentration1, concentration0):
    a, b = concentration1, concentration0
    return mp.log(a * b) + (a - 1) * mp.log(y) + (b - 1) * mp.log1p(-(y**a))


def cdf(y, concentration1, concentration0):
    return -mp.expm1(concentration0 * mp.log1p(-(y**concentration1)))


CASE = Case(
    Kumaraswamy,
    parameters=(
        {"concentration1": 1.0, "concentration0": 1.0},
        {"concentration1": 0.8, "concentration0": 0.9},
        {"concentration1": 2.0, "concentration0": 5.0},
        {"concentration1": 1.5, "concentration0": 1e6},
        {"concentration1": 40.0, "concentration0": 3.0},
    ),
    log_prob=log_prob,
    outside=(-1.0, -1e-30, 0.0, 1.0, 1.0 + 1e-6, 3.0, 1e30),
    extreme=(
        ({"concentration1": 1e3, "concentration0": 1e3}, 0.993),
        ({"concentration1": 1e-3, "concentration0": 2.0}, 1e-30),
        ({"concentration1": 1.0, "concentration0": 1e10}, 1e-10),
        ({"concentration1": 1e10, "concentration0": 0.5}, 1.0 - 2.0**-24),
        ({"concentration1": 1e-8, "concentration0": 1e-8}, 0.5),
        ({"concentration1": 3.0, "concentration0": 1e-3}, 1.0 - 2.0**-24),
    ),
    cdf=cdf,
)
