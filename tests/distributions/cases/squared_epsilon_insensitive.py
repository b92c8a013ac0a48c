"""The law of the squared epsilon-insensitive loss."""

import mpmath as mp

from likelihoods.distributions import SquaredEpsilonInsensitive
from tests.distributions.case import Case


def log_prob(y, loc, scale, epsilon):
    return -(max(abs(y - loc) / scale - epsilon, mp.mpf(0)) ** 2) - mp.log(scale * (2 * epsilon + mp.sqrt(mp.pi)))


def cdf(y, loc, scale, epsilon):
    z = (y - loc) / scale
    if z > 0:
        return 1 - cdf(2 * loc - y, loc, scale, epsilon)
    tail = mp.sqrt(mp.pi) / 2 * mp.erfc(-z - epsilon) if z < -epsilon else epsilon + z + mp.sqrt(mp.pi) / 2
    return tail / (2 * epsilon + mp.sqrt(mp.pi))


CASE = Case(
    SquaredEpsilonInsensitive,
    parameters=(
        {"loc": 0.0, "scale": 1.0, "epsilon": 0.125},
        {"loc": -3.5, "scale": 0.25, "epsilon": 2.0},
        {"loc": 40.0, "scale": 7.0, "epsilon": 30.0},
    ),
    log_prob=log_prob,
    extreme=(
        ({"loc": 0.0, "scale": 1.0, "epsilon": 0.5}, 1e15),
        ({"loc": 0.0, "scale": 1.0, "epsilon": 1e-12}, -3.0),
        ({"loc": 0.0, "scale": 1.0, "epsilon": 1e12}, -3.0),
        ({"loc": 0.0, "scale": 1e-12, "epsilon": 0.25}, 1e-12),
        ({"loc": 0.0, "scale": 1e12, "epsilon": 0.75}, -3.0),
    ),
    cdf=cdf,
    kinks=lambda loc, scale, epsilon: (loc - scale * epsilon, loc + scale * epsilon),
)
