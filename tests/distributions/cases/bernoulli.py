"""The Bernoulli law."""

import math

import mpmath as mp
import scipy.stats

from likelihoods.distributions import Bernoulli
from tests.distributions.case import Case


def log_prob(y, logits=None, probs=None):
    with mp.workdps(mp.mp.dps + 60):  # 1 + exp(-50)
        if probs is None:
            return -mp.log(1 + mp.exp(-logits if y == 1 else logits))
        return mp.log(probs if y == 1 else 1 - probs)


def cdf(y, logits=None, probs=None):
    return mp.mpf(1) if y >= 1 else 1 / (1 + mp.exp(logits)) if probs is None else 1 - probs


CASE = Case(
    Bernoulli,
    parameters=({"logits": 0.0}, {"logits": -3.5}, {"logits": 7.0}, {"probs": 0.3}, {"probs": 0.96875}),
    log_prob=log_prob,
    values=(0.0, 1.0),
    outside=(-1.0, 2.0, 0.5, 1e30, -1e30, 1e-30),
    extreme=(
        ({"logits": 1e10}, 0.0),
        ({"logits": 50.0}, 1.0),
        ({"logits": -50.0}, 0.0),
        ({"logits": -1e10}, 1.0),
        ({"probs": 1e-30}, 1.0),
        ({"probs": 1e-30}, 0.0),
        ({"probs": 1.0 - 2.0**-20}, 1.0),
        ({"probs": 1.0 - 2.0**-20}, 0.0),
    ),
    scipy=lambda logits=None, probs=None: scipy.stats.bernoulli(
        1 / (1 + math.exp(-logits)) if probs is None else probs
    ),
    cdf=cdf,
)
