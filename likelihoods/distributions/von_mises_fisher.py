"""The von Mises-Fisher law."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyro.distributions.constraints
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from likelihoods.bessel import Sphere
from likelihoods.distributions.base import Parametric, Value, log_indicator, promote, register_kl

NODES, WEIGHTS = (tuple(x.tolist()) for x in np.polynomial.legendre.leggauss(48))
REACH = 40.0  # an integrand is summed to where it has fallen by exp(-REACH)
HALVINGS = 40


class VonMisesFisher(Parametric, TorchDistribution):
    r"""The von Mises-Fisher law of unit vectors, with density C(concentration) · exp(concentration · loc·y) on the sphere.

    The density refers to the sphere's surface; concentration 0 gives the uniform law. Checked in 2 to 1024 dimensions.

    Args:
        loc: mean direction, a unit vector, ``(..., dim)`` with dim of at least 2.
        concentration: at least 0, ``(...)``.
        validate_args: whether to check the parameters; torch's default if None.

    Source: K. V. Mardia, P. E. Jupp (2000), Directional Statistics, section 9.3.2; T. R. Davidson et al. (2018),
    https://arxiv.org/abs/1804.00891

    >>> VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), 2.0).log_prob(torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 1.1]]))
    tensor([-1.1262,    -inf])
    """

    arg_constraints = {"loc": pyro.distributions.constraints.sphere, "concentration": constraints.nonnegative}
    support = pyro.distributions.constraints.sphere
    has_rsample = True

    def __init__(self, loc: Tensor, concentration: Value = 1.0, *, validate_args: bool | None = None) -> None:
        if not isinstance(loc, Tensor) or loc.dim() == 0 or loc.shape[-1] < 2:
            got = f"shape {tuple(loc.shape)}" if isinstance(loc, Tensor) else f"a {type(loc).__name__}"
            raise ValueError(
                f"VonMisesFisher got loc of {got}; give unit vectors in two or more dimensions, (..., dim)."
            )
        self.loc, self.concentration = promote(loc, concentration)
        self._settle(validate_args, event_dim=1)

    @classmethod
    def infer_shapes(  # type: ignore[override]  # parameters by name, as Pyro's own laws take them
        cls, loc: Any, concentration: Any = ()
    ) -> tuple[torch.Size, torch.Size]:
        """Return batch and event shape for parameters of these shapes."""
        return torch.broadcast_shapes(loc[:-1], concentration), torch.Size(loc[-1:])

    @property
    def _sphere(self) -> Sphere:
        return Sphere(self.loc.shape[-1])

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats; -inf where the length of value is not 1 within 1e-5, or in float32 2e-6·√dim."""
        chord = value - self.loc
        square = (chord * chord).sum(-1)  # 2 - 2 cos, with all its digits near loc
        length = (value * value).sum(-1)
        slack = max(1e-5, 20.0 * torch.finfo(length.dtype).eps * math.sqrt(value.shape[-1]))
        density = self._sphere.log_normalizer(self.concentration) - 0.5 * self.concentration * square
        return density + log_indicator((length - 1.0).abs() <= 2.0 * slack, length)

    # Moments

    @property
    def mean(self) -> Tensor:
        """The mean vector, shorter than 1."""
        resultant = self.concentration * self._sphere.ratio(self.concentration)
        return self._full(resultant.unsqueeze(-1) * self.loc)

    @property
    def variance(self) -> Tensor:
        """The variance of each coordinate."""
        across = self._sphere.ratio(self.concentration)
        gap = self._sphere.gap(self.concentration)
        along = gap * (2.0 - gap) - (self.loc.shape[-1] - 1.0) * across
        square = self.loc * self.loc
        return self._full(across.unsqueeze(-1) * (1.0 - square) + along.unsqueeze(-1) * square)

    @property
    def mode(self) -> Tensor:
        """The mode."""
        return self._full(self.loc)

    def entropy(self) -> Tensor:
        """Return the entropy in nats, with respect to the sphere's surface."""
        fall = self.concentration * self._sphere.gap(self.concentration)
        return (fall - self._sphere.log_normalizer(self.concentration)).expand(self._batch_shape)

    # Sampling

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples, differentiable in both parameters; in the concentration by implicit differentiation of the cdf."""
        shape = self._extended_shape(sample_shape)
        with torch.no_grad():
            concentration = self.concentration.double().expand(shape[:-1])
            gap = _wood(concentration, shape[-1])
            noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        if torch.is_grad_enabled() and self.concentration.requires_grad:
            slope = _slope(gap, concentration, self._sphere)
            gap = gap + slope * (self.concentration - self.concentration.detach())
        tangent = noise
        for _ in range(2):  # twice, as what is left of a noise nearly along loc is not yet at right angles to it
            tangent = tangent - (tangent * self.loc).sum(-1, keepdim=True) * self.loc
            tangent = tangent / tangent.norm(dim=-1, keepdim=True)
        sine = (gap * (2.0 - gap)).clamp(min=0.0).sqrt().to(self.loc.dtype).unsqueeze(-1)
        return (1.0 - gap).to(self.loc.dtype).unsqueeze(-1) * self.loc + sine * tangent


def _wood(concentration: Tensor, dim: int) -> Tensor:
    """Return samples of 1 - loc·y, in terms of which nothing cancels at large concentrations."""
    b = (dim - 1.0) / (
        2.0 * concentration + torch.hypot(2.0 * concentration, torch.full_like(concentration, dim - 1.0))
    )
    gap_0 = 2.0 * b / (1.0 + b)
    gap, done = torch.zeros_like(concentration), torch.zeros_like(concentration, dtype=torch.bool)
    shape = torch.full_like(concentration, 0.5 * (dim - 1.0))
    while not done.all():
        first, second = torch._standard_gamma(shape), torch._standard_gamma(shape)
        z = first / (first + second)
        proposal = 2.0 * b * z / ((1.0 - z) + b * z)
        excess = torch.log1p((1.0 - gap_0) * (proposal - gap_0) / (gap_0 * (2.0 - gap_0)))  # log((1 - x0 w)/(1 - x0²))
        accept = concentration * (gap_0 - proposal) + (dim - 1.0) * excess >= torch.rand_like(gap).log()
        gap, done = torch.where(accept & ~done, proposal, gap), done | accept
    return gap


def _slope(s: Tensor, concentration: Tensor, functions: Sphere) -> Tensor:
    """Return the derivative of a sample s of 1 - loc·y in the concentration at fixed probability.

    It is minus that of the cdf over the density g: an integral of (E s - r) g(r) / g(s) from 0 to s or, left of E s by as
    much, of its negative from s to 2. Either end is reached exponentially, r = s exp(-v) or 2 - r = (2 - s) exp(-v).
    """
    with torch.no_grad():
        mean, power = functions.gap(concentration), 0.5 * (functions.dim - 3.0)
        s = s.clamp(torch.finfo(s.dtype).smallest_normal, 2.0 - torch.finfo(s.dtype).eps)
        lower = s < mean
        near, rest = torch.where(lower, s, 2.0 - s), torch.where(lower, 2.0 - s, s)
        pull = torch.where(lower, -concentration, concentration) * near

        def log_ratio(v: Tensor) -> Tensor:
            """Return log(g(r) / g(s)) + log(dr/dv) but for a constant."""
            moved = -torch.expm1(-v)
            return (
                -pull.unsqueeze(-1) * moved
                + power * torch.log1p((near / rest).unsqueeze(-1) * moved)
                - (power + 1.0) * v
            )

        left = torch.zeros_like(s).unsqueeze(-1)
        most = pull.clamp(max=0.0).neg() + abs(power) * torch.log1p(near / rest)
        right = ((REACH + most) / (power + 1.0)).unsqueeze(-1)
        for _ in range(HALVINGS):
            middle = 0.5 * (left + right)
            far = log_ratio(middle) < -REACH
            left, right = torch.where(far, left, middle), torch.where(far, middle, right)
        nodes, weights = (torch.tensor(x, dtype=s.dtype, device=s.device) for x in (NODES, WEIGHTS))
        v = right * (0.5 * nodes + 0.5)
        r = torch.where(
            lower.unsqueeze(-1), near.unsqueeze(-1) * torch.exp(-v), 2.0 - near.unsqueeze(-1) * torch.exp(-v)
        )
        terms = (r - mean.unsqueeze(-1)).abs() * log_ratio(v).exp()
        return -(0.5 * right * weights * terms).sum(-1) * near


# Divergences


@register_kl(VonMisesFisher, VonMisesFisher)
def _kl_von_mises_fisher_von_mises_fisher(p: VonMisesFisher, q: VonMisesFisher) -> Tensor:
    """Return the closed form in 1 - A and scaled normalisers; q of concentration 0 is the uniform law."""
    if p.event_shape != q.event_shape:
        raise ValueError(f"The laws live in {p.event_shape[0]} and {q.event_shape[0]} dimensions.")
    functions = p._sphere
    gap, chord = functions.gap(p.concentration), p.loc - q.loc
    distance = gap + (1.0 - gap) * (0.5 * (chord * chord).sum(-1))  # 1 - E q.loc·y
    scale = functions.log_normalizer(p.concentration) - functions.log_normalizer(q.concentration)
    return q.concentration * distance - p.concentration * gap + scale
