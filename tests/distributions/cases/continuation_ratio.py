"""The continuation-ratio law."""

import mpmath as mp
import numpy as np
import scipy.stats

from likelihoods.distributions import ContinuationRatio
from tests.distributions.case import Case


def going_on(log_odds, steps):
    """The probability of passing that many steps."""
    return mp.fprod(1 / (1 + mp.exp(-x)) for x in log_odds[:steps])


def log_prob(y, log_odds):
    k = int(y)
    stop = mp.mpf(1) if k == len(log_odds) else 1 / (1 + mp.exp(log_odds[k]))
    return mp.log(going_on(log_odds, k) * stop)


def cdf(y, log_odds):
    with mp.workdps(mp.mp.dps + 60):
        return 1 - (going_on(log_odds, int(mp.floor(y)) + 1) if y < len(log_odds) else 0)


def witness(log_odds):
    on = scipy.stats.logistic.cdf(np.array(log_odds))
    masses = np.r_[1.0, on.cumprod()] * np.r_[1.0 - on, 1.0]
    return scipy.stats.rv_discrete(values=(np.arange(len(masses)), masses))()


CASE = Case(
    ContinuationRatio,
    parameters=(
        {"log_odds": (0.0, 0.0, 0.0)},
        {"log_odds": (2.0, -1.0, 0.5)},
        {"log_odds": (-3.0, 4.0, -0.25)},
    ),
    log_prob=log_prob,
    values=(0.0, 1.0, 2.0, 3.0),
    outside=(-1.0, 4.0, 0.5, 1e30, -1e30),
    extreme=(
        ({"log_odds": (60.0, 60.0, -60.0)}, 0.0),
        ({"log_odds": (-60.0, 1.0, 2.0)}, 3.0),
        ({"log_odds": (1e4, -1e4, 1e4)}, 2.0),
        ({"log_odds": (1e4, -1e4, 1e4)}, 1.0),
        ({"log_odds": (-1e4, -1e4, 0.0)}, 0.0),
    ),
    scipy=witness,
    cdf=cdf,
)
