"""The half-normal law."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import HalfNormal
from tests.distributions.case import Case


def log_prob(y, scale):
    return mp.log(mp.sqrt(2 / mp.pi) / scale) - y**2 / (2 * scale**2)


def cdf(y, scale):
    return mp.erf(y / (scale * mp.sqrt(2)))


CASE = Case(
    HalfNormal,
    parameters=({"scale": 1.0}, {"scale": 0.03}, {"scale": 250.0}),
    log_prob=log_prob,
    outside=(-1.0, -1e-30, -1e30),
    values=(0.125,),
    extreme=(
        ({"scale": 1.0}, 1e15),
        ({"scale": 1e30}, 3e30),
        ({"scale": 1e-30}, 2.5e-30),
        ({"scale": 1e-12}, 1.0),
        ({"scale": 1e12}, 1e-30),
    ),
    scipy=lambda scale: scipy.stats.halfnorm(scale=scale),
    cdf=cdf,
)
