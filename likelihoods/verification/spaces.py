"""Where the targets of a law live: what there is to walk through, add up or integrate over."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, Independent, Transform, VonMises, biject_to, constraints

from likelihoods.distributions import supports
from likelihoods.distributions.multinomial import Compositions
from likelihoods.divergences.support import atoms, bounds
from likelihoods.verification.law import ask, not_available

LIST = 4096  # outcomes that are listed; a longer range of numbers is walked through, and vectors are taken apart
COUNTS = type(constraints.multinomial(1))


@dataclass(frozen=True, eq=False)
class Listed:
    """Finitely many outcomes, ``(n, *event)``."""

    values: Tensor


@dataclass(frozen=True)
class Lattice:
    """The numbers origin + k * step for whole k from first to last, either of which may be infinite."""

    origin: float
    step: float
    first: float
    last: float

    def at(self, index: Tensor) -> Tensor:
        """Return the points of these whole numbers."""
        return self.origin + index * self.step


@dataclass(frozen=True, eq=False)
class Continuum:
    """A transform of the real line (or of real vectors), and the points in it that have a mass of their own."""

    transform: Transform
    atoms: tuple[float, ...] = ()

    def apart(self, line: Tensor) -> tuple[Tensor, Tensor]:
        """Return points of the support, and for each whether it can be told from the support's end, by its way back."""
        value: Tensor = self.transform(line)
        return value, (self.transform.inv(value) - line).abs() <= 1e-3 * line.abs().clamp_min(1.0)


@dataclass(frozen=True)
class Circle:
    """The angles: numbers of which those that differ by a whole turn are the same."""


@dataclass(frozen=True)
class Sphere:
    """The unit vectors of so many numbers."""

    dim: int


@dataclass(frozen=True)
class Product:
    """An array of numbers that are independent, each in a space of its own kind."""

    element: Lattice | Continuum | Listed


@dataclass(frozen=True)
class Intervals:
    """Pairs (low, high) of what may have been seen of a number."""

    number: Lattice | Continuum | Listed


Space = Listed | Lattice | Continuum | Circle | Sphere | Product | Intervals


def space(law: Distribution, dtype: torch.dtype) -> Space:
    """Return where the targets of one law (batch shape ``()``) live."""
    support = ask(law, "support")
    if isinstance(law, Independent):
        element = space(law.base_dist, dtype)
        if isinstance(element, Listed) and len(element.values) ** math.prod(law.event_shape) <= LIST:
            return Listed(_arrays(element.values, law.event_shape))
        if isinstance(element, Listed | Lattice | Continuum) and not law.base_dist.event_shape:
            return Product(element)
    if isinstance(support, supports.Intervals):
        number = space(support.law, dtype)
        assert isinstance(number, Listed | Lattice | Continuum)
        return Intervals(number)
    if isinstance(law, VonMises):
        return Circle()
    if law.has_enumerate_support:
        values = law.enumerate_support(expand=False).reshape(-1, *law.event_shape)
        return Listed(values if isinstance(law, Categorical) else values.to(dtype))
    if isinstance(support, Compositions | COUNTS):
        return Listed(_compositions(support, law.event_shape[0], dtype))
    if type(support).__name__ == "_Sphere":
        return Sphere(law.event_shape[0])
    if support.is_discrete and not law.event_shape:
        return _numbers(law, support, dtype)
    try:
        return Continuum(biject_to(support), atoms(law))
    except NotImplementedError:
        ends = None if law.event_shape else bounds(law)
    if ends is None:
        raise not_available(f"no way to walk through the support {support}")
    return Continuum(_between(*(float(end.flatten()[0]) for end in ends)), atoms(law))


def _numbers(law: Distribution, support: constraints.Constraint, dtype: torch.dtype) -> Listed | Lattice:
    if support == constraints.boolean:
        return Listed(torch.tensor([0, 1], dtype=dtype))
    ends = bounds(law)
    if ends is None:
        raise not_available(f"no way to walk through the support {support}")
    origin, step = (float(torch.as_tensor(x).flatten()[0]) for x in supports.spacing(support))
    first, last = (float(((end.flatten()[0] - origin) / step).round()) for end in ends)
    if last - first < LIST:
        return Listed(origin + step * torch.arange(first, last + 1, dtype=dtype))
    return Lattice(origin, step, first, last)


def _arrays(values: Tensor, shape: torch.Size) -> Tensor:
    size = math.prod(shape)
    index = torch.cartesian_prod(*[torch.arange(len(values))] * size).reshape(-1, size)
    return values[index].reshape(-1, *shape)


def _compositions(support: constraints.Constraint, kinds: int, dtype: torch.dtype) -> Tensor:
    total = support.total if isinstance(support, Compositions) else support.upper_bound  # type: ignore[attr-defined]
    n = int(torch.as_tensor(total).flatten()[0])
    if math.comb(n + kinds - 1, n) > LIST:
        raise not_available(f"{math.comb(n + kinds - 1, n)} ways to share {n} among {kinds} are too many to add up")
    bars = torch.tensor(list(itertools.combinations(range(n + kinds - 1), kinds - 1)), dtype=dtype)
    edges = torch.cat([torch.full_like(bars[:, :1], -1), bars, torch.full_like(bars[:, :1], n + kinds - 1)], 1)
    return edges.diff(dim=1) - 1


def _between(low: float, high: float) -> Transform:
    between: constraints.Constraint
    if math.isinf(low) and math.isinf(high):
        between = constraints.real
    elif math.isinf(high):
        between = constraints.greater_than(low)
    else:
        between = constraints.less_than(high) if math.isinf(low) else constraints.interval(low, high)
    made: Transform = biject_to(between)
    return made
