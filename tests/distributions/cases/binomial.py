"""The binomial law: Johnson, Kemp, Kotz (2005), Univariate Discrete Distributions, chapter 3."""

import math

import mpmath as mp
import scipy.stats

from likelihoods.distributions import Binomial
from tests.distributions.case import Case


def _log_chances(logits=None, probs=None):
    if probs is not None:
        return mp.log(probs), mp.log1p(-probs)
    return -mp.log1p(mp.exp(-logits)), -mp.log1p(mp.exp(logits))


def log_prob(y, total_count, **parameters):
    with mp.extradps(40):
        log_p, log_q = _log_chances(**parameters)
        n = total_count
        return mp.loggamma(n + 1) - mp.loggamma(y + 1) - mp.loggamma(n - y + 1) + y * log_p + (n - y) * log_q


def cdf(y, total_count, **parameters):
    if y >= total_count:
        return mp.mpf(1)
    return mp.fsum(mp.exp(log_prob(mp.mpf(k), total_count, **parameters)) for k in range(int(mp.floor(y)) + 1))


CASE = Case(
    family=Binomial,
    parameters=(
        {"total_count": 10.0, "logits": 0.3},
        {"total_count": 1.0, "logits": -2.0},
        {"total_count": 300.0, "logits": 1.5},
        {"total_count": 40.0, "probs": 0.05},
        {"total_count": 3.0, "probs": 0.75},
    ),
    log_prob=log_prob,
    cdf=cdf,
    outside=(-1.0, 301.0, 0.5, 1e30),
    values=(0.0, 1.0),
    extreme=(
        ({"total_count": 1e6, "logits": 0.0}, 501000.0),
        ({"total_count": 1e10, "logits": -20.0}, 30.0),
        ({"total_count": 5.0, "logits": 1000.0}, 2.0),
        ({"total_count": 5.0, "logits": -1000.0}, 2.0),
        ({"total_count": 5.0, "logits": 1000.0}, 5.0),
        ({"total_count": 5.0, "logits": -1000.0}, 0.0),
        ({"total_count": 1e7, "probs": 1e-6}, 0.0),
        ({"total_count": 1e7, "probs": 0.5}, 1e7),
    ),
    scipy=lambda total_count, logits=None, probs=None: scipy.stats.binom(
        int(total_count), 1 / (1 + math.exp(-logits)) if probs is None else probs
    ),
)
