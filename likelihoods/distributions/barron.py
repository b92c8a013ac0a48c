"""Barron's law: normal, hyperbolic and Cauchy-like tails in one shape parameter.

Its normaliser, distribution function and variance are integrals without closed form. They are taken in float64 by rules
that are exact to rounding for every alpha >= 0, and are differentiable because only the integrand depends on alpha: the
nodes are constants.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions.base import Value, between, promote, quantile
from likelihoods.distributions.univariate import Univariate, implicit
from likelihoods.removable import expm1_ratio, log1p_by
from likelihoods.special import LOG_2, log1mexp, log1p_square, symmetric_log_cdf

EDGE = 2.0**-52  # least |alpha - 2|: at 2 the slope in alpha is infinite, and here the value is the normal law's
LARGE = 1e4  # more than log(1 + z²/b) at any finite z
DEPTH = 45.0  # integrands are followed until they have fallen by exp(-DEPTH)
STEPS = 160  # of the trapezoidal rule for the normaliser; its error falls exponentially in their number
MOMENT_STEPS = 600  # the same for the variance, whose integrand reaches further
BODY = 1.0  # z up to which the mass between 0 and z is integrated, and beyond it the mass of the tail
NEWTON = 40
_nodes, _weights = np.polynomial.legendre.leggauss(64)
POINTS = tuple((0.5 + 0.5 * _nodes).tolist())
LOG_WEIGHTS = tuple(np.log(0.5 * _weights).tolist())


def _breadth(alpha: Tensor) -> Tensor:
    """Return b = |alpha - 2|, kept away from 0."""
    return (alpha - 2.0).abs().clamp(min=EDGE)


def _loss(z: Tensor, alpha: Tensor) -> Tensor:
    """Return ρ(z) = (b/alpha)·((1 + z²/b)^(alpha/2) - 1), with one formula for all alpha, 0 and 2 among them."""
    b = _breadth(alpha)
    return _loss_of_growth(log1p_square(z * torch.rsqrt(b)), alpha, b)


def _loss_of_growth(growth: Tensor, alpha: Tensor, b: Tensor) -> Tensor:
    """Return ρ as a function of log(1 + z²/b)."""
    return 0.5 * b * growth * expm1_ratio(0.5 * alpha * growth.clamp(max=LARGE))


def _whole_line(alpha: Tensor, steps: int, power: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return log sinh s, ρ and the log-weights of exp(-ρ) dz at nodes z = √b·sinh(s) of the half-line, ρ in alpha's graph.

    In s the integrand is analytic and falls at least exponentially, so that the trapezoidal rule converges exponentially.
    The nodes end where z^power·exp(-ρ) has become negligible: cosh s <= exp(c) with c = log(1 + alpha·(DEPTH + …)/b)/alpha.
    """
    alpha = alpha.unsqueeze(-1)
    b = _breadth(alpha)
    with torch.no_grad():
        a = alpha.clamp(min=1e-4)
        reach = torch.full_like(a, 1e4) if power else torch.full_like(a, DEPTH)
        for _ in range(50 if power else 1):
            reach = torch.log1p(a / b * (DEPTH + (1.0 + power) * reach + 1.0)) / a
        reach = reach + torch.log1p(torch.sqrt(-torch.expm1(-2.0 * reach)))  # arcosh(exp(c))
        s = reach * torch.linspace(0.0, 1.0, steps + 1, dtype=alpha.dtype, device=alpha.device)
        log_cosh = s + torch.log1p(torch.exp(-2.0 * s)) - LOG_2
        log_cosh = torch.where(s < 1.0, torch.log1p(2.0 * torch.sinh(0.5 * s.clamp(max=1.0)) ** 2), log_cosh)
        log_sinh = s - LOG_2 + log1mexp(2.0 * s)
        log_weight = log_cosh + torch.log(2.0 / steps * reach)
        log_weight[..., 0] -= LOG_2  # node 0 counts once on the whole line
    return log_sinh, _loss_of_growth(2.0 * log_cosh, alpha, b), log_weight + 0.5 * b.log()


def barron_log_normalizer(alpha: Tensor) -> Tensor:
    """Return log ∫ exp(-ρ(z)) dz, for a float64 alpha to about 1e-14.

    >>> barron_log_normalizer(torch.tensor([0.0, 2.0], dtype=torch.float64)).exp() ** 2 / torch.pi
    tensor([6.2832, 2.0000], dtype=torch.float64)
    """
    _, loss, log_weight = _whole_line(alpha.double(), STEPS)
    return torch.logsumexp(log_weight - loss, -1).to(alpha.dtype)


