"""The continuous Bernoulli law."""

import mpmath as mp

from likelihoods.distributions import ContinuousBernoulli
from tests.distributions.case import Case


def natural(logits, probs):
    return mp.log(probs) - mp.log1p(-probs) if logits is None else logits


def log_prob(y, logits=None, probs=None):
    eta = natural(logits, probs)
    return mp.mpf(0) if eta == 0 else eta * y + mp.log(eta / mp.expm1(eta))


def cdf(y, logits=None, probs=None):
    eta = natural(logits, probs)
    return y if eta == 0 else mp.expm1(eta * y) / mp.expm1(eta)


CASE = Case(
    ContinuousBernoulli,
    parameters=(
        {"logits": 0.0},
        {"logits": -0.3},
        {"logits": 4.0},
        {"logits": -70.0},
        {"logits": 1000.0},
        {"probs": 0.2},
    ),
    log_prob=log_prob,
    outside=(-1.0, -1e-30, 1.0 + 1e-6, 3.0, 1e30),
    extreme=(
        ({"logits": 1e6}, 0.99999),
        ({"logits": -1e6}, 1e-5),
        ({"logits": 1e-30}, 0.3),
        ({"logits": 1e-4}, 0.3),
        ({"logits": -1e300}, 0.5),
        ({"probs": 0.4991}, 0.3),
        ({"probs": 1e-30}, 0.3),
    ),
    cdf=cdf,
)
