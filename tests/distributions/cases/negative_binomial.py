"""The negative binomial law: Johnson, Kemp, Kotz (2005), chapter 5; by mean and dispersion: Lawless (1987)."""

import math

import mpmath as mp
import scipy.stats

from likelihoods.distributions import NegativeBinomial
from tests.distributions.case import Case


def _size_and_odds(total_count=None, logits=None, probs=None, mean=None, dispersion=None):
    if mean is not None:
        return 1 / dispersion, mean * dispersion
    return total_count, mp.exp(logits) if probs is None else probs / (1 - probs)


def log_prob(y, **parameters):
    size, odds = _size_and_odds(**parameters)
    with mp.extradps(40):  # for differences of log-gammas at a size of 1e15
        coefficient = mp.loggamma(y + size) - mp.loggamma(size) - mp.loggamma(y + 1)
        return coefficient + y * (mp.log(odds) - mp.log1p(odds)) - size * mp.log1p(odds)


def cdf(y, **parameters):
    size, odds = _size_and_odds(**parameters)
    return mp.betainc(size, mp.floor(y) + 1, 0, 1 / (1 + odds), regularized=True)


def _scipy(total_count=None, logits=None, probs=None, mean=None, dispersion=None):
    if mean is not None:
        return scipy.stats.nbinom(1 / dispersion, 1 / (1 + mean * dispersion))
    return scipy.stats.nbinom(total_count, 1 / (1 + math.exp(logits)) if probs is None else 1 - probs)


CASE = Case(
    family=NegativeBinomial,
    parameters=(
        {"total_count": 3.0, "logits": 0.4},
        {"total_count": 0.2, "logits": 2.0},
        {"total_count": 60.0, "logits": -1.5},
        {"total_count": 2.5, "probs": 0.3},
        {"mean": 5.0, "dispersion": 0.3},
        {"mean": 300.0, "dispersion": 0.01},
        {"mean": 0.5, "dispersion": 4.0},
    ),
    log_prob=log_prob,
    cdf=cdf,
    outside=(-1.0, 2.5, -0.5),
    values=(0.0, 1.0, 2.0),
    extreme=(
        ({"mean": 40.0, "dispersion": 1e-9}, 50.0),
        ({"mean": 100.0, "dispersion": 1e-12}, 130.0),
        ({"mean": 1e6, "dispersion": 1e-12}, 1002000.0),
        ({"mean": 1e-8, "dispersion": 1e-12}, 3.0),
        ({"mean": 10.0, "dispersion": 1e8}, 7.0),
        ({"mean": 1e7, "dispersion": 2.0}, 0.0),
        ({"mean": 1e9, "dispersion": 0.5}, 3e9),
        ({"total_count": 1e12, "logits": -27.0}, 3.0),
        ({"total_count": 2.0, "logits": 1000.0}, 5.0),
        ({"total_count": 2.0, "logits": -1000.0}, 5.0),
        ({"total_count": 1e-8, "logits": 0.0}, 1.0),
        ({"total_count": 1e6, "logits": 0.0}, 1003000.0),
    ),
    scipy=_scipy,
)
