"""The Tweedie law with a power between 1 and 2: Dunn and Smyth (2005), doi:10.1007/s11222-005-4070-y."""

import mpmath as mp

from likelihoods.distributions import Tweedie
from tests.distributions.case import Case


def parts(mean, dispersion, power):
    """Return the Poisson rate, and the shape and the scale of the gamma amounts."""
    rate = mean ** (2 - power) / (dispersion * (2 - power))
    return rate, (2 - power) / (power - 1), dispersion * (power - 1) * mean ** (power - 1)


def total(term, start):
    """Sum term(j) over j >= 1, outwards from ``start``, until the terms are nought."""
    found, least = mp.mpf(0), mp.mpf(10) ** (-mp.mp.dps - 5)
    for steps in (range(start, 10**9), range(start - 1, 0, -1)):
        for j in steps:
            t = term(j)
            found += t
            if t < least * found:
                break
    return found


def log_prob(y, mean, dispersion, power):
    rate, shape, scale = parts(mean, dispersion, power)
    if y == 0:
        return -rate
    x = y / scale
    start = max(1, int(y ** (2 - power) / (dispersion * (2 - power))))

    def log_term(j):
        return j * mp.log(rate) - mp.loggamma(j + 1) + j * shape * mp.log(x) - mp.loggamma(j * shape)

    top = log_term(start)
    return top + mp.log(total(lambda j: mp.exp(log_term(j) - top), start)) - rate - x - mp.log(y)


def cdf(y, mean, dispersion, power):
    rate, shape, scale = parts(mean, dispersion, power)
    if y == 0:
        return mp.exp(-rate)
    x = y / scale

    def term(j):
        return mp.exp(j * mp.log(rate) - mp.loggamma(j + 1) - rate) * mp.gammainc(j * shape, 0, x, regularized=True)

    return mp.exp(-rate) + total(term, 1 + int(rate))


CASE = Case(
    Tweedie,
    parameters=(
        {"mean": 1.0, "dispersion": 1.0, "power": 1.5},
        {"mean": 20.0, "dispersion": 0.5, "power": 1.25},
        {"mean": 0.3, "dispersion": 2.0, "power": 1.75},
        {"mean": 3.0, "dispersion": 0.02, "power": 1.1},
    ),
    log_prob=log_prob,
    outside=(-1.0, -1e-30, -1e30),
    extreme=(
        ({"mean": 2.0, "dispersion": 0.01, "power": 1.5}, 3.0),
        ({"mean": 2.0, "dispersion": 0.5, "power": 1.01}, 1.6),
        ({"mean": 2.0, "dispersion": 0.5, "power": 1.99}, 1e-3),
        ({"mean": 1e4, "dispersion": 30.0, "power": 1.5}, 1e-6),
        ({"mean": 1e-4, "dispersion": 1.0, "power": 1.5}, 1.0),
    ),
    atoms=(0.0,),
    draws=4_000,  # each cdf is a sum of hundreds of incomplete gamma functions
)
