"""The generalised Pareto law."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import GeneralizedPareto
from tests.distributions.case import Case


def log_prob(y, loc, scale, concentration):
    z = (y - loc) / scale
    if concentration == 0:
        return -mp.log(scale) - z
    return -mp.log(scale) - (1 + 1 / concentration) * mp.log1p(concentration * z)


def cdf(y, loc, scale, concentration):
    z = (y - loc) / scale
    if concentration == 0:
        return -mp.expm1(-z)
    return -mp.expm1(-mp.log1p(concentration * z) / concentration)


CASE = Case(
    GeneralizedPareto,
    parameters=(
        {"loc": 0.0, "scale": 1.0, "concentration": 0.0},
        {"loc": 0.0, "scale": 0.5, "concentration": 1e-9},
        {"loc": -3.0, "scale": 2.0, "concentration": 0.3},
        {"loc": 0.5, "scale": 4.0, "concentration": -0.25},
        {"loc": 0.0, "scale": 8.0, "concentration": 1.25},
    ),
    log_prob=log_prob,
    outside=(-4.0, -1e30),
    extreme=(
        ({"loc": 0.0, "scale": 1.0, "concentration": 1e-30}, 3.0),
        ({"loc": 0.0, "scale": 1.0, "concentration": -1e-12}, 50.0),
        ({"loc": 0.0, "scale": 1.0, "concentration": 5.0}, 1e30),
        ({"loc": 1e3, "scale": 1e-3, "concentration": 0.5}, 1001.0),
        ({"loc": 0.0, "scale": 1.0, "concentration": -2.0}, 0.25),
        ({"loc": 0.0, "scale": 1e30, "concentration": 0.25}, 1e30),
        ({"loc": 0.0, "scale": 1.0, "concentration": 0.0}, 1e110),
        ({"loc": 0.0, "scale": 1e-10, "concentration": 0.0}, 1e10),
    ),
    scipy=lambda loc, scale, concentration: scipy.stats.genpareto(concentration, loc=loc, scale=scale),
    cdf=cdf,
)
