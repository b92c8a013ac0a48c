"""The beta law: Johnson, Kotz, Balakrishnan (1995), Continuous Univariate Distributions 2, chapter 25."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import Beta
from tests.distributions.case import Case


def _shapes(concentration1=None, concentration0=None, mean=None, precision=None, logits=None):
    if logits is not None:
        return precision / (1 + mp.exp(-logits)), precision / (1 + mp.exp(logits))
    return (concentration1, concentration0) if mean is None else (mean * precision, (1 - mean) * precision)


def log_prob(y, **parameters):
    a, b = _shapes(**parameters)
    with mp.extradps(30):  # for differences of log-gammas at 1e10
        return (a - 1) * mp.log(y) + (b - 1) * mp.log1p(-y) + mp.loggamma(a + b) - mp.loggamma(a) - mp.loggamma(b)


def cdf(y, **parameters):
    return mp.betainc(*_shapes(**parameters), 0, y, regularized=True)


CASE = Case(
    family=Beta,
    parameters=(
        {"concentration1": 2.0, "concentration0": 5.0},
        {"concentration1": 0.4, "concentration0": 2.0},
        {"concentration1": 1.0, "concentration0": 3.0},
        {"concentration1": 80.0, "concentration0": 3.5},
        {"mean": 0.3, "precision": 12.0},
        {"mean": 0.75, "precision": 60.0},
        {"logits": -0.75, "precision": 4.0},
    ),
    log_prob=log_prob,
    cdf=cdf,
    outside=(-1.0, 1.5, -1e-30, 1e30),
    values=(0.5, 0.25),
    extreme=(
        ({"mean": 0.3, "precision": 1e10}, 0.30001),
        ({"mean": 0.3, "precision": 1e6}, 0.3),
        ({"concentration1": 1e7, "concentration0": 3e7}, 0.2501),
        ({"concentration1": 1e-3, "concentration0": 1e-3}, 1e-30),
        ({"concentration1": 2.0, "concentration0": 3.0}, 1e-30),
        ({"concentration1": 1e-8, "concentration0": 1e8}, 1e-9),
        ({"concentration1": 1.0, "concentration0": 1.0}, 0.3),
        ({"concentration1": 0.5, "concentration0": 0.5}, 0.999),
        ({"mean": 0.95, "precision": 0.8}, 0.999),
        ({"concentration1": 1e5, "concentration0": 0.01}, 0.99999),
        ({"mean": 1e-6, "precision": 1e4}, 1e-5),
        ({"logits": 30.0, "precision": 2.0}, 0.3),
        ({"logits": -30.0, "precision": 2.0}, 0.3),
        ({"logits": 1.0, "precision": 1e6}, 0.731),
    ),
    scipy=lambda **parameters: scipy.stats.beta(*map(float, _shapes(**parameters))),
)
