"""Supports of laws made of laws: a lattice, a window on another support, and intervals; their points and their ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from likelihoods.distributions.base import Value
from likelihoods.distributions.discretized_logistic import Levels
from likelihoods.distributions.univariate import Univariate

DEPTH = 40.0  # exp(-DEPTH) of the mass is left out of a sum over a lattice, on each side
LIST = 2**17  # points of a lattice that are summed over
NEAR = 1e-6  # by which a value may miss its point, as a part of its number or of a step


class Lattice(constraints.Constraint):
    """The numbers offset + k·step from the first to the last, up to the rounding of floating point."""

    is_discrete = True

    def __init__(
        self, step: Value, offset: Value = 0.0, lower_bound: Value = -torch.inf, upper_bound: Value = torch.inf
    ) -> None:
        self.step, self.offset, self.lower_bound, self.upper_bound = step, offset, lower_bound, upper_bound

    def on(self, value: Tensor) -> Tensor:
        """Return whether each value is a point of the lattice without ends."""
        cells = (value - self.offset) / self.step
        return ((cells - cells.round()).abs() <= NEAR * cells.abs().clamp_min(1.0)) & (cells.abs() < torch.inf)

    def check(self, value: Tensor) -> Tensor:
        """Return whether each value lies on the lattice."""
        within = (value >= self.lower_bound - 0.25 * self.step) & (value <= self.upper_bound + 0.25 * self.step)
        return self.on(value) & within

    def __repr__(self) -> str:
        start = "" if _is(self.offset, 0.0) else f"{_text(self.offset)} plus "
        low = "" if _is(self.lower_bound, -torch.inf) else f" from {_text(self.lower_bound)}"
        high = "" if _is(self.upper_bound, torch.inf) else f" up to {_text(self.upper_bound)}"
        return f"{start}the multiples of {_text(self.step)}{low}{high}"


class Window(constraints.Constraint):
    """The part of a support with low < y <= high for a lattice, low <= y <= high for an interval."""

    def __init__(
        self, support: constraints.Constraint, low: Tensor, high: Tensor, atoms: tuple[float, ...] = ()
    ) -> None:
        self.support, self.low, self.high, self.atoms = support, low, high, atoms
        self.is_discrete = support.is_discrete

    def within(self, value: Tensor) -> Tensor:
        """Return whether each value lies between the ends; NaN does."""
        if self.is_discrete:
            return ~((value <= self.low) | (value > self.high))
        within = ~((value < self.low) | (value > self.high))
        for atom in self.atoms:
            within = within & ~((value == atom) & (self.low == atom))
        return within

    def check(self, value: Tensor) -> Tensor:
        """Return whether each value lies in the support and between the ends."""
        inside: Tensor = self.support.check(value)
        return inside & self.within(value)

    def words(self, support: str) -> str:
        """Return the constraint in words, given those for the support that the window is on."""
        above = "above" if self.is_discrete else "from"
        low = "" if _is(self.low, -torch.inf) else f" {above} {_text(self.low)}"
        high = "" if _is(self.high, torch.inf) else f" up to {_text(self.high)}"
        return f"{support}{low}{high}"

    def __repr__(self) -> str:
        return self.words(str(self.support))


class OrZero(constraints.Constraint):
    """A support, and zero."""

    def __init__(self, support: constraints.Constraint) -> None:
        self.support, self.is_discrete = support, support.is_discrete

    def check(self, value: Tensor) -> Tensor:
        """Tell which values are zero or in the support."""
        inside: Tensor = self.support.check(value)
        return (value == 0) | inside

    def __repr__(self) -> str:
        return f"zero and {self.support}"


class AnyOf(constraints.Constraint):
    """The values that at least one component allows, where the components' supports differ."""

    def __init__(self, support: constraints.Constraint, live: Tensor) -> None:
        self.support, self.live = support, live
        self.is_discrete, self.event_dim = support.is_discrete, support.event_dim

    def check(self, value: Tensor) -> Tensor:
        """Tell which values some component allows."""
        allowed: Tensor = self.support.check(value.unsqueeze(-1 - self.event_dim))
        return (allowed & self.live).any(-1)

    def __repr__(self) -> str:
        return f"what some component allows ({self.support})"