class Barron(Univariate, TorchDistribution):
    r"""Barron's law, with density exp(-ρ(z)) / (scale·Z(alpha)), z = (y - loc) / scale.

    ρ(z) = (b/alpha)·((1 + z²/b)^(alpha/2) - 1), b = \|alpha - 2\|, is Barron's general robust loss: alpha = 2 is the normal
    law, 1 the hyperbolic law (the pseudo-Huber loss), 0 a Cauchy law with scale √2·scale. Negative alpha gives losses
    without a density. The normaliser (:func:`barron_log_normalizer`), the distribution function and the variance are
    computed by quadrature.

    Args:
        loc: centre, median and mode, real.
        scale: scale, positive.
        alpha: shape, not negative; the smaller, the heavier the tails.
        validate_args: whether to check the parameters; torch's default if None.

    Source: J. T. Barron (2019), A general and adaptive robust loss function, https://arxiv.org/abs/1701.03077

    >>> Barron(0.0, 1.0, 1.0).log_prob(torch.tensor([0.0, 10.0]))
    tensor([ -1.1855, -10.2354])
    """

    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "alpha": constraints.nonnegative,
    }
    support = constraints.real
    has_rsample = True

    def __init__(
        self, loc: Value = 0.0, scale: Value = 1.0, alpha: Value = 1.0, *, validate_args: bool | None = None
    ) -> None:
        self.loc, self.scale, self.alpha = promote(loc, scale, alpha)
        self._settle(validate_args)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        z = (value - self.loc) / self.scale
        return -_loss(z, self.alpha) - (self.scale.log() + barron_log_normalizer(self.alpha))

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return self.log_cdf(value).exp()

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return self._in_double((value - self.loc) / self.scale)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return self._in_double((self.loc - value) / self.scale)

    def _in_double(self, z: Tensor) -> Tensor:
        alpha = self.alpha.double()
        log_total = barron_log_normalizer(alpha)
        return symmetric_log_cdf(z.double(), lambda distance: _log_tail(distance, alpha, log_total)).to(z.dtype)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``, by Newton's method."""
        p = between(value, 0.0, 1.0, torch.full_like(value, 0.5)).double()
        below = p <= 0.5
        distance = _tail_quantile(torch.where(below, p, 1.0 - p).log(), self.alpha.double()).to(value.dtype)
        z = torch.where(below, -distance, distance)
        return quantile(self.loc + self.scale * z, value, -torch.inf, torch.inf)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean; NaN at alpha = 0, whose law has none."""
        return self._full(torch.where(self.alpha > 0, self.loc, torch.nan))

    @property
    def variance(self) -> Tensor:
        """The variance; infinite at alpha = 0, and where it exceeds floating point."""
        alpha = self.alpha.double()
        log_sinh, loss, log_weight = _whole_line(alpha, MOMENT_STEPS, power=2)
        terms = (log_weight - loss)[..., 1:] + 2.0 * log_sinh[..., 1:]
        log_square = _breadth(alpha).log() + torch.logsumexp(terms, -1) - barron_log_normalizer(alpha)
        return self._full(self.scale * self.scale * log_square.exp().to(self.scale.dtype))

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full(self.loc)

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        alpha = self.alpha.double()
        _, loss, log_weight = _whole_line(alpha, STEPS)
        log_total = torch.logsumexp(log_weight - loss, -1)
        mean_loss = ((log_weight - loss - log_total.unsqueeze(-1)).exp() * loss).sum(-1)
        return self._full(self.scale.log() + (log_total + mean_loss).to(self.scale.dtype))

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in the parameters: at the drawn z, the quantile of a fixed probability."""
        z = self._draw(sample_shape)
        if self.alpha.requires_grad:
            zero = torch.zeros_like(self.alpha)
            z = implicit(Barron(zero, zero + 1.0, self.alpha, validate_args=False), z)
        return self.loc + self.scale * z

    @torch.no_grad()
    def _draw(self, sample_shape: Any) -> Tensor:
        """Return standard samples by rejection, from a Cauchy law for alpha < 2 and a normal law from 2 on."""
        shape = self._extended_shape(sample_shape)
        alpha = self.alpha.expand(shape).reshape(-1)
        z = torch.empty(alpha.shape, dtype=self.loc.dtype, device=self.loc.device)
        left = torch.arange(z.numel(), device=z.device)
        while left.numel():  # at least 0.56 of the proposals are taken (Barron 2019, section C)
            a = alpha[left]
            cauchy = math.sqrt(2.0) * torch.empty_like(z[left]).cauchy_()
            proposal = torch.where(a < 2.0, cauchy, torch.randn_like(cauchy))
            half_square = 0.5 * proposal * proposal
            excess = torch.where(a < 2.0, torch.log1p(half_square), half_square) - _loss(proposal, a)
            taken = -torch.empty_like(excess).exponential_() < excess
            z[left[taken]] = proposal[taken]
            left = left[~taken]
        return z.reshape(shape)


