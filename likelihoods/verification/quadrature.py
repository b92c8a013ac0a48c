"""The mass of a law, added up from its density, and its points with their shares of the mass."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Transform, constraints
from torch.nn.functional import logsigmoid

from likelihoods.divergences.support import atoms
from likelihoods.verification.integral import PIECE, integral
from likelihoods.verification.law import NotMeasured, ask, not_available
from likelihoods.verification.spaces import Circle, Continuum, Intervals, Lattice, Listed, Product, Space, Sphere

MASS = 1e-9  # a few pieces' quadrature error, and that of a distribution function's series
FIRST, LAST = 1 << 10, 1 << 22  # a lattice is added up to FIRST points, then twice as far, at most to LAST
PLANE, TURN = (401, 161, 101), 401  # points of a rule along each of 1, 2 or 3 axes of a simplex, and on a circle
ROUGH = 1e-14  # of each piece of a rule on the line
SMALLEST = 1e-280  # probabilities that are as good as nought
NOTHING = 1e-18  # shares that are left out
RANGE = 8.0  # of the variable t of x = sinh(t), in which all but a hair of the mass lies


@dataclass(frozen=True)
class Mass:
    """The mass of one law of numbers, added up from its density.

    Attributes:
        total: of the whole support.
        points: some points of the support.
        below: the mass up to and including each point.
    """

    total: float
    points: Tensor
    below: Tensor


def mass(law: Distribution, space: Space, dtype: torch.dtype) -> Mass:
    """Return the mass of one law of numbers.

    Raises:
        NotMeasured: its targets are no numbers.
    """
    if isinstance(space, Listed):
        below = law.log_prob(space.values).exp().double().cumsum(0)
        return Mass(float(below[-1]), space.values, below)
    if isinstance(space, Lattice):
        return _counted(law, space, dtype)
    if isinstance(space, Circle):
        turn = _turn(law)
        below = integral(lambda y: law.log_prob(y).exp(), turn, tails=False)[0].cumsum(0)
        return Mass(float(below[-1]), turn[1:-1], below[:-1])
    if isinstance(space, Continuum) and not law.event_shape:
        return _integrated(law, space)
    raise not_available("there is no sum or quadrature of numbers for vectors")


def rule(law: Distribution, space: Space, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return points ``(n, *event)`` and their shares of the mass ``(n,)``, whose sums are expectations under the law."""
    if isinstance(space, Listed):
        return space.values, law.log_prob(space.values).exp()
    if isinstance(space, Lattice):
        first, last = _reach(law, space, dtype)
        points = space.at(torch.arange(first, last + 1, dtype=dtype))
        share = law.log_prob(points).exp()
        return points[share > NOTHING], share[share > NOTHING]
    if isinstance(space, Sphere):
        points, weight = sphere(space.dim, dtype)
        return points, weight * law.log_prob(points).exp()
    if isinstance(space, Circle):
        _, points, share = integral(lambda y: law.log_prob(y).exp(), _turn(law), tails=False, accuracy=ROUGH)
        return points, share
    if isinstance(space, Product | Intervals):
        raise not_available("there is no rule of a few points for independent numbers, or pairs")
    if law.event_shape:
        return _simplex(law, dtype)
    start, stop, log_density = _on_the_line(law, space)
    pieces = torch.tensor(_breaks(law, space.transform, log_density), dtype=torch.float64)
    _, line, share = integral(lambda x: log_density(x).exp(), pieces, accuracy=ROUGH)
    keep = (share > NOTHING) & (line >= start) & (line <= stop)
    points, share = space.transform(line[keep]), share[keep]
    if space.atoms:
        at = torch.tensor(space.atoms, dtype=dtype)
        points, share = torch.cat([at, points]), torch.cat([law.log_prob(at).exp(), share])
    return points, share


def _turn(law: Any) -> Tensor:
    """Return angles from half a turn before the law's centre to half a turn after it."""
    angles: Tensor = law.loc + torch.linspace(-math.pi, math.pi, 5, dtype=torch.float64)
    return angles


