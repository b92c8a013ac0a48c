"""The beta-binomial law: Johnson, Kemp, Kotz (2005), Univariate Discrete Distributions, section 6.9.2."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import BetaBinomial
from tests.distributions.case import Case


def _log_beta(a, b):
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


def _shapes(concentration1=None, concentration0=None, logits=None, precision=None):
    if logits is None:
        return concentration1, concentration0
    return precision / (1 + mp.exp(-logits)), precision / (1 + mp.exp(logits))


def log_prob(y, total_count, **parameters):
    with mp.extradps(40):  # for differences of log-gammas at 1e10
        (a, b), n = _shapes(**parameters), total_count
        return _log_beta(y + a, n - y + b) - _log_beta(a, b) - mp.log(n + 1) - _log_beta(y + 1, n - y + 1)


def cdf(y, total_count, **parameters):
    if y >= total_count:
        return mp.mpf(1)
    return mp.fsum(
        mp.exp(log_prob(mp.mpf(k), total_count=total_count, **parameters)) for k in range(int(mp.floor(y)) + 1)
    )


CASE = Case(
    family=BetaBinomial,
    parameters=(
        {"concentration1": 2.0, "concentration0": 3.0, "total_count": 10.0},
        {"concentration1": 0.3, "concentration0": 0.2, "total_count": 25.0},
        {"concentration1": 500.0, "concentration0": 100.0, "total_count": 60.0},
        {"concentration1": 1.0, "concentration0": 1.0, "total_count": 4.0},
        {"concentration1": 0.02, "concentration0": 7.0, "total_count": 30.0},
        {"logits": 0.75, "precision": 3.0, "total_count": 12.0},
    ),
    log_prob=log_prob,
    cdf=cdf,
    outside=(-1.0, 61.0, 0.5, 1e30),
    values=(0.0, 1.0),
    extreme=(
        ({"concentration1": 1e10, "concentration0": 1e10, "total_count": 50.0}, 20.0),
        ({"concentration1": 2e6, "concentration0": 1e6, "total_count": 1e6}, 667000.0),
        ({"concentration1": 1e-8, "concentration0": 1e-8, "total_count": 20.0}, 3.0),
        ({"concentration1": 2.0, "concentration0": 3.0, "total_count": 1e6}, 0.0),
        ({"concentration1": 2.0, "concentration0": 3.0, "total_count": 1e6}, 1e6),
        ({"concentration1": 1e-3, "concentration0": 1e5, "total_count": 1e3}, 5.0),
        ({"logits": 30.0, "precision": 2.0, "total_count": 20.0}, 3.0),
        ({"logits": -30.0, "precision": 2.0, "total_count": 20.0}, 3.0),
        ({"logits": 1.0, "precision": 1e6, "total_count": 50.0}, 30.0),
    ),
    scipy=lambda total_count, **parameters: scipy.stats.betabinom(int(total_count), *map(float, _shapes(**parameters))),
)
