"""The Laplace law."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import Laplace
from tests.distributions.case import Case


def log_prob(y, loc, scale):
    return -abs(y - loc) / scale - mp.log(2 * scale)


def cdf(y, loc, scale):
    half = mp.exp(-abs(y - loc) / scale) / 2
    return half if y < loc else 1 - half


CASE = Case(
    Laplace,
    parameters=({"loc": 0.0, "scale": 1.0}, {"loc": -3.5, "scale": 0.25}, {"loc": 40.0, "scale": 7.0}),
    log_prob=log_prob,
    extreme=(
        ({"loc": 0.0, "scale": 1.0}, 1e30),
        ({"loc": 1e6, "scale": 1e-3}, 1e6 + 1e-3),
        ({"loc": 0.0, "scale": 1e-12}, 1e-12),
        ({"loc": 0.0, "scale": 1e30}, -3.0),
    ),
    scipy=lambda loc, scale: scipy.stats.laplace(loc, scale),
    cdf=cdf,
    kinks=lambda loc, scale: (loc,),
)