def _simplex(law: Distribution, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the rule for a law of probabilities: a stick is broken at shares sigmoid(u), one axis after the other.

    The sticks' logarithms keep the digits of what is nearly nought.
    """
    if ask(law, "support") is not constraints.simplex or law.event_shape[0] > 4:
        raise not_available(f"a rule for vectors of {law.event_shape[0]} numbers in {law.support} is not known")
    free = law.event_shape[0] - 1
    t, slope = _sinh(PLANE[free - 1], dtype)
    cut, log_weight = (torch.cartesian_prod(*[part] * free).reshape(-1, free) for part in (t, slope.log()))
    left = torch.cat([torch.zeros_like(cut[:, :1]), logsigmoid(-cut).cumsum(-1)], -1)
    points = torch.cat([left[:, :-1] + logsigmoid(cut), left[:, -1:]], -1).exp()
    log_share = log_weight + logsigmoid(cut) + logsigmoid(-cut) + left[:, :-1]
    inside = (points > 0).all(-1)
    points, log_share = points[inside], log_share.sum(-1)[inside]
    share = (law.log_prob(points) + log_share).exp()
    if float(share[(points < SMALLEST).any(-1)].sum()) > 0.1 * MASS:
        raise not_available(f"some mass of {law} is nearer to the support's end than float64 can tell")
    return points[share > NOTHING], share[share > NOTHING]


def sphere(dim: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return unit vectors ``(n, dim)`` and weights that sum to the sphere's area: a Gauss rule for each angle."""
    from scipy import special

    if dim < 2 or dim > 4:
        raise not_available(f"a rule for the sphere in {dim} dimensions would need too many points")
    if dim == 2:
        angle = 2 * math.pi * torch.arange(TURN, dtype=dtype) / TURN
        return torch.stack([angle.cos(), angle.sin()], -1), torch.full_like(angle, 2 * math.pi / TURN)
    nodes, weights = special.roots_gegenbauer(60, (dim - 2) / 2)
    points, rest = sphere(dim - 1, dtype)
    if dim == 4:  # the inner circle's rule is finer than it need be
        points, rest = points[::5], 5 * rest[::5]
    height = torch.from_numpy(nodes).to(dtype)[:, None]
    across = (1 - height**2).sqrt()[..., None] * points
    whole = torch.cat([height.expand(-1, len(points))[..., None], across], -1)
    return whole.reshape(-1, dim), (torch.from_numpy(weights).to(dtype)[:, None] * rest).reshape(-1)


def _sinh(count: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    t = torch.linspace(-RANGE, RANGE, count, dtype=dtype)
    return t.sinh(), t.cosh() * (2 * RANGE / (count - 1))


# A lattice


def _counted(law: Distribution, lattice: Lattice, dtype: torch.dtype) -> Mass:
    """Add up the mass of the points, outwards until a stretch as long as all before it no longer matters."""
    low, high = _start(law, lattice)
    points = lattice.at(torch.arange(low, high + 1, dtype=dtype))
    below = law.log_prob(points).exp().double().cumsum(0)
    total = float(below[-1])
    left, right = (_side(law, lattice, dtype, end, total) for end in ((low, -1), (high, 1)))
    return Mass(left + total + right, points, left + below)


def _start(law: Distribution, lattice: Lattice) -> tuple[int, int]:
    """Return the first whole numbers to look at: from the lattice's end, or around the median."""
    if math.isfinite(lattice.first):
        return int(lattice.first), int(min(lattice.first + FIRST - 1, lattice.last))
    if math.isfinite(lattice.last):
        return int(lattice.last - FIRST + 1), int(lattice.last)
    middle = float(ask(law, "icdf", torch.tensor(0.5, dtype=torch.float64)))
    centre = round((middle - lattice.origin) / lattice.step)
    return centre - FIRST // 2, centre + FIRST // 2


def _side(law: Distribution, lattice: Lattice, dtype: torch.dtype, end: tuple[int, int], whole: float) -> float:
    """Return the mass beyond an end, away from what was added up."""
    (at, sign), done, found = end, FIRST, 0.0
    while done < LAST:
        index = at + sign * torch.arange(1 + done - FIRST, 1 + 2 * done - FIRST, dtype=dtype)
        index = index[(index >= lattice.first) & (index <= lattice.last)]
        if not len(index):
            break
        more = float(law.log_prob(lattice.at(index)).exp().double().sum())
        found, done = found + more, 2 * done
        if whole + found > 0 and more < PIECE * (whole + found):
            break
    return found


def _reach(law: Distribution, lattice: Lattice, dtype: torch.dtype) -> tuple[int, int]:
    """Return the whole numbers that matter: all but a hair of the mass."""
    low, high = _start(law, lattice)
    while True:
        ends = lattice.at(torch.tensor([low, high], dtype=dtype))
        heavy = law.log_prob(ends).exp() * FIRST > PIECE
        heavy = heavy & torch.tensor([low > lattice.first, high < lattice.last])
        if not bool(heavy.any()):
            return low, high
        if high - low > LAST // 16:
            raise not_available("the law reaches too far for its points to be listed")
        width = high - low
        low, high = (
            (low - width if heavy[0] else low),
            (int(min(high + width, lattice.last)) if heavy[1] else high),
        )


# A continuum


def _edges(law: Distribution, space: Continuum) -> tuple[float, float]:
    """Return how far out, on the line, points of the support can be told from its ends."""
    support, edges = ask(law, "support"), []
    for side in (-1.0, 1.0):
        line = side * torch.linspace(0.5, 1000, 2000, dtype=torch.float64)
        value, apart = space.apart(line)
        apart = apart & value.isfinite() & support.check(value)
        edges.append(side * math.inf if bool(apart.all()) else float(line[apart][-1]))
    return edges[0], edges[1]


def _on_the_line(law: Distribution, space: Continuum) -> tuple[float, float, Callable[[Tensor], Tensor]]:
    """Return how far out points can be told from the ends of the support, and the log-density on the line between.

    Raises:
        NotMeasured: some mass lies nearer to an end.
    """
    low, high = _edges(law, space)

    def log_density(line: Tensor) -> Tensor:
        value = space.transform(line.clamp(low, high))
        height: Tensor = law.log_prob(value) + space.transform.log_abs_det_jacobian(line, value)
        return height.where((line >= low) & (line <= high), -torch.inf)

    for edge in (low, high):
        if math.isfinite(edge) and float(log_density(torch.tensor(edge, dtype=torch.float64)).exp()) > 0.1 * MASS:
            raise not_available(f"some mass of {law} is nearer to the support's end than float64 can tell")
    return low, high, log_density


def _integrated(law: Distribution, space: Continuum) -> Mass:
    """Integrate the density over the real line that the support is a transform of, and add the atoms."""
    _, _, log_density = _on_the_line(law, space)
    breaks = torch.tensor(_breaks(law, space.transform, log_density), dtype=torch.float64)
    below = integral(lambda x: log_density(x).exp(), breaks)[0].cumsum(0)
    total, below = float(below[-1]), below[:-1]
    points = space.transform(breaks)
    for atom in space.atoms:
        weight = float(law.log_prob(torch.tensor(atom, dtype=torch.float64)).exp())
        total, below = total + weight, below + weight * (points >= atom).double()
    return Mass(total, points, below)


def landmarks(law: Distribution) -> Tensor:
    """Return quantiles of the part of a law that has a density."""
    level = torch.tensor([0.02, 0.5, 0.98], dtype=torch.float64)
    for atom in atoms(law):
        at = torch.tensor(atom, dtype=torch.float64)
        chance = law.log_prob(at).exp()
        before = ask(law, "cdf", at) - chance
        level = torch.where((1 - chance) * level <= before, (1 - chance) * level, chance + (1 - chance) * level)
    found: Tensor = ask(law, "icdf", level)
    return found


def _breaks(law: Distribution, transform: Transform, log_density: Callable[[Tensor], Tensor]) -> list[float]:
    """Return where to break the integral: at the law's own quantiles, or at the mode and flanks that a search finds."""
    try:
        line = transform.inv(landmarks(law))
        if bool(line.isfinite().all()):
            return sorted({float(point) for point in line})
    except NotMeasured:
        pass
    steps = torch.linspace(-40, 40, 3201, dtype=torch.float64).sinh() * (1e5 / math.sinh(40))
    mode = torch.zeros((), dtype=torch.float64)
    for _ in range(12):  # steps grow by 2.5 %, so each round comes forty times nearer: a kink there must be met exactly
        mode = (mode + steps)[log_density(mode + steps).argmax()]
    heights = log_density(mode + steps)
    flanks = (mode + steps)[heights > heights.max() - 2.5]
    return sorted({float(flanks.min()), float(mode), float(flanks.max())})


# Pairs


def censored(law: Any, number: Lattice | Continuum | Listed, dtype: torch.dtype) -> float:
    """Return the chances of all that may be seen of a number by someone who sees it in the middle of its range alone.

    Below a first cut he sees that it is below, between two cuts the number itself, then intervals, and at last that it is
    above. These are all cases, so their chances sum to 1.
    """
    base = law.base
    cuts = base.icdf(torch.tensor([0.2, 0.6, 0.8], dtype=dtype))
    inf = torch.full((), torch.inf, dtype=dtype)
    pairs = torch.stack(
        [
            torch.stack([-inf, cuts[0]]),
            torch.stack([cuts[1], cuts[2]]),
            torch.stack([cuts[2], inf]),
        ]
    )
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]  # quantiles of counts may be equal
    whole = float(law.log_prob(pairs).exp().sum())
    if isinstance(number, Continuum):

        def seen(point: Tensor) -> Tensor:
            found: Tensor = law.log_prob(torch.stack([point, point], -1)).exp()
            return found

        return whole + float(
            integral(seen, base.icdf(torch.tensor([0.2, 0.4, 0.6], dtype=dtype)), tails=False)[0].sum()
        )
    if isinstance(number, Listed):
        between = number.values[(number.values > cuts[0]) & (number.values <= cuts[1])]
    else:
        first, last = (round((float(cut) - number.origin) / number.step) for cut in cuts[:2])
        between = number.at(torch.arange(first + 1, last + 1, dtype=dtype))
    return whole + float(law.log_prob(torch.stack([between, between], -1)).exp().sum())
