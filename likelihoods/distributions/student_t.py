"""Student's law."""

from __future__ import annotations

from typing import Any

import pyro.distributions
import torch
from torch import Tensor

from likelihoods.distributions.base import Value, at_ends, between, floating, promote, quantile
from likelihoods.distributions.looks import ORDINARY, in_sight, moderate, within
from likelihoods.distributions.univariate import Univariate, implicit
from likelihoods.incomplete import betaincinv, log_betainc
from likelihoods.special import HALF_LOG_2PI, LOG_2, NEAR, analytic, half_step, half_step_slope, log1pmx
from likelihoods.wide import by_blocks, log_factorial

FINITE = -ORDINARY[1], ORDINARY[1]  # values whose residuals can be squared


def _parts(residual: Tensor, df: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return whether w = |residual| / (scale·√df) is at most 1, w or 1 there, and min(w, 1/w): no square overflows."""
    w = residual.abs() / (scale * df.sqrt())
    small = w <= 1.0
    large = torch.where(small, 1.0, w)
    return small, large, torch.where(small, w, large.reciprocal())


def _log_density(residual: Tensor, df: Tensor, scale: Tensor) -> Tensor:
    w = residual.abs() / (scale * df.sqrt())
    inner = torch.minimum(w, w.reciprocal())
    growth = torch.log1p(inner * inner) + 2.0 * w.clamp(min=1.0).log()  # log(1 + w²)
    return half_step(0.5 * df) - HALF_LOG_2PI - scale.log() - (0.5 * df + 0.5) * growth


def _in_residual(residual: Tensor, df: Tensor, scale: Tensor) -> Tensor:
    w = residual / (scale * df.sqrt())
    small = w.abs() <= 1.0
    inner = torch.where(small, w, torch.where(small, 1.0, w).reciprocal())
    return -(df + 1.0) / df.sqrt() * (inner / (1.0 + inner * inner) / scale)


def _in_df(residual: Tensor, df: Tensor, scale: Tensor) -> Tensor:
    small, large, inner = _parts(residual, df, scale)
    square = inner * inner
    share = torch.where(small, square, 1.0) / (1.0 + square)  # w² / (1 + w²)
    near = share < NEAR
    bend = log1pmx(-torch.where(near, share, 0.0))
    bend = torch.where(near, bend, share - torch.log1p(square) - 2.0 * large.log())
    return 0.5 * (half_step_slope(0.5 * df) + bend + share / df)


def _in_scale(residual: Tensor, df: Tensor, scale: Tensor) -> Tensor:
    small, _, inner = _parts(residual, df, scale)
    square = inner * inner
    share = torch.where(small, square, 1.0) / (1.0 + square)
    return ((df + 1.0) * share - 1.0) / scale


log_density = analytic(_log_density, _in_residual, _in_df, _in_scale)


def _log_cdf(z: Tensor, df: Tensor) -> Tensor:
    """Return log P(Z <= z) at scale 1 from the incomplete beta function of w² / (1 + w²), w = z / √df.

    The derivative in z is the density's over this: through the beta function's argument it would be 0·∞ at z = 0.
    """
    at = between(z, -torch.inf, torch.inf, torch.zeros_like(z))
    w = at.detach().abs().double() / df.double().sqrt()
    w = w.clamp(min=1e-150)
    small = w <= 1.0
    square = torch.where(small, w, torch.where(small, 1.0, w).reciprocal()).square()
    x, y = torch.where(small, 1.0, square) / (1.0 + square), torch.where(small, square, 1.0) / (1.0 + square)
    growth, double = torch.log1p(square), 2.0 * w.log()
    log_x = torch.where(small, -growth, -growth - double)
    log_y = torch.where(small, double - growth, -growth)
    outer, _ = log_betainc(0.5 * df.double(), torch.full_like(w, 0.5), x, y, log_x, log_y)
    tail = outer - LOG_2
    right = at > 0.0
    log_cdf = torch.where(right, torch.log1p(-torch.where(right, tail, -1.0).exp()), tail).to(z.dtype)
    if torch.is_grad_enabled():
        log_cdf = log_cdf + (at - at.detach()) * torch.exp(log_density(at, df, torch.ones_like(df)) - log_cdf).detach()
    return at_ends(log_cdf, z, -torch.inf, torch.inf, -torch.inf, 0.0)


def _as_written(value: Tensor, df: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """Return the log-density as it is written, each Γ(x) as Γ(x + 1)/x."""
    df, scale = df.double(), scale.double()
    half, z = 0.5 * df, (value.double() - loc.double()) / scale
    top = half + 0.5
    ways = log_factorial(top, value) - log_factorial(half, value) + torch.log(half.sqrt() / (top * scale))
    return (ways - HALF_LOG_2PI - top * torch.log1p(z * z / df)).to(value.dtype)


class StudentT(Univariate, pyro.distributions.StudentT):  # type: ignore[misc]  # Pyro makes this class on import
    r"""Student's law, with density (1 + z²/df)^(-(df+1)/2) / (scale·√df·B(1/2, df/2)), z = (y - loc) / scale.

    Args:
        df: degrees of freedom, positive; 1 is Cauchy's law, infinity the normal one.
        loc: median and mode, real.
        scale: scale, positive.
        validate_args: whether to check the parameters; torch's default if None.

    Source: K. L. Lange, R. J. A. Little, J. M. G. Taylor (1989), Robust statistical modeling using the t distribution,
    doi:10.1080/01621459.1989.10478852.

    >>> StudentT(1e8).log_prob(torch.tensor(1.0))
    tensor(-1.4189)
    """

    def __init__(self, df: Value, loc: Value = 0.0, scale: Value = 1.0, *, validate_args: bool | None = None) -> None:
        self.df, self.loc, self.scale = promote(df, loc, scale)
        self._settle(validate_args)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        df, loc, scale = self.df, self.loc, self.scale
        value = floating(value, loc)
        usual = in_sight(value, df, loc, scale) and moderate(df) and within(scale, *ORDINARY)
        if usual and within(value, *FINITE) and within(loc, *FINITE):
            return by_blocks(_as_written, value, df, loc, scale)
        return log_density(value - loc, df, scale)

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return self.log_cdf(value).exp()

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return _log_cdf((floating(value, self.loc) - self.loc) / self.scale, self.df)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return _log_cdf((self.loc - floating(value, self.loc)) / self.scale, self.df)

    def log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return log P(Y <= value) and log P(Y > value)."""
        z = (floating(value, self.loc) - self.loc) / self.scale
        right = z > 0.0
        tail = _log_cdf(torch.where(right, -z, z), self.df)  # the smaller of the two; the other follows from it
        rest = torch.log1p(-tail.exp())
        return torch.where(right, rest, tail), torch.where(right, tail, rest)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``."""
        p = between(value, 0.0, 1.0, torch.full_like(value, 0.5))
        sides = 2.0 * torch.minimum(p, 1.0 - p).double()  # P(|Z| > |z|)
        outer = sides <= 0.5
        log_tail = torch.where(outer, sides, 1.0 - sides).log().clamp(min=-1e300)
        logit = betaincinv(0.5 * self.df, torch.full_like(self.df, 0.5), log_tail, outer)
        distance = (self.df.double().sqrt() * torch.exp(-0.5 * logit)).to(p.dtype)
        distance = torch.where(sides == 1.0, 0.0, distance)
        root = self.loc + self.scale * torch.where(p < 0.5, -distance, distance)
        finite = root.isfinite()  # a df of 0.1 has quantiles that no float32 holds
        found = torch.where(finite, implicit(self, torch.where(finite, root, self.loc), p), root.detach())
        return quantile(found, value, -torch.inf, torch.inf)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean; NaN for df <= 1."""
        return self._full(torch.where(self.df > 1.0, self.loc, torch.nan))

    @property
    def variance(self) -> Tensor:
        """The variance; infinite for df <= 2, NaN for df <= 1."""
        heavy = self.df <= 2.0
        df = torch.where(heavy, 3.0, self.df)
        variance = self.scale * self.scale * (1.0 + 2.0 / (df - 2.0))
        return self._full(torch.where(heavy, torch.where(self.df > 1.0, torch.inf, torch.nan), variance))

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full(self.loc)

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        half = 0.5 * self.df
        growth = (
            (half + 0.5) * half_step_slope(half) + 0.5 + 0.5 / self.df
        )  # (df + 1)/2 times the mean of log(1 + z²/df)
        return self._full(HALF_LOG_2PI - half_step(half) + growth + self.scale.log())

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in the parameters: normal deviates over the root of gamma ones.

        The gamma deviate is that of shape df/2 + 1 times U^(2/df), in log space: with small df it would underflow.
        """
        shape = self._extended_shape(sample_shape)
        half = (0.5 * self.df).expand(shape)
        log_gamma = torch._standard_gamma(half + 1.0).log() - torch.empty_like(half).exponential_() / half
        z = torch.randn_like(half) * torch.exp(0.5 * (half.log() - log_gamma))
        return self.loc + self.scale * z
