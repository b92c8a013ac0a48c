"""Losses of a direction: an angle, or a unit vector."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from likelihoods.bessel import Sphere, log_i0e
from likelihoods.distributions import VonMises, VonMisesFisher
from likelihoods.functionals import Functional
from likelihoods.likelihood import Family, Likelihood
from likelihoods.registry import register
from likelihoods.relations import Affine
from likelihoods.sources import predicted


def _mean_direction(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    total = torch.stack([(weights * values.cos()).sum(), (weights * values.sin()).sum()])
    length: Tensor = torch.linalg.vector_norm(total)
    return total / length


def _law_direction(law: Any) -> Tensor:
    return torch.stack([law.loc.cos(), law.loc.sin()], -1)


def _mean_vector(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    total = weights @ values
    length: Tensor = torch.linalg.vector_norm(total)
    return total / length


def _law_vector(law: Any) -> Tensor:
    loc: Tensor = law.loc
    return loc


def _von_mises_relation(concentration: float) -> Affine:
    scaled = float(log_i0e(torch.tensor(concentration, dtype=torch.float64)))
    return Affine(1.0, -math.log(2 * math.pi) - scaled)


def log_cosine_normalizer(target: Tensor) -> Tensor:
    """log C_d(1) + 1, with C_d the normaliser of the von Mises-Fisher law in d dimensions"""  # noqa: D403, D415
    return Sphere(target.shape[-1]).log_normalizer(torch.ones((), dtype=target.dtype, device=target.device))


@register(
    elicits=Functional("mean direction", _mean_direction, _law_direction),
    reference="Mardia and Jupp (2000), Directional Statistics, section 3.5.4, doi:10.1002/9780470316979",
    relation=_von_mises_relation,
    examples=({}, {"concentration": 0.3}, {"concentration": 40.0}),
    aliases=("circular", "angular"),
    formula="concentration * (1 - cos(y - f))",
    outcome="an angle in radians",
    nuisance=("concentration",),
    compare=False,  # a column of numbers does not say that it is one of angles
)
def von_mises(concentration: float = 1.0) -> Likelihood:
    """The target is an angle, spread around the predicted one by the von Mises law.

    Use it for angles in radians: hours of the day, wind directions, phases, where 359° and 1° are near each other. For an angle
    in degrees write target.deg2rad(). `concentration` is the precision of the spread: learn it through
    NLL(likelihood.learn("concentration")), as the loss leaves out its normaliser. It elicits the mean direction, whatever the
    concentration.
    """
    return Family(VonMises, loc=predicted(), concentration=concentration)


@register(
    elicits=Functional("mean direction of a vector", _mean_vector, _law_vector),
    reference="Mardia and Jupp (2000), Directional Statistics, section 9.3.2, doi:10.1002/9780470316979",
    relation=Affine(1.0, log_cosine_normalizer),
    aliases=("cosine_distance", "cosine_similarity", "CosineSimilarity", "von_mises_fisher", "vmf"),
    formula="1 - cos(f, y)",
    outcome="a unit vector",
    nuisance=("concentration",),
    compare=False,  # vectors
)
def cosine() -> Likelihood:
    """The target is a unit vector, spread around the predicted direction by the von Mises-Fisher law with concentration 1.

    Use it for directions in two or more dimensions; the length of the prediction does not count, and targets must have length 1
    (write torch.nn.functional.normalize(target, dim=-1)). Half the squared distance of unit vectors is the same loss; Keras's
    CosineSimilarity is smaller by 1. It is no likelihood where the target is an embedding that is learned too: then all vectors
    may collapse into one.
    """
    return Family(VonMisesFisher, loc=predicted(), concentration=1.0)
