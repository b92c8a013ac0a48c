"""Claims about the law alone: its mass is 1, its distribution function adds it up, its sampler draws from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Transform, biject_to

from likelihoods.verification.law import NotMeasured, Space, ask, in_support, not_available, worst
from likelihoods.verification.setting import Setting

LAWS = 4  # raw outputs at which a law is looked at
PIECE = 1e-12  # what the quadrature of one piece is asked for
MASS = 1e-9  # a few pieces' quadrature error, and that of a distribution function's series
SAMPLES = 20_000
MISS = 1e-9  # chance that a right sampler fails, for each of the LAWS
SIGMAS = 7.0  # normal and Poisson counts stray further than this with a chance near MISS
COMMON = 25.0  # expected count from which a value has a bin of its own; the others share one
FIRST, LAST = 1 << 10, 1 << 22  # counts are added up to FIRST, then twice as far, at most to LAST


@dataclass(frozen=True)
class Mass:
    """The mass of one law, added up from its density.

    Attributes:
        total: of the whole support.
        points: some points of the support.
        below: the mass up to and including each point.
    """

    total: float
    points: Tensor
    below: Tensor


def total_mass(setting: Setting) -> tuple[float, float, str]:
    """Measure how far the integral (or sum) of the density is from 1."""
    masses = [mass.total for mass in _masses(setting)]
    return worst(torch.tensor(masses, dtype=torch.float64) - 1), MASS, _how(setting.space)


def distribution_function(setting: Setting) -> tuple[float, float, str]:
    """Measure how far the cdf is from the integral (or sum) of the density."""
    errors = []
    for raw, mass in zip(_raws(setting), _masses(setting), strict=True):
        law = setting.law(raw)
        with torch.no_grad():
            errors.append(worst(ask(law, "cdf", mass.points) - mass.below))
    return worst(torch.tensor(errors, dtype=torch.float64)), MASS, _how(setting.space)


def sampler(setting: Setting) -> tuple[float, float, str]:
    """Measure how far samples are from the law: Kolmogorov's distance, or a count's deviation in standard errors."""
    _scalar(setting)
    law = setting.law(_raws(setting))
    sample = setting.draw(law, SAMPLES)
    outside = int((~in_support(law, sample)).sum())
    if outside:
        raise ValueError(f"{outside} of {sample.numel()} samples are outside the support.")
    if setting.space.transform is not None:
        from scipy import special

        share = ask(law, "cdf", sample).detach().sort(0).values
        steps = torch.arange(SAMPLES + 1, dtype=share.dtype)[:, None] / SAMPLES
        distance = torch.maximum((share - steps[:-1]).abs(), (steps[1:] - share).abs())
        tolerance = float(special.kolmogi(MISS)) / math.sqrt(SAMPLES)
        return worst(distance), tolerance, f"Kolmogorov's distance of {SAMPLES} samples"
    errors = [_deviation(setting, setting.law(raw), drawn) for raw, drawn in zip(_raws(setting), sample.T, strict=True)]
    return worst(torch.cat(errors)), SIGMAS, f"standard errors of the counts among {SAMPLES} samples"


def _deviation(setting: Setting, law: Distribution, sample: Tensor) -> Tensor:
    """Return the deviation of each common value's count, and that of all others together, in standard errors."""
    points = _points(setting.space, sample.dtype, min(int(sample.max()) + FIRST, LAST))
    with torch.no_grad():
        chance = law.log_prob(points).exp().double()
    seen = torch.searchsorted(points, sample.contiguous()).bincount(minlength=len(points))[: len(points)].double()
    common = chance * SAMPLES >= COMMON
    chance = torch.cat([chance[common], 1 - chance[common].sum(0, keepdim=True)])
    seen = torch.cat([seen[common], SAMPLES - seen[common].sum(0, keepdim=True)])
    # a rare rest is Poisson, whose tail is longer than a normal one: hence at least 3
    return (seen - SAMPLES * chance) / (SAMPLES * chance * (1 - chance)).clamp_min(0).sqrt().clamp_min(3.0)


def _points(space: Space, dtype: torch.dtype, count: int) -> Tensor:
    if space.values is not None:
        return space.values
    assert space.start is not None
    return torch.arange(space.start, space.start + count, dtype=dtype)


