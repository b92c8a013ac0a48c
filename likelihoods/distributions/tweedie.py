"""The Tweedie law with a power between 1 and 2: a Poisson sum of gamma amounts."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import (
    Univariate,
    Value,
    at_ends,
    between,
    floating,
    log_nonnegative,
    open_interval,
    promote,
    quantile,
)
from likelihoods.distributions.inversion import invert
from likelihoods.incomplete import log_gammainc
from likelihoods.special import NEAR, analytic, log1mexp, near_log1pmx, stirling, stirling_slope

LOG_2 = math.log(2.0)
LOG_2PI = math.log(2.0 * math.pi)
DENSITY_TERMS, CDF_TERMS = 96, 128
SPREAD = 18.0  # standard deviations that the terms of a sum must span
ROWS = 1 << 13  # values for which the terms are held in memory at a time


class Tweedie(Univariate, TorchDistribution):  # type: ignore[misc]
    r"""The Tweedie law of total claims, total rain and the like: 0 with positive probability, else a density.

    It is the law of a Poisson(λ) number of Gamma(α, 1/γ) amounts, λ = mean^(2-power) / (dispersion · (2 - power)),
    α = (2 - power) / (power - 1), γ = dispersion · (power - 1) · mean^(power-1); the variance is dispersion ·
    mean^power. ``log_prob`` is the log-probability -λ at 0 and the log of the density beyond.

    The density is the series of Dunn and Smyth over the number of amounts, each term in saddlepoint form, so that none
    cancels. A fixed number of terms, integers about the largest or, where those would not reach, a wider grid (the
    terms are smooth enough then for the trapezoidal rule to equal the sum to rounding), is exact to 1e-13 whatever the
    parameters. The cdf sums gamma distribution functions likewise; there the wide grid, used for λ above 50, is fine
    enough only for powers of at least 1.04.

    Args:
        mean: mean, positive.
        dispersion: positive.
        power: exponent of the mean in the variance, between 1 (Poisson) and 2 (gamma).
        validate_args: whether to check the parameters; torch's default if None.

    Source: B. Jorgensen (1987), doi:10.1111/j.2517-6161.1987.tb01685.x; P. K. Dunn, G. K. Smyth (2005),
    doi:10.1007/s11222-005-4070-y.

    >>> Tweedie(2.0, 1.0, 1.5).log_prob(torch.tensor([0.0, 2.0, -1.0]))
    tensor([-2.8284, -1.4785,    -inf])
    """

    arg_constraints: ClassVar = {
        "mean": constraints.positive,
        "dispersion": constraints.positive,
        "power": open_interval(1.0, 2.0),
    }
    support = constraints.nonnegative
    mean: Tensor = None  # type: ignore[assignment]  # the parameter, with the batch shape, instead of torch's property

    def __init__(
        self, mean: Value = 1.0, dispersion: Value = 1.0, power: Value = 1.5, *, validate_args: bool | None = None
    ) -> None:
        self.mean, self.dispersion, self.power = promote(mean, dispersion, power)
        self._settle(validate_args)
        self.mean = self._full(self.mean)

    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the Poisson rate, and the shape and the scale of the amounts."""
        return _parts(self.mean, self.dispersion, self.power)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability at 0 and the log-density beyond, in nats; -inf for value < 0."""
        value = floating(value, self.mean)
        positive = between(value, 0.0, torch.inf, self.mean.detach())
        density = _log_density(positive, self.mean, self.dispersion, self.power)
        return torch.where(value == 0, -self._parts()[0], density + (log_nonnegative(value) + log_nonnegative(-value / 0)))

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return self.log_cdf(value).exp()
