"""Student's law: Johnson, Kotz, Balakrishnan (1995), Continuous Univariate Distributions 2, chapter 28."""

import mpmath as mp
import scipy.stats

from likelihoods.distributions import StudentT
from tests.distributions.case import Case


def log_prob(y, df, loc, scale):
    with mp.extradps(30):  # for the difference of two log-gammas at 1e12
        z = (y - loc) / scale
        constant = mp.loggamma((df + 1) / 2) - mp.loggamma(df / 2) - mp.log(df * mp.pi) / 2 - mp.log(scale)
        return constant - (df + 1) / 2 * mp.log1p(z * z / df)


def cdf(y, df, loc, scale):
    z = (y - loc) / scale
    if z == 0:
        return mp.mpf(1) / 2
    half = mp.betainc(df / 2, mp.mpf(1) / 2, 0, df / (df + z * z), regularized=True) / 2
    return half if z < 0 else 1 - half


CASE = Case(
    family=StudentT,
    parameters=(
        {"df": 4.0, "loc": 0.0, "scale": 1.0},
        {"df": 1.0, "loc": -2.0, "scale": 0.5},
        {"df": 0.9, "loc": 1.0, "scale": 2.0},
        {"df": 30.0, "loc": 1000.0, "scale": 0.1},
        {"df": 2.5, "loc": 3.0, "scale": 10.0},
    ),
    log_prob=log_prob,
    cdf=cdf,
    values=(0.0, 1.0, -40.0),
    extreme=(
        ({"df": 1e8, "loc": 0.0, "scale": 1.0}, 1.0),
        ({"df": 1e12, "loc": 0.0, "scale": 1.0}, 3.0),
        ({"df": 1e8, "loc": 0.0, "scale": 1.0}, 1e6),
        ({"df": 0.01, "loc": 0.0, "scale": 1.0}, 1e30),
        ({"df": 0.01, "loc": 0.0, "scale": 1.0}, 1e-30),
        ({"df": 5.0, "loc": 0.0, "scale": 1e-10}, 1e20),
        ({"df": 5.0, "loc": 0.0, "scale": 1e10}, -1e-20),
        ({"df": 1e5, "loc": 2.0, "scale": 3.0}, 2.0),
    ),
    scipy=lambda df, loc, scale: scipy.stats.t(df, loc, scale),
)
