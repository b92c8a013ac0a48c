"""The ordered logit law."""

import mpmath as mp
import numpy as np
import scipy.stats

from likelihoods.distributions import OrderedLogistic
from tests.distributions.case import Case


def noise(z):
    return 1 / (1 + mp.exp(-z))


def survival(z):
    return 1 / (1 + mp.exp(z))


def cdf(y, predictor, cutpoints):
    k = int(mp.floor(y))
    return mp.mpf(1) if k >= len(cutpoints) else noise(cutpoints[k] - predictor)


def log_prob(y, predictor, cutpoints):
    k = int(y)
    with mp.workdps(mp.mp.dps + 60):  # differences of tails
        if k == len(cutpoints):
            return mp.log(survival(cutpoints[-1] - predictor))
        if k == 0:
            return mp.log(noise(cutpoints[0] - predictor))
        if cutpoints[k] + cutpoints[k - 1] > 2 * predictor:
            return mp.log(survival(cutpoints[k - 1] - predictor) - survival(cutpoints[k] - predictor))
        return mp.log(noise(cutpoints[k] - predictor) - noise(cutpoints[k - 1] - predictor))


def witness(predictor, cutpoints):
    below = np.r_[0.0, scipy.stats.logistic.cdf(np.array(cutpoints) - predictor), 1.0]
    return scipy.stats.rv_discrete(values=(np.arange(len(cutpoints) + 1), np.diff(below)))()


CASE = Case(
    OrderedLogistic,
    parameters=(
        {"predictor": 0.0, "cutpoints": (-1.0, 0.5, 1.5)},
        {"predictor": 1.5, "cutpoints": (-2.0, -0.25, 3.0)},
        {"predictor": -2.0, "cutpoints": (-2.5, -2.0, 0.0)},
    ),
    log_prob=log_prob,
    values=(0.0, 1.0, 2.0, 3.0),
    outside=(-1.0, 4.0, 0.5, 1e30, -1e30),
    extreme=(
        ({"predictor": 60.0, "cutpoints": (-1.0, 0.5, 1.5)}, 1.0),
        ({"predictor": -60.0, "cutpoints": (-1.0, 0.5, 1.5)}, 2.0),
        ({"predictor": 0.25, "cutpoints": (-1.0, 0.5, 0.5 + 2.0**-20)}, 2.0),
        ({"predictor": 12.0, "cutpoints": (-1.0, 0.5, 0.5 + 2.0**-10)}, 2.0),
        ({"predictor": 0.25, "cutpoints": (-1e4, 0.5, 1e4)}, 1.0),
        ({"predictor": 1e4, "cutpoints": (-1.0, 0.5, 1.5)}, 0.0),
        ({"predictor": -1e4, "cutpoints": (-1.0, 0.5, 1.5)}, 3.0),
    ),
    scipy=witness,
    cdf=cdf,
)
