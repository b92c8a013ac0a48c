"""The logistic law rounded to levels, whose end cells take the tails."""

import mpmath as mp
import numpy as np
import scipy.stats

from likelihoods.distributions import DiscretizedLogistic
from tests.distributions.case import Case


def logistic(y, loc, scale):
    return 1 / (1 + mp.exp(-(y - loc) / scale))


def survival(y, loc, scale):
    return 1 / (1 + mp.exp((y - loc) / scale))


def log_prob(y, loc, scale, low, high, step):
    with mp.workdps(mp.mp.dps + 60):
        below, above = y - step / 2, y + step / 2
        if y == low:
            return mp.log(logistic(above, loc, scale))
        if y == high:
            return mp.log(survival(below, loc, scale))
        if y > loc:
            return mp.log(survival(below, loc, scale) - survival(above, loc, scale))
        return mp.log(logistic(above, loc, scale) - logistic(below, loc, scale))


def level(y, low, high, step):
    return low + mp.floor((y - low) / step) * step


def cdf(y, loc, scale, low, high, step):
    return mp.mpf(1) if y >= high else logistic(level(y, low, high, step) + step / 2, loc, scale)


def lattice(loc, scale, low, high, step):
    return np.linspace(low, high, round((high - low) / step) + 1)


def witness(loc, scale, low, high, step):
    levels = lattice(loc, scale, low, high, step)
    below = np.r_[0.0, scipy.stats.logistic(loc, scale).cdf(levels[:-1] + step / 2), 1.0]
    return scipy.stats.rv_discrete(values=(levels, np.diff(below)))()


CASE = Case(
    DiscretizedLogistic,
    parameters=(
        {"loc": 100.0, "scale": 12.0, "low": 0.0, "high": 255.0, "step": 1.0},
        {"loc": 1.0, "scale": 2.0, "low": 0.0, "high": 7.0, "step": 1.0},
        {"loc": 3.0, "scale": 0.125, "low": 0.0, "high": 5.0, "step": 0.5},
    ),
    log_prob=log_prob,
    values=(0.0, 2.0, 5.0),
    outside=(-1.0, 256.0, 0.25, 1e30, -1e30),
    extreme=(
        ({"loc": 1e4, "scale": 1.0, "low": 0.0, "high": 255.0, "step": 1.0}, 3.0),
        ({"loc": -1e4, "scale": 1.0, "low": 0.0, "high": 255.0, "step": 1.0}, 255.0),
        ({"loc": 0.0, "scale": 1e6, "low": 0.0, "high": 255.0, "step": 1.0}, 100.0),
        ({"loc": 0.0, "scale": 1e-3, "low": 0.0, "high": 255.0, "step": 1.0}, 100.0),
        ({"loc": 0.0, "scale": 1e-3, "low": 0.0, "high": 255.0, "step": 1.0}, 0.0),
    ),
    scipy=witness,
    cdf=cdf,
    fixed=("low", "high", "step"),
    lattice=lattice,
)
