"""The logistic law rounded to levels, renormalised over their cells."""

import mpmath as mp
import numpy as np
import scipy.stats

from likelihoods.distributions import DiscretizedLogistic
from tests.distributions.case import Case


class Closed(DiscretizedLogistic):
    __doc__ = DiscretizedLogistic.__doc__  # the same law; only the keyword for its edges is set

    def __init__(self, loc, scale, low, high, step, *, validate_args=None):
        super().__init__(loc, scale, low, high, step, edges="closed", validate_args=validate_args)


def between(a, b, loc, scale):
    """The mass between a and b on the side where both tails are small."""
    if a + b > 2 * loc:
        a, b = 2 * loc - b, 2 * loc - a
    return 1 / (1 + mp.exp((loc - b) / scale)) - 1 / (1 + mp.exp((loc - a) / scale))


def log_prob(y, loc, scale, low, high, step):
    with mp.workdps(mp.mp.dps + 60):
        mass = between(y - step / 2, y + step / 2, loc, scale)
        return mp.log(mass / between(low - step / 2, high + step / 2, loc, scale))


def cdf(y, loc, scale, low, high, step):
    if y >= high:
        return mp.mpf(1)
    with mp.workdps(mp.mp.dps + 60):
        edge = low + (mp.floor((y - low) / step) + mp.mpf(1) / 2) * step
        return between(low - step / 2, edge, loc, scale) / between(low - step / 2, high + step / 2, loc, scale)


def lattice(loc, scale, low, high, step):
    return np.linspace(low, high, round((high - low) / step) + 1)


def witness(loc, scale, low, high, step):
    levels = lattice(loc, scale, low, high, step)
    mass = np.diff(scipy.stats.logistic(loc, scale).cdf(np.r_[levels[0] - step / 2, levels + step / 2]))
    return scipy.stats.rv_discrete(values=(levels, mass / mass.sum()))()


CASE = Case(
    Closed,
    parameters=(
        {"loc": 100.0, "scale": 12.0, "low": 0.0, "high": 255.0, "step": 1.0},
        {"loc": 1.0, "scale": 2.0, "low": 0.0, "high": 7.0, "step": 1.0},
        {"loc": 3.0, "scale": 0.125, "low": 0.0, "high": 5.0, "step": 0.5},
        {"loc": -4.0, "scale": 0.5, "low": 0.0, "high": 5.0, "step": 0.5},
    ),
    log_prob=log_prob,
    values=(0.0, 2.0, 5.0),
    outside=(-1.0, 256.0, 0.25, 1e30, -1e30),
    extreme=(
        ({"loc": 1e4, "scale": 1.0, "low": 0.0, "high": 255.0, "step": 1.0}, 3.0),
        ({"loc": -1e4, "scale": 1.0, "low": 0.0, "high": 255.0, "step": 1.0}, 2.0),
        ({"loc": 0.0, "scale": 1e6, "low": 0.0, "high": 255.0, "step": 1.0}, 100.0),
        ({"loc": 0.0, "scale": 1e-3, "low": 0.0, "high": 255.0, "step": 1.0}, 100.0),
        ({"loc": 0.0, "scale": 1e-3, "low": 0.0, "high": 255.0, "step": 1.0}, 0.0),
    ),
    scipy=witness,
    cdf=cdf,
    fixed=("low", "high", "step"),
    lattice=lattice,
)
