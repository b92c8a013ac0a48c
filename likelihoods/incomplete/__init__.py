"""The regularised incomplete gamma and beta functions in log space, with derivatives in every argument.

Both tails of both laws are a kernel times one integral of the same kind,

    ∫_0^∞ exp(-δ·v - κ(v)) dv,  δ >= 0,  κ convex and positive,

for v the distance from x on the scale of log x (gamma) or logit x (beta). The integrand is smooth and falls from 1, so
that a Gauss rule on the stretch where it matters is exact to rounding whatever the parameters are: no choice between
series, continued fractions and expansions, no iteration count that grows with the parameters, and the derivatives in
the shape parameters are moments of the same integrand. The smaller tail is integrated, the other is its complement.

Everything is computed in float64 and rounded to the arguments' dtype at the end.

Sources: W. Gautschi (1979), A computational procedure for incomplete gamma functions, doi:10.1145/355972.355975;
A. Gil, J. Segura, N. M. Temme (2012), doi:10.1137/120872553. The representation is NIST DLMF 8.2.1, 8.17.1 after the
substitution, https://dlmf.nist.gov/8
"""

from likelihoods.incomplete.beta import log_betainc
from likelihoods.incomplete.deviance import binary_deviance, log_ratio, smooth_log_ratio
from likelihoods.incomplete.gamma import log_gammainc
from likelihoods.incomplete.inverse import betaincinv, gammaincinv

__all__ = [
    "betaincinv",
    "binary_deviance",
    "gammaincinv",
    "log_betainc",
    "log_gammainc",
    "log_ratio",
    "smooth_log_ratio",
]
