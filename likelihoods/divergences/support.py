"""Where two laws put their mass: whether the first is absolutely continuous with respect to the second."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator
from typing import Any

import torch
from pyro.distributions import Delta
from torch import Tensor
from torch.distributions import Distribution, Transform, VonMises, constraints

from likelihoods.distributions.multinomial import Compositions
from likelihoods.distributions.supports import support_of
from likelihoods.distributions.univariate import Univariate

THIN = (type(constraints.simplex),)  # sets without volume in the space of their vectors; sphere is found by its name
SHAPELESS = ("Sphere", "CorrMatrix", "CorrCholesky", "OneHot")


def precise(law: Distribution) -> Distribution:
    """Return a copy of the law for numbers alone: parameters detached and in float64, validation off, all the way down."""
    new = copy.copy(law)
    for name, value in vars(law).items():
        new.__dict__[name] = _precise(value)
    new._validate_args = False
    return new


def _precise(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().double() if value.is_floating_point() else value.detach()
    if isinstance(value, Distribution):
        return precise(value)
    if isinstance(value, Transform):
        new = copy.copy(value)
        new.__dict__.update({name: _precise(part) for name, part in vars(value).items() if name != "_inv"})
        return new
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(_precise(part) for part in value)
    return value


def support(law: Distribution) -> constraints.Constraint | None:
    """Return the law's support with ``independent`` taken off, or None where the law does not say."""
    try:
        found = law.support
    except NotImplementedError:
        return None
    while isinstance(found, constraints.independent):
        found = found.base_constraint
    return found if isinstance(found, constraints.Constraint) else None


def log_prob(law: Distribution, value: Tensor) -> Tensor:
    """Return the log-density, -inf outside the support also for torch's laws, which without validation may say anything."""
    try:
        density: Tensor = law.log_prob(value)
    except NotImplementedError as error:
        raise NotImplementedError(f"{type(law).__name__} has no log_prob, so no divergence can be computed.") from error
    if type(law).__module__.startswith("likelihoods."):
        return density
    try:
        whole = support_of(law)
    except NotImplementedError:
        return density
    inside = whole.check(value)
    return torch.where(inside, density, -torch.inf) if inside.shape == density.shape else density


def is_discrete(law: Distribution) -> bool:
    """Tell whether the law has masses (a base measure that counts) rather than a density."""
    found = support(law)
    return isinstance(law, Delta) or (found is not None and bool(found.is_discrete))


def atoms(law: Distribution) -> tuple[float, ...]:
    """Return the points at which a law with a density elsewhere has a mass: only this package's laws say so."""
    return tuple(law.atoms) if isinstance(law, Univariate) else ()


def bounds(law: Distribution) -> tuple[Tensor, Tensor] | None:
    """Return the ends of the support of each element, in float64 with the shape of a sample; None if it is no interval."""
    if isinstance(law, Univariate) and not law.event_shape:
        edges = torch.tensor((0.0, 1.0), dtype=torch.float64, device=_like(law))
        with contextlib.suppress(TypeError):  # a mixture of another package's laws has no quantile function
            low, high = (precise(law).icdf(edge.expand(law.batch_shape)) for edge in edges)
            return low, high
    found = support(law)
    if found is None:
        return None
    # any turn will do for angles, whose density goes on beyond it
    pair = (law.loc - math.pi, law.loc + math.pi) if isinstance(law, VonMises) else _bounds(found)
    if isinstance(law, Delta):
        pair = law.v, law.v
    if pair is None:
        return None
    like = _like(law)
    shape = law.batch_shape + law.event_shape
    low, high = (torch.as_tensor(end, dtype=torch.float64, device=like).detach().expand(shape) for end in pair)
    return low, high


def tensors(law: Distribution) -> Iterator[Tensor]:
    """Yield the tensors that a law holds, and those of the laws that it is made of."""
    for value in vars(law).values():
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Distribution):
            yield from tensors(value)


def _like(law: Distribution) -> torch.device | None:
    return next((value.device for value in tensors(law)), None)


