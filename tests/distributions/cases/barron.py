"""Barron's law, with its normaliser by mpmath's quadrature of the density itself."""

import functools

import mpmath as mp

from likelihoods.distributions import Barron
from tests.distributions.case import Case


def loss(z, alpha):
    b = abs(alpha - 2)
    return b / alpha * ((z**2 / b + 1) ** (alpha / 2) - 1)


@functools.cache
def normalizer(alpha, digits):
    points, step = [mp.mpf(0)], mp.mpf(1) / 4
    while loss(points[-1], alpha) < 250:
        points.append(points[-1] + step)
        step *= mp.mpf(3) / 2
    return 2 * mp.quad(lambda z: mp.exp(-loss(z, alpha)), points)


def log_prob(y, loc, scale, alpha):
    return -loss((y - loc) / scale, alpha) - mp.log(scale * normalizer(alpha, mp.mp.dps))


CASE = Case(
    Barron,
    parameters=(
        {"loc": -3.5, "scale": 0.25, "alpha": 0.5},
        {"loc": 40.0, "scale": 7.0, "alpha": 1.875},
        {"loc": 1.0, "scale": 2.0, "alpha": 3.0},
    ),
    log_prob=log_prob,
    extreme=(
        ({"loc": 0.0, "scale": 1.0, "alpha": 1.0}, 1e15),
        ({"loc": 0.0, "scale": 1.0, "alpha": 0.5}, 1e30),
        ({"loc": 0.0, "scale": 1.0, "alpha": 1e-5}, -3.0),
        ({"loc": 0.0, "scale": 1.0, "alpha": 2.0 - 2.0**-20}, -3.0),
        ({"loc": 0.0, "scale": 1.0, "alpha": 50.0}, 1.5),
        ({"loc": 0.0, "scale": 1e-12, "alpha": 0.5}, 1e-12),
        ({"loc": 0.0, "scale": 1e12, "alpha": 1.0}, -3.0),
    ),
)
