"""What the losses of a number elicit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from likelihoods.functionals.functional import Functional


def _mean(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    return (weights * values).sum()


def _mean_and_variance(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    mean = _mean(values, weights)
    return torch.stack([mean, (weights * (values - mean) ** 2).sum()])


def _quantile(values: Tensor, weights: Tensor, levels: float | Sequence[float], **options: Any) -> Tensor:
    order = values.argsort()
    below, wanted = weights[order].cumsum(0), torch.as_tensor(levels, dtype=weights.dtype)
    return values[order][torch.searchsorted(below, wanted).clamp(max=len(values) - 1)]


def _median(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    return _quantile(values, weights, 0.5)


def _geometric_mean(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    return (weights * values.log()).sum().exp()


def _root_of(score: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def solve(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
        from scipy import optimize  # half a second to import, and only `verify` needs it

        def expected(location: float) -> float:
            return float((weights * score(values - location, **options)).sum())

        root = optimize.brentq(expected, float(values.min()), float(values.max()), xtol=1e-14, rtol=1e-15)
        return torch.tensor(root, dtype=values.dtype)

    return solve


def _clipped(residual: Tensor, **options: Any) -> Tensor:
    bound = options["delta"] if "delta" in options else options["beta"]
    return residual.clamp(-bound, bound)


def _tanh(residual: Tensor, **options: Any) -> Tensor:
    return residual.tanh()


def _student(residual: Tensor, df: float, scale: float, **options: Any) -> Tensor:
    return residual / (df * scale**2 + residual**2)


def _squared_sides(residual: Tensor, level: float, **options: Any) -> Tensor:
    return level * residual.clamp_min(0) + (1 - level) * residual.clamp_max(0)


def _cauchy(residual: Tensor, scale: float, **options: Any) -> Tensor:
    return residual / (scale**2 + residual**2)


def barron_score(residual: Tensor, alpha: float, scale: float) -> Tensor:
    """Return the derivative of Barron's loss in the residual, but for a factor; at alpha = -inf the limit."""
    z = residual / scale
    if alpha == -math.inf:
        return z * torch.exp(-(z**2) / 2)
    return z if alpha == 2 else z * (z**2 / abs(alpha - 2) + 1) ** (alpha / 2 - 1)


def _beyond_squared(residual: Tensor, epsilon: float, **options: Any) -> Tensor:
    return residual.sign() * (residual.abs() - epsilon).clamp_min(0)


def _band(values: Tensor, weights: Tensor, epsilon: float, **options: Any) -> Tensor:
    """Return the first place with no more of the population above the band than below it; only there can it be."""
    places = torch.cat([values - epsilon, values + epsilon]).sort().values
    # just right of each place, since the band holds its ends
    gap = places[:, None] + 1e-9 * (1 + places.abs()[:, None]) - values
    excess = (weights * (gap < -epsilon)).sum(-1) - (weights * (gap > epsilon)).sum(-1)
    return places[(excess <= 1e-12).nonzero()[0, 0]]


def _law_median(law: Distribution) -> Tensor:
    return law.icdf(torch.tensor(0.5, dtype=torch.float64))


def _law_quantile(law: Any) -> Tensor:
    each = law.base_dist if isinstance(law, Independent) else law
    quantiles: Tensor = each.icdf(each.tau.expand(law.event_shape))
    return quantiles


def _law_expectile(law: Any) -> Tensor:
    """Return the e with tau E max(Y - e, 0) = (1 - tau) E max(e - Y, 0), the means being integrals of the tails."""
    from scipy import integrate, optimize

    tau, low, high = float(law.tau), *(float(law.icdf(law.tau.new_tensor(p))) for p in (1e-9, 1 - 1e-9))

    def excess(place: float) -> float:
        above = integrate.quad(lambda y: float(law.log_sf(law.tau.new_tensor(y)).exp()), place, high, epsabs=1e-11)[0]
        below = integrate.quad(lambda y: float(law.cdf(law.tau.new_tensor(y))), low, place, epsabs=1e-11)[0]
        return tau * float(above) - (1 - tau) * float(below)

    return torch.tensor(float(optimize.brentq(excess, low, high, xtol=1e-10)), dtype=torch.float64)


def _law_none(law: Distribution) -> Tensor:
    raise NotImplementedError("There is no number of the law to compare with: see the functional's name.")


def location(score: Callable[..., Tensor]) -> tuple[Callable[..., Tensor], Callable[[Distribution], Tensor]]:
    """Return both computations of the place where a score, odd in the residual, has mean 0: of a population and of a law.

    Args:
        score: of the residual and the loss's options, which rises through 0 at 0.
    """
    return _root_of(score), _law_median


NUMBERS = (
    Functional("mean", _mean, lambda law: law.mean),
    Functional("mean and variance", _mean_and_variance, lambda law: torch.stack([law.mean, law.variance], -1)),
    Functional("mean and variance, where its gradient is 0", _mean_and_variance, _law_none),
    Functional("the law within its family, without the penalty", _mean, _law_none),
    Functional("median", _median, _law_median),
    Functional("quantile", _quantile, _law_quantile),
    Functional("expectile", _root_of(_squared_sides), _law_expectile),
    Functional("geometric mean", _geometric_mean, _law_median),
    Functional("huber location", *location(_clipped)),
    Functional("log-cosh location", *location(_tanh)),
    Functional("student-t location", *location(_student), unique=False),
    Functional("cauchy location", *location(_cauchy), unique=False),
    Functional("barron location", *location(barron_score), unique=False),
    Functional("epsilon-insensitive location", _band, _law_median),
    Functional("squared epsilon-insensitive location", *location(_beyond_squared)),
)
