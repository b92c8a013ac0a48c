"""The law of a target that was rounded to a lattice."""

from __future__ import annotations

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, constraints

from likelihoods.distributions.base import Univariate


class Lattice(constraints.Constraint):
    """The multiples of a step, up to the rounding of floating point."""

    is_discrete = True

    def __init__(self, step: float) -> None:
        self.step = step

    def check(self, value: Tensor) -> Tensor:
        """Return whether each value lies on the lattice."""
        cells = value / self.step
        return ((cells - cells.round()).abs() <= 1e-6 * cells.abs().clamp_min(1.0)) & (cells.abs() < torch.inf)

    def __repr__(self) -> str:
        return f"the multiples of {self.step:g}"


class Discretized(Univariate, TorchDistribution):  # type: ignore[misc]
    """The law of Y rounded to the nearest multiple of a step: each y has the mass P(y - step/2 < Y <= y + step/2).

    Args:
        base: any law of this package on the line.
        step: the lattice's spacing, positive.
        validate_args: torch's default if None; the base has validated its own parameters.

    Raises:
        TypeError: the base cannot give the mass of an interval.

    Source: D. F. Heitjan (1989), Inference from grouped continuous data, doi:10.1214/ss/1177012601

    >>> from likelihoods.distributions import Normal
    >>> Discretized(Normal(0.0, 1.0), 1.0).log_prob(torch.tensor([0.0, 0.5, 2.0]))
    tensor([-0.9599,    -inf, -2.8048])
    """

    arg_constraints = {}  # noqa: RUF012  (torch's name; the base has the parameters)

    def __init__(self, base: Distribution, step: float = 1.0, *, validate_args: bool | None = None) -> None:
        if not isinstance(base, Univariate):
            raise TypeError(
                f"{type(base).__name__} has no cdf that keeps its digits in the tails, so the mass of a cell is not to be "
                f"had; use one of likelihoods.distributions."
            )
        if not step > 0:
            raise ValueError(f"step={step}; it must be positive.")
        self.base, self.step = base, float(step)
        Distribution.__init__(self, base.batch_shape, validate_args=validate_args)

    @property
    def support(self) -> constraints.Constraint:
        """The lattice."""
        return Lattice(self.step)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Discretized:
        """Return the law with its base expanded."""
        return Discretized(self.base.expand(batch_shape), self.step, validate_args=self._validate_args)

    # Mass

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-mass of each cell in nats; -inf off the lattice."""
        half = 0.5 * self.step
        mass = self.base.log_mass(value - half, value + half)
        return torch.where(Lattice(self.step).check(value) | value.isnan(), mass, -torch.inf)

    # Distribution function

    def _edge(self, value: Tensor) -> Tensor:
        # the upper edge of the last cell at or below value; a value that rounding left a hair below its cell counts as in it
        return (torch.floor(value / self.step + 1e-6) + 0.5) * self.step

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return self.base.cdf(self._edge(value))

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return self.base.log_cdf(self._edge(value))

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return self.base.log_sf(self._edge(value))

    def icdf(self, value: Tensor) -> Tensor:
        """Return the smallest lattice point y with P(Y <= y) >= value."""
        return torch.ceil(self.base.icdf(value) / self.step - 0.5) * self.step

    # Moments

    @property
    def mode(self) -> Tensor:
        """The cell that holds the base's mode."""
        return torch.round(self.base.mode / self.step) * self.step

    def entropy(self) -> Tensor:
        """Raise: there is no closed form."""
        raise NotImplementedError("A rounded law's entropy has no closed form; average -log_prob over samples.")

    # Sampling

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return rounded samples."""
        return torch.round(self.base.sample(sample_shape) / self.step) * self.step