class Intervals(constraints.Constraint):
    """Pairs (low, high) in the last axis: a point of a law's support, or low < high with some of the support in (low, high]."""

    is_discrete, event_dim = False, 1

    def __init__(self, law: Univariate) -> None:
        self.law, self.support = law, law.support

    def check(self, value: Tensor) -> Tensor:
        """Return whether each pair is one."""
        low, high = value[..., 0], value[..., 1]
        seen: Tensor = self.support.check(low) & (low == high)
        if self.support.is_discrete:
            return seen | ((low < high) & (self.law.log_mass(low, high) > -torch.inf))
        start, stop = ends(self.law)
        return seen | ((low < high) & (low < stop) & (high > start)) | self._at_atom(low, high)

    def _at_atom(self, low: Tensor, high: Tensor) -> Tensor:
        holds = torch.zeros_like(low, dtype=torch.bool)
        for atom in self.law.atoms:
            holds |= (low < atom) & (high >= atom)
        return holds

    def words(self, support: str) -> str:
        """Return the constraint in words, given those for the support of the value behind the intervals."""
        return (
            f"a pair (low, high): equal where the value was seen, else low < high with some of {support} between them"
        )

    def __repr__(self) -> str:
        return self.words(str(self.support))


def ends(law: Univariate) -> tuple[Tensor, Tensor]:
    """Return the ends of a law's support."""
    zero = torch.zeros(law.batch_shape, dtype=law._like.dtype, device=law._like.device)
    return law.icdf(zero), law.icdf(torch.ones_like(zero))


def support_of(law: Distribution) -> constraints.Constraint:
    """Return the law's support, which torch declares as one that may be None; there is no law where it is."""
    return cast(constraints.Constraint, law.support)


def spacing(support: constraints.Constraint) -> tuple[Value, Value]:
    """Return a point and the step of the lattice that a discrete law lives on."""
    if isinstance(support, Lattice):
        return support.offset, support.step
    if isinstance(support, Levels):
        return support.low, support.step
    if isinstance(support, Window | AnyOf | OrZero):
        return spacing(support.support)
    return 0.0, 1.0


def on_lattice(support: constraints.Constraint, found: Tensor) -> Tensor:
    """Return the point of a discrete support nearest to a number, which a search may have left a hair below it."""
    if isinstance(support, AnyOf):
        each = on_lattice(support.support, found.unsqueeze(-1))
        away = torch.where(support.live, each - found.unsqueeze(-1), torch.inf).abs().nan_to_num(nan=0.0)
        return each.expand(away.shape).gather(-1, away.argmin(-1, keepdim=True)).squeeze(-1)
    offset, step = spacing(support)
    point = offset + torch.round((found - offset) / step) * step
    if isinstance(support, OrZero):
        return torch.where(found.abs() < (point - found).abs(), 0.0, point)
    return point


def listed(law: Univariate, low: Tensor, high: Tensor, expand: bool) -> Tensor:
    """Return the points of a lattice from low to high along a new first axis, as ``enumerate_support`` does.

    Raises:
        NotImplementedError: they are not the same in all rows of the batch.
    """
    step = torch.as_tensor(spacing(law.support)[1], dtype=low.dtype, device=low.device)
    low, high, step = (x.reshape(-1) for x in (low, high, step))
    if any(bool((x != x[:1]).any()) for x in (low, high, step)):
        raise NotImplementedError("The rows of the batch have different points; list those of each one by itself.")
    index = torch.arange(round(float((high[0] - low[0]) / step[0])) + 1, dtype=low.dtype, device=low.device)
    points = (low[0] + index * step[0]).view(-1, *[1] * len(law.batch_shape))
    return points.expand(-1, *law.batch_shape) if expand else points