def _raws(setting: Setting) -> Tensor:
    return setting.raws[:LAWS]


def _scalar(setting: Setting) -> None:
    if setting.likelihood.rank:
        raise not_available(
            f"targets have {setting.likelihood.rank} axes: there is no distribution function to compare"
        )


def _how(space: Space) -> str:
    if space.transform is not None:
        return f"quadrature of {LAWS} laws"
    return f"sum over {'all values' if space.values is not None else 'the counts'} of {LAWS} laws"


@lru_cache(maxsize=1)  # two claims of a setting need them
def _masses(setting: Setting) -> list[Mass]:
    space = setting.space
    with torch.no_grad():
        if space.values is not None:
            return [_summed(setting.law(raw), space.values) for raw in _raws(setting)]
        if space.start is not None:
            return [_counted(setting.law(raw), space.start, setting.dtype) for raw in _raws(setting)]
        if setting.likelihood.rank:
            raise not_available(f"targets have {setting.likelihood.rank} axes: quadrature is for one")
        return [_integrated(setting.law(raw)) for raw in _raws(setting)]


def _summed(law: Distribution, values: Tensor) -> Mass:
    below = law.log_prob(values).exp().double().cumsum(0)
    return Mass(float(below[-1]), values, below)


def _counted(law: Distribution, start: int, dtype: torch.dtype) -> Mass:
    """Add up the mass of the counts, until a stretch as long as all before it no longer matters."""
    points = torch.arange(start, start + FIRST, dtype=dtype)
    below = law.log_prob(points).exp().double().cumsum(0)
    total, done = float(below[-1]), FIRST
    while done < LAST:
        more = float(law.log_prob(torch.arange(start + done, start + 2 * done, dtype=dtype)).exp().double().sum())
        total, done = total + more, 2 * done
        if total > 0 and more < PIECE * total:
            break
    return Mass(total, points, below)


def _integrated(law: Distribution) -> Mass:
    """Integrate the density over the real line that the support is a transform of."""
    from scipy import integrate

    support: Any = ask(law, "support")
    transform = biject_to(support)

    edges = []
    for side in (-1.0, 1.0):  # how far out the support's points can be told from its end
        line = side * torch.linspace(0.5, 1000, 2000, dtype=torch.float64)
        value = transform(line)
        near = (transform.inv(value) - line).abs() <= 1e-3 * line.abs().clamp_min(1.0)
        apart = near & value.isfinite() & support.check(value)
        edges.append(side * math.inf if bool(apart.all()) else float(line[apart][-1]))

    def log_density(line: Tensor) -> Tensor:
        value = transform(line.clamp(*edges))
        height: Tensor = law.log_prob(value) + transform.log_abs_det_jacobian(line, value)
        return height.where((line >= edges[0]) & (line <= edges[1]), -torch.inf)

    def density(point: float) -> float:
        return float(log_density(torch.tensor([point], dtype=torch.float64)).exp())

    if any(math.isfinite(edge) and density(edge) > 0.1 * MASS for edge in edges):
        raise not_available(f"some mass of {law} is nearer to the support's end than float64 can tell")
    breaks = _breaks(law, transform, log_density)
    unit = breaks[-1] - breaks[0] or 1.0  # the quadrature of an infinite piece looks for mass at a distance of about 1

    def scaled(point: float) -> float:
        return unit * density(breaks[0] + unit * point)

    ends = [-math.inf, *((point - breaks[0]) / unit for point in breaks), math.inf]
    pieces = [
        integrate.quad(scaled, low, high, epsabs=PIECE, epsrel=PIECE, limit=100, full_output=1)[0]
        for low, high in pairwise(ends)
    ]
    below = torch.tensor(pieces, dtype=torch.float64).cumsum(0)
    return Mass(float(below[-1]), transform(torch.tensor(breaks, dtype=torch.float64)), below[:-1])


def _breaks(law: Distribution, transform: Transform, log_density: Callable[[Tensor], Tensor]) -> list[float]:
    """Return where to break the integral: at the law's own quantiles, or at the mode and flanks that a search finds."""
    try:
        line = transform.inv(ask(law, "icdf", torch.tensor([0.02, 0.5, 0.98], dtype=torch.float64)))
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
