"""The Gumbel law."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import Gumbel
from tests.distributions.case import Case


def log_prob(y, loc, scale):
    z = (y - loc) / scale
    return -z - mp.exp(-z) - mp.log(scale)


def cdf(y, loc, scale):
    return mp.exp(-mp.exp((loc - y) / scale))


CASE = Case(
    Gumbel,
    parameters=({"loc": 0.0, "scale": 1.0}, {"loc": -3.5, "scale": 0.25}, {"loc": 40.0, "scale": 7.0}),
    log_prob=log_prob,
    values=(0.0, 1.0),
    extreme=(
        ({"loc": 0.0, "scale": 1.0}, 1e30),
        ({"loc": 0.0, "scale": 1.0}, -60.0),
        ({"loc": 0.0, "scale": 1.0}, -700.0),
        ({"loc": 1e6, "scale": 1e-3}, 1e6 + 1e-3),
        ({"loc": 0.0, "scale": 1e-12}, 1e-12),
        ({"loc": 0.0, "scale": 1e30}, -3.0),
    ),
    scipy=lambda loc, scale: scipy.stats.gumbel_r(loc, scale),
    cdf=cdf,
)