def _distance(loss: Tensor, alpha: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return log z and log dz/dτ at the z > 0 with ρ(z) = loss = τ² > 0."""
    growth = 2.0 * log1p_by(loss / b, alpha)
    log_z = 0.5 * (b.log() + growth + log1mexp(growth))
    return log_z, LOG_2 + 0.5 * loss.log() - log_z + (1.0 - 0.5 * alpha) * growth


def _log_tail(z: Tensor, alpha: Tensor, log_total: Tensor) -> Tensor:
    """Return log P((Y - loc)/scale > z) for z >= 0 in float64; ``log_total`` is the log-normaliser.

    Up to ``BODY`` it is 1/2 less the mass between 0 and z, integrated in s, z = √b·sinh(s). Beyond, the mass of the tail
    is integrated in τ = √ρ, where it is exp(-τ²) times a smooth factor for every alpha.
    """
    with torch.no_grad():
        z0, a = z.unsqueeze(-1), alpha.unsqueeze(-1)
        b = _breadth(a)
        u, log_w = z.new_tensor(POINTS), z.new_tensor(LOG_WEIGHTS)
        body = z0 <= BODY
        end = torch.asinh(torch.where(body, z0, 1.0) * torch.rsqrt(b))
        inner = b.sqrt() * torch.sinh(end * u)
        inner_weight = 0.5 * b.log() + end.clamp(min=1e-300).log() + torch.log(torch.cosh(end * u))
        start = torch.minimum(
            _loss(torch.where(body, BODY, z0), a), 1e300 * b.clamp(max=1.0)
        )  # start / b must be finite
        root = start.sqrt()
        reach = 2.0 * DEPTH / (torch.sqrt(start + 2.0 * DEPTH) + root)
        tail_loss = start + u * reach * (2.0 * root + u * reach)
        log_z, log_slope = _distance(torch.where(body, 1.0, tail_loss), a, b)
        node = torch.where(body, inner, log_z.clamp(max=700.0).exp())
        log_weight = log_w + torch.where(body, inner_weight, reach.log() + log_slope)
    loss = _loss(node, alpha.unsqueeze(-1))
    loss = torch.where(body, loss.detach(), tail_loss) + (loss - loss.detach())  # known better than from a rounded node
    log_mass = torch.logsumexp(log_weight - loss, -1) - log_total
    inside = body.squeeze(-1)
    within = torch.where(inside, log_mass, -1.0).exp()
    log_tail = torch.where(inside, torch.log(0.5 - within), log_mass)
    hazard = (-_loss(z, alpha) - log_total - log_tail).detach().exp()
    return torch.where(z == torch.inf, -torch.inf, log_tail - hazard * (z - z.detach()))


def _tail_quantile(log_tail: Tensor, alpha: Tensor) -> Tensor:
    """Return the z >= 0 with P((Y - loc)/scale > z) = exp(log_tail) <= 1/2, by Newton's method in τ = √ρ(z).

    There the log-tail is concave and lies below -τ²/2 + log(1/2), so that the steps come down from the right to the root.
    """
    log_total = barron_log_normalizer(alpha)
    with torch.no_grad():
        target, b = log_tail.detach(), _breadth(alpha)
        tau = torch.sqrt(2.0 * (-LOG_2 - target).clamp(min=0.0))
        for _ in range(NEWTON):
            log_z, log_slope = _distance((tau * tau).clamp(min=1e-100), alpha, b)
            tail = _log_tail(log_z.exp(), alpha, log_total)
            slope = torch.exp(-_loss(log_z.exp(), alpha) - log_total - tail + log_slope)
            step = (tail - target) / slope
            tau = (tau + step).clamp(min=0.0)
            if bool((step.abs() <= 1e-13 * tau).all()):
                break
        z = _distance((tau * tau).clamp(min=1e-100), alpha, b)[0].exp()
    tail = _log_tail(z, alpha, log_total)
    inverse_hazard = (tail + _loss(z, alpha) + log_total).detach().exp()
    return z + (tail - log_tail) * inverse_hazard
