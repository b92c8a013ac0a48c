"""The von Mises law."""

from functools import lru_cache

import mpmath as mp

from likelihoods.distributions import VonMises
from tests.distributions.case import Case


def log_prob(y, loc, concentration):
    return concentration * mp.cos(y - loc) - mp.log(2 * mp.pi * mp.besseli(0, concentration))


@lru_cache(maxsize=256)
def ratios(concentration, digits):
    """Return I(j)/I(0) for j = 1, 2, …, by Miller's backward recurrence from an order where it is nought."""
    order = 20 + digits + int(2 * mp.sqrt(digits * (concentration + 1)))
    above, here, found = mp.mpf(0), mp.mpf(1), []
    for j in range(order, 0, -1):
        found.append(here)
        above, here = here, above + 2 * j / concentration * here
    return [term / here for term in reversed(found)]


def cdf(y, loc, concentration):
    d = y - loc
    series = (r * mp.sin(j * d) / j for j, r in enumerate(ratios(concentration, mp.mp.dps), 1))
    return mp.mpf(1) / 2 + (d / 2 + mp.fsum(series)) / mp.pi


CASE = Case(
    VonMises,
    parameters=(
        {"loc": 0.0, "concentration": 1.0},
        {"loc": 0.5, "concentration": 0.05},
        {"loc": -2.5, "concentration": 8.0},
        {"loc": 1.0, "concentration": 400.0},
    ),
    log_prob=log_prob,
    extreme=(
        ({"loc": 0.0, "concentration": 1e8}, 1e-4),
        ({"loc": 0.0, "concentration": 1e4}, 3.0),
        ({"loc": 0.0, "concentration": 1e-8}, 1.0),
        ({"loc": 1e-3, "concentration": 1e12}, 1e-3 + 1e-6),
    ),
    cdf=cdf,
    periodic=True,
)
