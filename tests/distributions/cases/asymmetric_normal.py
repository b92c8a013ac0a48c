"""The asymmetric (two-piece) normal law."""

import mpmath as mp

from likelihoods.distributions import AsymmetricNormal
from tests.distributions.case import Case


def log_prob(y, loc, scale, tau):
    z = (y - loc) / scale
    weight = tau if z >= 0 else 1 - tau
    return -weight * z**2 - mp.log(scale * mp.sqrt(mp.pi) / 2 * (1 / mp.sqrt(tau) + 1 / mp.sqrt(1 - tau)))


def cdf(y, loc, scale, tau):
    z = (y - loc) / scale
    below = mp.sqrt(tau) / (mp.sqrt(tau) + mp.sqrt(1 - tau))
    if z < 0:
        return below * mp.erfc(-z * mp.sqrt(1 - tau))
    return 1 - (1 - below) * mp.erfc(z * mp.sqrt(tau))


CASE = Case(
    AsymmetricNormal,
    parameters=(
        {"loc": 0.0, "scale": 1.0, "tau": 0.5},
        {"loc": -3.5, "scale": 0.25, "tau": 0.9},
        {"loc": 40.0, "scale": 7.0, "tau": 0.05},
        {"loc": 1.0, "scale": 2.0, "tau": 0.3},
    ),
    log_prob=log_prob,
    extreme=(
        ({"loc": 0.0, "scale": 1.0, "tau": 0.2}, 1e15),
        ({"loc": 0.0, "scale": 1.0, "tau": 1e-12}, -3.0),
        ({"loc": 0.0, "scale": 1.0, "tau": 1.0 - 2.0**-23}, -3.0),
        ({"loc": 0.0, "scale": 1e-12, "tau": 0.25}, 1e-12),
        ({"loc": 0.0, "scale": 1e12, "tau": 0.75}, -3.0),
    ),
    cdf=cdf,
    kinks=lambda loc, scale, tau: (loc,),
)
