"""Claims about what minimises the expected loss: over populations that no model made, and over the law's own."""

from __future__ import annotations

import torch
from torch import Tensor

from likelihoods.relations import Affine, Partial, Weighted
from likelihoods.verification import targets
from likelihoods.verification.density import measured
from likelihoods.verification.law import ask, not_applicable, not_available, worst
from likelihoods.verification.minimise import beside, minimiser
from likelihoods.verification.quadrature import rule
from likelihoods.verification.setting import Setting
from likelihoods.verification.spaces import Circle, Continuum, Intervals, Lattice, Listed, Product, Sphere

POPULATIONS = 3  # two functionals may agree on one by chance, medians of counts above all
POPULATION = 7  # values, unless the support has fewer
LARGEST = 1024  # finite supports up to here are populated whole: classes must be
ELICITS = 1e-6  # a minimum found by values alone is known to the root of float64's precision, 1.5e-8, times its size
SURE = 0.9  # probability of one outcome above which a law tells little of the others
AWAY = 0.3  # from the law whose population it is, to where the search begins


def elicits(setting: Setting) -> tuple[float, float, str]:
    """Measure the minimiser of the expected loss against the functional of the population."""
    if setting.width == 0:
        raise not_applicable("nothing is predicted")
    name = setting.entry.elicits.name
    if setting.entry.elicits.of_population is None:
        return _returned(setting, name)
    generator = setting.generator()
    errors = [_error(setting, *population(setting, generator)) for _ in range(POPULATIONS)]
    return worst(torch.tensor(errors, dtype=torch.float64)), ELICITS, f"{name} of {POPULATIONS} populations"


def proper(setting: Setting) -> tuple[float, float, str]:
    """Measure how far the minimiser over a law's own population is from that law."""
    if setting.width == 0:
        raise not_applicable("nothing is predicted")
    if setting.entry.elicits.of_population is None:
        raise not_applicable("it is the claim of what the loss elicits")
    if not setting.learned and not isinstance(setting.relation, Affine | Partial):
        raise not_applicable(f"it is {setting.relation.proper}")
    return _returned(setting, "the law itself")


def population(setting: Setting, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return targets of the loss ``(n, ...)`` and irregular probabilities ``(n,)``."""
    if setting.takes_laws:
        target = targets.soft(setting, POPULATION, generator)
    else:
        target = targets.of(setting, _outcomes(setting, generator))
    weights = 0.1 + torch.rand(len(target), dtype=setting.dtype, generator=generator)
    return target, weights / weights.sum()


def _error(setting: Setting, target: Tensor, weights: Tensor) -> float:
    functional = setting.entry.elicits
    assert functional.of_population is not None
    assert functional.of_law is not None
    wanted = functional.of_population(target, weights, **setting.options)
    if bool(wanted.isnan().all()):
        raise not_applicable("the expected loss has no minimum, or not one alone")
    law = setting.law(minimiser(setting, target, weights))
    try:
        with torch.no_grad():
            found = functional.of_law(law)
    except NotImplementedError:
        raise not_available(f"{type(law).__name__} lacks what gives its {functional.name}") from None
    if found.shape != wanted.shape:
        raise ValueError(f"{functional.name} has shape {tuple(found.shape)} for a law, {tuple(wanted.shape)} for data.")
    return worst((found - wanted) / wanted.abs().clamp_min(1.0))


def _outcomes(setting: Setting, generator: torch.Generator) -> Tensor:
    """Return outcomes of the law, ``(n, *event)``."""
    space, dtype = setting.space, setting.dtype
    if not setting.entry.elicits.unique:
        # near each other, as the law's scale has it, where the expected loss has one minimum
        shares = 0.3 + 0.4 * torch.rand(POPULATION, dtype=dtype, generator=generator)
        found: Tensor = ask(setting.law(setting.raws[0]), "icdf", shares)
        return found
    count = torch.Size([POPULATION])
    if isinstance(space, Intervals):
        seen = _spread(space.number, count, dtype, generator)
        return torch.stack([seen, seen], -1)
    if isinstance(space, Product):
        return _spread(space.element, count + setting.event, dtype, generator)
    if isinstance(space, Circle):
        return 1.5 * torch.randn(POPULATION, dtype=dtype, generator=generator) + 0.5
    if isinstance(space, Sphere):
        noise = torch.randn(POPULATION, space.dim, dtype=dtype, generator=generator)
        return torch.nn.functional.normalize(noise, dim=-1)
    if isinstance(space, Listed):
        whole = len(space.values) <= LARGEST
        return space.values if whole else _spread(space, count, dtype, generator)
    if isinstance(space, Continuum):
        count = space.transform.inverse_shape(count + setting.event)
    return _spread(space, count, dtype, generator)


def _spread(
    space: Listed | Lattice | Continuum, shape: torch.Size, dtype: torch.dtype, generator: torch.Generator
) -> Tensor:
    """Return numbers of a space, different ones along the first axis; of a continuum as its transform makes them."""
    if isinstance(space, Listed):
        if len(shape) > 1:
            return space.values[torch.randint(len(space.values), shape, generator=generator)]
        return space.values[torch.linspace(0, len(space.values) - 1, shape[0]).round().long()]
    if isinstance(space, Lattice):
        steps = torch.randint(1, 4, shape, generator=generator).cumsum(0).to(dtype) - 1
        start = space.first if space.first > -torch.inf else -5.0
        return space.at((start + steps).clamp(max=space.last))
    noise = 1.5 * torch.randn(shape, dtype=dtype, generator=generator) + 0.5
    made: Tensor = space.transform(noise)
    if space.atoms:
        made[0] = space.atoms[0]
    return made


def _returned(setting: Setting, name: str) -> tuple[float, float, str]:
    """Measure the slope of the expected loss at the law whose population it is, and by how much it is lower elsewhere."""
    truth, outcome, share = _own(setting)
    if not setting.learned and isinstance(setting.relation, Weighted):  # its weights tilt the population to the law
        share = share / setting.relation.weight(outcome)
        share = share / share.sum()
    off = AWAY * torch.randn(truth.shape, dtype=setting.dtype, generator=setting.generator())
    starts = torch.stack([truth + off, truth - off, truth + 0.1 * off, truth - 0.1 * off])
    near = starts[setting.possible(starts)][0]
    slope, found, start = beside(setting, targets.of(setting, outcome), share, truth, near)
    if not start > ELICITS:
        raise ValueError(f"A move by {AWAY} changes the expected loss by {start:.1e} only: it has no minimum there.")
    lower = max(0.0, -found) ** 0.5  # a loss is as flat as the square of the way to its minimum
    return max(slope, lower), ELICITS, f"slope at {name}, and what is lower near it, over its own population"


def _own(setting: Setting) -> tuple[Tensor, Tensor, Tensor]:
    """Return a raw output, and the outcomes of its law with their shares; of no law that is all but certain."""

    def points(raw: Tensor) -> tuple[Tensor, Tensor]:
        outcome, share = rule(setting.law(raw), setting.space, setting.dtype)
        if isinstance(setting.space, Listed) and bool(share.max() > SURE):
            raise not_available("the law is all but certain, and its expected loss flat")
        return outcome, share

    [(raw, found)] = measured(setting, points, 1)
    return raw, *found
