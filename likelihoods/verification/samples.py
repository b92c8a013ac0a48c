"""The claim that the sampler draws from the law."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from likelihoods.verification.density import elements, measured, needs_law
from likelihoods.verification.law import ask, in_support, worst
from likelihoods.verification.quadrature import FIRST, LAST, rule
from likelihoods.verification.setting import Setting
from likelihoods.verification.spaces import Circle, Continuum, Intervals, Lattice, Listed, Product, Space

LAWS = 2  # whose samples are drawn
SAMPLES, COUNTED = 10_000, 5_000  # of a continuum, and of outcomes that are counted
MISS = 1e-9  # chance that a right sampler fails, for each of the LAWS
SIGMAS = 7.0  # normal and Poisson counts stray further than this with a chance near MISS
COMMON = 25.0  # expected count from which a value has a bin of its own; the others share one
WAVES = 16  # plane waves whose means are compared where targets are vectors of a continuum


def sampler(setting: Setting) -> tuple[float, float, str]:
    """Measure how far samples are from the law.

    By Kolmogorov's distance for numbers of a continuum, the deviation of each outcome's count in standard errors where
    there are many of each, and of the means of plane waves (which tell any two laws apart) for vectors of a continuum.
    """
    needs_law(setting)
    law, space = setting.law(setting.raws[:LAWS]), setting.space
    sample = setting.draw(law, COUNTED if isinstance(_numbers(space), Listed | Lattice) else SAMPLES)
    outside = int((~in_support(law, sample)).sum())
    if outside:
        raise ValueError(
            f"{outside} of {sample.numel() // max(1, setting.event.numel())} samples are outside the support."
        )
    if isinstance(space, Product):
        law = elements(law)
    elif isinstance(space, Intervals):
        law, sample = law.base, sample[..., 0]  # type: ignore[attr-defined]
    space = _numbers(space)
    with torch.no_grad():
        if isinstance(space, Circle):  # the angles of the turn that the distribution function is for
            half = math.pi
            sample = law.loc + torch.remainder(sample - law.loc + half, 2 * half) - half  # type: ignore[attr-defined]
            return _distance(law, sample, ())
        if isinstance(space, Continuum) and not law.event_shape:
            return _distance(law, sample, space.atoms)
        if isinstance(space, Listed | Lattice):
            return _counts(law, sample, space)
    rules = measured(setting, lambda raw: rule(setting.law(raw), setting.space, setting.dtype), LAWS)
    errors = [_waves(setting, setting.draw(setting.law(raw), SAMPLES), *points) for raw, points in rules]
    return worst(torch.cat(errors)), SIGMAS, f"standard errors of {WAVES} waves' means over {SAMPLES} samples"


def _numbers(space: Space) -> Space:
    """Return the space of what is compared: of each number in an array, or behind a pair."""
    if isinstance(space, Product):
        return space.element
    return space.number if isinstance(space, Intervals) else space


def _distance(law: Distribution, sample: Tensor, atoms: tuple[float, ...]) -> tuple[float, float, str]:
    """Kolmogorov's distance of the part with a density, and the deviation of each atom's count, to the same scale."""
    from scipy import special

    tolerance = float(special.kolmogi(MISS)) / math.sqrt(SAMPLES)
    how = f"Kolmogorov's distance of {SAMPLES} samples"
    share = ask(law, "cdf", sample).detach()
    if not atoms:
        share = share.sort(0).values
        steps = torch.arange(SAMPLES + 1, dtype=share.dtype).reshape(-1, *[1] * (share.dim() - 1)) / SAMPLES
        return worst(torch.maximum((share - steps[:-1]).abs(), (steps[1:] - share).abs())), tolerance, how
    errors = []
    flat, shares = sample.flatten(1), share.flatten(1)
    at = torch.tensor(atoms, dtype=sample.dtype)
    heights = law.log_prob(at.reshape(-1, *[1] * len(law.batch_shape)).expand(-1, *law.batch_shape)).exp().flatten(1)
    for row in range(flat.shape[1]):
        chance, rest = heights[:, row], torch.ones(SAMPLES, dtype=torch.bool)
        below = torch.zeros_like(shares[:, row])
        for atom, mass in zip(at, chance, strict=True):
            hit = flat[:, row] == atom
            errors.append(_deviations(hit.sum()[None].double(), mass[None].double(), SAMPLES) * (tolerance / SIGMAS))
            rest, below = rest & ~hit, below + mass * (flat[:, row] >= atom)
        if not bool(rest.any()):
            continue
        found = ((shares[:, row] - below)[rest] / (1 - chance.sum())).sort().values
        steps = torch.arange(len(found) + 1, dtype=found.dtype) / len(found)
        gap = torch.maximum((found - steps[:-1]).abs(), (steps[1:] - found).abs()).amax()
        errors.append(gap[None] * math.sqrt(len(found) / SAMPLES))
    return worst(torch.cat(errors)), tolerance, f"{how}, and the counts of {len(at)} atom"


def _counts(law: Distribution, sample: Tensor, space: Listed | Lattice) -> tuple[float, float, str]:
    """The deviation of each common outcome's count, and that of all others together, in standard errors."""
    errors = []
    if isinstance(space, Listed):
        values = space.values
    else:
        first = space.first if math.isfinite(space.first) else _index(space, sample.min()) - FIRST
        last = min(_index(space, sample.max()) + FIRST, first + LAST, space.last)
        values = space.at(torch.arange(first, last + 1, dtype=sample.dtype))
    event = values.shape[1:]
    columns = sample.reshape(len(sample), -1, *event)
    spread = values.reshape(len(values), *[1] * len(law.batch_shape), *event)
    chances = law.log_prob(spread.expand(len(values), *law.batch_shape, *event)).exp().double().reshape(len(values), -1)
    for row in range(columns.shape[1]):
        both = torch.cat([values, columns[:, row].to(values.dtype)])
        place = torch.unique(both, dim=0, return_inverse=True)[1]
        which = torch.full((int(place.max()) + 1,), -1, dtype=torch.long)
        which[place[: len(values)]] = torch.arange(len(values))
        found = which[place[len(values) :]]
        if isinstance(space, Lattice):  # up to rounding
            found = ((columns[:, row] - values[0]) / space.step).round().long().clamp(0, len(values) - 1)
        seen = found[found >= 0].bincount(minlength=len(values)).double()
        chance = chances[:, row]
        common = chance * COUNTED >= COMMON
        chance = torch.cat([chance[common], (1 - chance[common].sum(0, keepdim=True)).clamp_min(0)])
        errors.append(
            _deviations(torch.cat([seen[common], COUNTED - seen[common].sum(0, keepdim=True)]), chance, COUNTED)
        )
    return worst(torch.cat(errors)), SIGMAS, f"standard errors of the counts among {COUNTED} samples"


def _index(space: Lattice, value: Tensor) -> float:
    return float(((value - space.origin) / space.step).round())


def _deviations(seen: Tensor, chance: Tensor, count: int) -> Tensor:
    # a rare rest is Poisson, whose tail is longer than a normal one: hence at least 3
    return (seen - count * chance) / (count * chance * (1 - chance)).clamp_min(0).sqrt().clamp_min(3.0)


def _waves(setting: Setting, sample: Tensor, points: Tensor, share: Tensor) -> Tensor:
    """The deviations of the means of cos(w y) and sin(w y), in standard errors."""
    frequency = 3 * torch.randn(points[0].numel(), WAVES, dtype=setting.dtype, generator=setting.generator())
    errors = []
    for wave in (torch.cos, torch.sin):
        wanted = share @ wave(points.flatten(1) @ frequency)
        found = wave(sample.flatten(1) @ frequency)
        errors.append((found.mean(0) - wanted) / (found.std(0) / math.sqrt(len(found))).clamp_min(1e-12))
    return torch.cat(errors)
