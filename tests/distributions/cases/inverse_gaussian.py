"""The inverse Gaussian law."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import InverseGaussian
from tests.distributions.case import Case


def log_prob(y, mean, concentration):
    return mp.log(concentration / (2 * mp.pi * y**3)) / 2 - concentration * (y - mean) ** 2 / (2 * mean**2 * y)


def cdf(y, mean, concentration):
    root = mp.sqrt(concentration / (2 * y))
    return (mp.erfc(root * (1 - y / mean)) + mp.exp(2 * concentration / mean) * mp.erfc(root * (1 + y / mean))) / 2


CASE = Case(
    InverseGaussian,
    parameters=(
        {"mean": 1.0, "concentration": 1.0},
        {"mean": 0.3, "concentration": 40.0},
        {"mean": 20.0, "concentration": 0.25},
        {"mean": 5.0, "concentration": 2e3},
    ),
    log_prob=log_prob,
    outside=(-1.0, 0.0, -1e30),
    extreme=(
        ({"mean": 1.0, "concentration": 1e8}, 1.0001),
        ({"mean": 1.0, "concentration": 1e-8}, 1e-9),
        ({"mean": 1e15, "concentration": 1.0}, 1e-2),
        ({"mean": 1e-15, "concentration": 1e-14}, 3e-15),
        ({"mean": 1.0, "concentration": 1.0}, 1e12),
        ({"mean": 1e10, "concentration": 1e20}, 1.1e10),
    ),
    scipy=lambda mean, concentration: scipy.stats.invgauss(mean / concentration, scale=concentration),
    cdf=cdf,
)