def _bounds(found: constraints.Constraint) -> tuple[Any, Any] | None:
    if found is constraints.real:
        return -torch.inf, torch.inf
    if found is constraints.boolean:
        return 0.0, 1.0
    if type(found).__name__ == "MixtureSameFamilyConstraint":  # by its name: older versions of torch lack it
        return _of_components(found.base_constraint)  # type: ignore[attr-defined]  # it is of that class
    low = getattr(found, "lower_bound", None)
    high = getattr(found, "upper_bound", None)
    if (low is None and high is None) or isinstance(found, type(constraints.multinomial(1))):
        return None
    return -torch.inf if low is None else low, torch.inf if high is None else high


def _of_components(base: constraints.Constraint) -> tuple[Any, Any] | None:
    pair = _bounds(base.base_constraint if isinstance(base, constraints.independent) else base)
    if pair is None:
        return None
    low, high = map(torch.as_tensor, pair)
    return low.amin(-1) if low.dim() else low, high.amax(-1) if high.dim() else high


def inside(q: Distribution, p: Distribution) -> Tensor:
    """Return, for each element of the batch, whether q can put mass only where p does; True where that is not known.

    Both laws have the same batch and event shapes. A law of masses and a law with a density are mutually singular.
    """
    everywhere = torch.ones(q.batch_shape, dtype=torch.bool, device=_like(q))
    if is_discrete(q):
        if not is_discrete(p):
            return everywhere if atoms(p) and isinstance(q, Delta) else ~everywhere
    elif is_discrete(p) or not set(atoms(q)) <= set(atoms(p)):
        return ~everywhere
    found_q, found_p = support(q), support(p)
    if found_q is None or found_p is None or (isinstance(q, VonMises) and isinstance(p, VonMises)):
        return everywhere
    totals = [_total(found) for found in (found_q, found_p)]
    if totals[0] is not None and totals[1] is not None:
        return everywhere & (torch.as_tensor(totals[0]) == torch.as_tensor(totals[1])).to(everywhere.device)
    if _is_thin(found_q) != _is_thin(found_p) and not is_discrete(q):
        return ~everywhere  # one of them has no volume where the other has a density
    own, other = bounds(q), bounds(p)
    if own is None or other is None:
        return everywhere
    fits = (own[0] >= other[0]) & (own[1] <= other[1])
    return fits.flatten(everywhere.dim()).all(-1) if q.event_shape else fits


def _total(found: constraints.Constraint) -> Any:
    if isinstance(found, Compositions):
        return found.total
    return found.upper_bound if isinstance(found, type(constraints.multinomial(1))) else None


def _is_thin(found: constraints.Constraint) -> bool:
    return isinstance(found, THIN) or type(found).__name__.lstrip("_") in SHAPELESS


def landmarks(law: Distribution, probabilities: Tensor) -> Tensor:
    """Return about the quantiles of a univariate law, sorted, with an axis for them in front of the batch.

    Where the law has no quantile function they are those of a sample; torch's global generator is left as it was.
    """
    levels = probabilities.view(-1, *[1] * len(law.batch_shape))
    for atom in atoms(law):  # quantiles of the part that has a density
        chance = law.log_prob(torch.full(law.batch_shape, atom, dtype=levels.dtype, device=levels.device)).exp()
        chance = torch.where(law.cdf(torch.full_like(chance, atom)) > chance * (1.0 + 1e-9), 0.0, chance)
        levels = chance + (1.0 - chance) * levels
    try:
        points = law.icdf(levels).expand(-1, *law.batch_shape)
        if bool(points.isfinite().all()):
            return points.sort(0).values
    except (NotImplementedError, RuntimeError, TypeError, ValueError):
        pass  # laws raise any of these where they have no quantile function
    device = _like(law)
    with torch.random.fork_rng(devices=[device] if device is not None and device.type == "cuda" else []):
        torch.manual_seed(0)
        sample = law.sample((1023,)).double().sort(0).values
    return sample[(probabilities * 1023).long().clamp(0, 1022).to(sample.device)]
