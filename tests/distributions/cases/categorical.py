"""The categorical law."""

import math

import mpmath as mp
import numpy as np
import scipy.stats

from likelihoods.distributions import Categorical
from tests.distributions.case import Case


def masses(logits, probs):
    weights = [mp.exp(x) for x in logits] if probs is None else list(probs)
    return [w / mp.fsum(weights) for w in weights]


def log_prob(y, logits=None, probs=None):
    return mp.log(masses(logits, probs)[int(y)])


def cdf(y, logits=None, probs=None):
    return mp.fsum(masses(logits, probs)[: int(mp.floor(y)) + 1])


def witness(logits=None, probs=None):
    weights = np.exp(np.array(logits) - max(logits)) if probs is None else np.array(probs)
    return scipy.stats.rv_discrete(values=(np.arange(len(weights)), weights / weights.sum()))()


CASE = Case(
    Categorical,
    parameters=(
        {"logits": (0.0, 0.0, 0.0, 0.0)},
        {"logits": (-3.0, 5.0, 1.0, 0.25)},
        {"logits": (math.log(0.1), math.log(0.3), math.log(0.4), math.log(0.2))},
        {"probs": (0.125, 0.5, 0.25, 0.125)},
        {"probs": (3.0, 1.0, 1e-3, 7.0)},
    ),
    log_prob=log_prob,
    values=(0.0, 1.0, 2.0, 3.0),
    outside=(-1.0, 5.0, 0.5, 1e30, -1e30),
    extreme=(
        ({"logits": (1e10, 0.0, -1e10)}, 2.0),
        ({"logits": (1e10, 0.0, -1e10)}, 0.0),
        ({"logits": (1e5, 1e5 + 1.0, 1e5 - 1.0)}, 1.0),
        ({"probs": (1e-30, 1.0, 2.0)}, 0.0),
        ({"probs": (1e30, 1e30, 2.0)}, 2.0),
    ),
    scipy=witness,
    cdf=cdf,
)
