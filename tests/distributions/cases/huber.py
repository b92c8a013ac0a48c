"""The Huber law."""

import mpmath as mp

from likelihoods.distributions import Huber
from tests.distributions.case import Case


def normalizer(delta):
    return mp.sqrt(2 * mp.pi) * mp.erf(delta / mp.sqrt(2)) + 2 / delta * mp.exp(-(delta**2) / 2)


def log_prob(y, loc, scale, delta):
    z = abs(y - loc) / scale
    rho = z**2 / 2 if z <= delta else delta * z - delta**2 / 2
    return -rho - mp.log(scale) - mp.log(normalizer(delta))


def cdf(y, loc, scale, delta):
    z, total = (y - loc) / scale, normalizer(delta)
    if z > 0:
        return 1 - cdf(2 * loc - y, loc, scale, delta)
    if z <= -delta:
        return mp.exp(delta * z + delta**2 / 2) / (delta * total)
    core = mp.sqrt(mp.pi / 2) * (mp.erfc(-z / mp.sqrt(2)) - mp.erfc(delta / mp.sqrt(2)))
    return (mp.exp(-(delta**2) / 2) / delta + core) / total


CASE = Case(
    Huber,
    parameters=(
        {"loc": 0.0, "scale": 1.0, "delta": 1.0},
        {"loc": -3.5, "scale": 0.25, "delta": 0.125},
        {"loc": 40.0, "scale": 7.0, "delta": 3.0},
        {"loc": 1.0, "scale": 2.0, "delta": 20.0},
    ),
    log_prob=log_prob,
    extreme=(
        ({"loc": 0.0, "scale": 1.0, "delta": 1.0}, 1e15),
        ({"loc": 0.0, "scale": 1.0, "delta": 1e-8}, -3.0),
        ({"loc": 0.0, "scale": 1.0, "delta": 60.0}, 59.0),
        ({"loc": 0.0, "scale": 1.0, "delta": 1e12}, -4.0),
        ({"loc": 0.0, "scale": 1e-12, "delta": 2.0}, 1e-12),
        ({"loc": 0.0, "scale": 1e12, "delta": 0.5}, -3.0),
    ),
    cdf=cdf,
    kinks=lambda loc, scale, delta: (loc - scale * delta, loc + scale * delta),
)
