"""The geometric law: Johnson, Kemp, Kotz (2005), Univariate Discrete Distributions, section 5.2."""

import math

import mpmath as mp
import scipy.stats

from likelihoods.distributions import Geometric
from tests.distributions.case import Case


def _log_chances(logits=None, probs=None):
    if probs is not None:
        return mp.log(probs), mp.log1p(-probs)
    return -mp.log1p(mp.exp(-logits)), -mp.log1p(mp.exp(logits))


def log_prob(y, **parameters):
    log_p, log_q = _log_chances(**parameters)
    return y * log_q + log_p


def cdf(y, **parameters):
    return -mp.expm1((mp.floor(y) + 1) * _log_chances(**parameters)[1])


CASE = Case(
    family=Geometric,
    parameters=({"logits": 0.3}, {"logits": -4.0}, {"logits": 3.0}, {"probs": 0.01}, {"probs": 0.75}),
    log_prob=log_prob,
    cdf=cdf,
    outside=(-1.0, 0.5, -1e30),
    values=(0.0, 1.0, 5.0),
    extreme=(
        ({"logits": -1000.0}, 3.0),
        ({"logits": 1000.0}, 3.0),
        ({"logits": -30.0}, 1e12),
        ({"probs": 1e-30}, 1e10),
        ({"logits": 1e5}, 0.0),
    ),
    scipy=lambda logits=None, probs=None: scipy.stats.geom(
        1 / (1 + math.exp(-logits)) if probs is None else probs, loc=-1
    ),
)
