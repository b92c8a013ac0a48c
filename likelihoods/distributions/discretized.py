"""The law of a target that was rounded to a lattice."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, constraints

from likelihoods.distributions.base import Value, between, derived, floating, quantile
from likelihoods.distributions.foreign import univariate
from likelihoods.distributions.supports import NEAR, Lattice, ends, expectation, listed, search, table
from likelihoods.distributions.truncated import Truncated
from likelihoods.distributions.univariate import Univariate


class Discretized(Univariate, TorchDistribution):
    """The law of Y rounded to the nearest point of a lattice: each y has the mass P(y - step/2 < Y <= y + step/2).

    The lattice is offset + k·step for whole k, from ``low`` to ``high`` if these are given. Then the two end cells take
    what lies beyond them (``edges="open"``, as for clipped values, such as pixels), or Y is known to lie within half a
    step of the lattice and the masses are renormalised (``edges="closed"``): the conventions of ``DiscretizedLogistic``.

    Mean, variance and entropy are sums over the cells that hold all but exp(-40) of the mass on each side. Samples are
    rounded, so they have no slopes and there is no ``rsample``; mean, variance and entropy are differentiable.

    Args:
        base: a law of numbers with a cdf. With one of another package cells lose digits in the tails; see ``Foreign``.
        step: the lattice's spacing, positive; a number, or a tensor that broadcasts with the batch, as all of these.
        low: its lowest point, if it has one.
        high: its highest point, if it has one.
        edges: "open" or "closed".
        offset: one of its points (any number, if ``low`` and ``high`` are left out).
        validate_args: whether to check these; torch's default if None. The base has validated its own parameters.

    Raises:
        TypeError: the base has no cdf, or is a law of vectors.
        ValueError: ``edges`` is neither, a step is not positive, or low and high do not lie on the lattice. Mean, variance
            and entropy raise it where the cells that matter are too many.

    Source: D. F. Heitjan (1989), Inference from grouped continuous data, doi:10.1214/ss/1177012601

    >>> from likelihoods.distributions import Normal
    >>> Discretized(Normal(0.0, 1.0), 1.0).log_prob(torch.tensor([0.0, 0.5, 2.0]))
    tensor([-0.9599,    -inf, -2.8035])
    """

    arg_constraints = {}  # the base has the parameters

    def __init__(
        self,
        base: Distribution,
        step: Value = 1.0,
        low: Value = -math.inf,
        high: Value = math.inf,
        edges: str = "open",
        *,
        offset: Value = 0.0,
        validate_args: bool | None = None,
    ) -> None:
        if edges not in ("open", "closed"):
            raise ValueError(f'Discretized got edges={edges!r}; write edges="open" or edges="closed".')
        self.base, self.edges = univariate(base), edges
        self.step, self.low, self.high, self.offset = step, low, high, offset
        shapes = [value.shape for value in (step, low, high, offset) if isinstance(value, Tensor)]
        batch = torch.broadcast_shapes(base.batch_shape, *shapes) if shapes else base.batch_shape
        self._initialise(batch, torch.Size(), validate_args)
        if self._validate_args and not torch.compiler.is_compiling():
            self._check()

    def _check(self) -> None:
        if not _all(self.step > 0):
            raise ValueError(f"Discretized got step={self.step}; it must be positive.")
        for name in ("low", "high"):
            end = getattr(self, name)
            cells = torch.as_tensor((end - self.offset) / self.step)
            if not _all((cells - cells.round()).abs().nan_to_num() <= 1e-3):
                raise ValueError(
                    f"Discretized got {name}={end} with step={self.step} and offset={self.offset}; it must lie on the lattice: "
                    f"write offset={end}, or move {name}."
                )
        if not _all(self.low < self.high):
            raise ValueError(f"Discretized got low={self.low}, high={self.high}; low must be less than high.")

    @property
    def _inner(self) -> Univariate:
        """What is rounded: the base, within the edges if they are closed."""
        if self.edges == "open" or not self._ended:
            return self.base
        half = 0.5 * self.step
        return Truncated(self.base, self.low - half, self.high + half, validate_args=False)

    @property
    def _ended(self) -> bool:
        return (
            isinstance(self.low, Tensor)
            or isinstance(self.high, Tensor)
            or self.low > -math.inf
            or self.high < math.inf
        )

    def expand(self, batch_shape: Any, _instance: Any = None) -> Discretized:
        """Return the law with its base expanded."""
        new: Discretized = self._get_checked_instance(type(self), _instance)
        batch = torch.Size(batch_shape)
        new.base, new.edges = self.base.expand(batch), self.edges
        for name in ("step", "low", "high", "offset"):
            value = getattr(self, name)
            new.__dict__[name] = value.expand(batch) if isinstance(value, Tensor) else value
        Distribution.__init__(new, batch, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def _like(self) -> Tensor:
        return self.base._like

    @property
    def support(self) -> Lattice:
        """The points of the lattice, as far as the base reaches."""
        if self.base.support is constraints.real:
            return Lattice(self.step, self.offset, self.low, self.high)
        with torch.no_grad():
            return Lattice(self.step, self.offset, *self._ends())

    def _ends(self) -> tuple[Tensor, Tensor]:
        low, high = ends(self.base)
        low, high = self._round_down(low, not self.base.support.is_discrete), self._round(high)
        low = low.clamp(torch.as_tensor(self.low, dtype=low.dtype), torch.as_tensor(self.high, dtype=low.dtype))
        return low, high.clamp(torch.as_tensor(self.low, dtype=low.dtype), torch.as_tensor(self.high, dtype=low.dtype))

    def _round(self, value: Tensor) -> Tensor:
        """Return the point whose cell holds the value."""
        return torch.ceil((value - self.offset) / self.step - 0.5) * self.step + self.offset

    def _round_down(self, value: Tensor, beyond: bool) -> Tensor:
        """Return the first point whose cell holds the value, or (``beyond``) something greater."""
        if not beyond:
            return self._round(value)
        return (torch.floor((value - self.offset) / self.step - 0.5) + 1.0) * self.step + self.offset

    # Mass

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-mass of each cell in nats; -inf off the lattice."""
        value = floating(value, self._like)
        on, missing = Lattice(self.step, self.offset).on(value), value.isnan()
        point = torch.where(on | missing, value, self.offset)
        mass = self._inner.log_cell(point, self.step)
        if self._ended:
            half, quarter = 0.5 * self.step, 0.25 * self.step
            low, high = (torch.as_tensor(end, dtype=mass.dtype, device=mass.device) for end in (self.low, self.high))
            if self.edges == "open":
                finite_low = torch.where(low > -torch.inf, low, 0.0)
                finite_high = torch.where(high < torch.inf, high, 0.0)
                mass = torch.where(point <= low + quarter, self.base.log_cdf(finite_low + half), mass)
                mass = torch.where(point >= high - quarter, self.base.log_sf(finite_high - half), mass)
            on = on & (value >= low - quarter) & (value <= high + quarter)
        return torch.where(on | missing, mass, -torch.inf)

    def log_mass(self, low: Tensor, high: Tensor) -> Tensor:
        """Return log P(low < Y <= high)."""
        return self._inner.log_mass(self._edge(low), self._edge(high))

    def log_cell(self, centre: Tensor, width: Value) -> Tensor:
        """Return log P(centre - width/2 < Y <= centre + width/2)."""
        return self.log_mass(centre - 0.5 * width, centre + 0.5 * width)

    # Distribution function

    def _edge(self, value: Tensor) -> Tensor:
        """Return the upper edge of the last cell at or below value, infinite beyond the ends."""
        cell = (floating(value, self._like) - self.offset) / self.step
        # a value that rounding left a hair below its point counts as on it
        cell = torch.floor(cell + (NEAR * cell.abs()).clamp(NEAR, 0.125))
        edge = (cell + 0.5) * self.step + self.offset
        if self._ended:
            quarter = 0.25 * self.step
            edge = torch.where(edge <= self.low + quarter, -torch.inf, edge)
            edge = torch.where(edge >= self.high + quarter, torch.inf, edge)
        return edge

    def _at_edge(self, tail: Callable[[Tensor], Tensor], value: Tensor, below: float, above: float) -> Tensor:
        edge = self._edge(value)
        under, over = edge == -torch.inf, edge == torch.inf
        inner = tail(torch.where(under | over, self.offset, edge))
        return torch.where(under, below, torch.where(over, above, inner))

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return self._at_edge(self._inner.cdf, value, 0.0, 1.0)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        return self._at_edge(self._inner.log_cdf, value, -torch.inf, 0.0)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        return self._at_edge(self._inner.log_sf, value, 0.0, -torch.inf)

    def icdf(self, value: Tensor) -> Tensor:
        """Return the smallest lattice point y with P(Y <= y) >= value."""
        with torch.no_grad():
            p = between(value, 0.0, 1.0, torch.full_like(value, 0.5)).nan_to_num(nan=0.5)
            low, high = self._ends()
            y = torch.minimum(torch.maximum(self._round(self._inner.icdf(p)), low), high)
            y = search(lambda y: self.cdf(y) >= p, y, self.step, low, high)
            return torch.where(value.isnan(), torch.nan, quantile(y, value, low, high))

    # Moments

    def _expect(self, values: Any) -> Tensor:
        return expectation(table(self), values)

    @property
    def mean(self) -> Tensor:
        """The mean, a sum over the cells; not finite where the base's is not."""
        return self._full(self._mean())

    def _mean(self) -> Tensor:
        if not self._ended and not bool(self.base.mean.isfinite().all()):
            return self.base.mean
        return self._expect(lambda y, _: y)

    @property
    def variance(self) -> Tensor:
        """The variance, a sum over the cells; not finite where the base's is not."""
        if not self._ended and not bool(self.base.variance.isfinite().all()):
            return self._full(self.base.variance)
        points = table(self)
        centre = expectation(points, lambda y, _: y)
        return self._full(expectation(points, lambda y, _: (y - centre) * (y - centre)))

    @property
    def mode(self) -> Tensor:
        """The likeliest cell: the one that holds the base's mode, or a neighbour, or an end."""
        with torch.no_grad():
            low, high = self._ends()
            middle = self._round(self.base.mode.to(low.dtype))
            points = [middle, middle - self.step, middle + self.step]
            points = [torch.minimum(torch.maximum(point, low), high) for point in points]
            points += [torch.where(end.isfinite(), end, points[0]) for end in (low, high)]
            listed = torch.stack([self._full(point) for point in points])
            best = self.log_prob(listed).argmax(0, keepdim=True)
            return listed.gather(0, best).squeeze(0)

    def entropy(self) -> Tensor:
        """Return the entropy in nats, a sum over the cells."""
        return self._full(self._expect(lambda _, log_mass: -log_mass))

    # Sampling

    @derived
    def has_enumerate_support(self) -> bool:
        """Whether the lattice ends on both sides."""
        return all(bool(end.isfinite().all()) for end in self._ends())

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return the points along a new first axis.

        Raises:
            NotImplementedError: they are not finitely many, or not the same in all rows.
        """
        if not self.has_enumerate_support:
            raise NotImplementedError("The lattice does not end on both sides; give low and high.")
        return listed(self, *self._ends(), expand)

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return rounded samples."""
        with torch.no_grad():
            inner = self._inner
            inner = inner if inner.batch_shape == self._batch_shape else inner.expand(self._batch_shape)
            low, high = self._ends()
            return torch.minimum(torch.maximum(self._round(inner.sample(torch.Size(sample_shape))), low), high)


def _all(holds: Any) -> bool:
    return bool(torch.as_tensor(holds).all())