def table(law: Univariate) -> tuple[Tensor, Tensor]:
    """Return the points that matter of a law on a lattice, along a new first axis, and their log-masses (-inf for none).

    Raises:
        ValueError: there are too many to be summed over.
    """
    offset, step = spacing(law.support)
    with torch.no_grad():
        low, high = ends(law)
        middle = law.icdf(torch.full_like(low, 0.5))
        start, stop = (torch.minimum(torch.maximum(_far(law, middle, step, up), low), high) for up in (False, True))
        start, stop = (offset + torch.round((y - offset) / step) * step for y in (start, stop))
        number = torch.round((stop - start) / step) + 1
        most = float(number.max()) if number.numel() else 1.0
    if not most <= LIST or most * number.numel() > 128 * LIST:
        raise ValueError(
            f"{type(law).__name__} has {most:.3g} points that matter in each of {number.numel()} rows, too many to be summed "
            f"over: average over law.sample((1000,)) instead, take fewer rows at a time, or ask the law that was rounded."
        )
    index = torch.arange(int(most), dtype=start.dtype, device=start.device).view(-1, *[1] * start.dim())
    known = torch.minimum(index, number - 1.0)
    points = start + known * step
    return points, torch.where(index == known, law.log_prob(points), -torch.inf)


def _far(law: Univariate, middle: Tensor, step: Value, up: bool) -> Tensor:
    """Return a point with at most exp(-DEPTH) of the mass beyond it, and not much farther out than needed."""
    sign, width = 1.0 if up else -1.0, torch.full_like(middle, 16.0) * step
    for _ in range(64):
        beyond = law.log_sf(middle + width) if up else law.log_cdf(middle - width)
        enough = ~(beyond > -DEPTH)
        if bool(enough.all()):
            break
        width = torch.where(enough, width, 1.5 * width)
    return middle + sign * width


def search(reaches: Callable[[Tensor], Tensor], guess: Tensor, step: Value, low: Tensor, high: Tensor) -> Tensor:
    """Return the smallest point of a lattice in [low, high] at which a monotone condition holds; high if it never does.

    The search goes outwards from the guess, which is a point of the lattice, in steps that double, and then halves what is
    left, so that a good guess costs two or three evaluations.
    """
    guess, low, high = torch.broadcast_tensors(guess, low, high)
    good = reaches(guess)
    below, above = torch.where(good, low - step, guess), torch.where(good, guess, high)
    width = torch.ones_like(guess)
    found = torch.where(good, guess <= low, guess >= high)
    while not bool(found.all()):
        trial = torch.where(good, torch.maximum(guess - width * step, low), torch.minimum(guess + width * step, high))
        enough = reaches(trial)
        above = torch.where(~found & enough, torch.minimum(above, trial), above)
        below = torch.where(~found & ~enough, torch.maximum(below, trial), below)
        found |= (enough != good) | (width > 2.0**100) | (trial <= low) | (trial >= high)
        width = 2.0 * width
    while True:
        half = torch.floor((above - below) / step * 0.5 + NEAR)
        middle = below + half * step
        between = (half >= 1.0) & (middle < above - 0.5 * step)
        if not bool(between.any()):
            return above
        enough = reaches(torch.where(between, middle, above))
        above = torch.where(between & enough, middle, above)
        below = torch.where(between & ~enough, middle, below)


def expectation(table: tuple[Tensor, Tensor], values: Any) -> Tensor:
    """Return the expectation of values (a function of the points and their log-masses) over a table."""
    points, log_mass = table
    possible = log_mass > -torch.inf
    terms = values(points, torch.where(possible, log_mass, 0.0))
    return torch.where(possible, log_mass.exp() * terms, 0.0).sum(0)


def _is(bound: Value, number: float) -> bool:
    return bool((torch.as_tensor(bound) == number).all())


def _text(bound: Value) -> str:
    return f"{float(bound):g}" if not isinstance(bound, Tensor) or bound.dim() == 0 else "each row's own bound"
