"""Claims about the law alone: its mass is 1, and its distribution function adds it up."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from likelihoods.distributions.label_normalized import LabelNormalized
from likelihoods.relations import NoLikelihood
from likelihoods.verification.law import NotMeasured, ask, not_applicable, worst
from likelihoods.verification.quadrature import MASS, Mass, censored, mass, rule
from likelihoods.verification.setting import Setting
from likelihoods.verification.spaces import Circle, Continuum, Intervals, Lattice, Listed, Product, Space

Found = TypeVar("Found")
LAWS = 4  # raw outputs at which a law is looked at
TOGETHER = 64  # targets at which independent elements are seen to add up


def total_mass(setting: Setting) -> tuple[float, float, str]:
    """Measure how far the integral (or sum) of the density is from 1."""
    needs_law(setting)
    space, raws = setting.space, setting.raws[:LAWS]
    with torch.no_grad():
        if isinstance(space, Product):
            return _product(setting, raws)
        if isinstance(space, Intervals):
            totals = [censored(setting.law(raw), space.number, setting.dtype) for raw in raws]
            how = f"below, seen, between and above of {LAWS} laws"
        elif isinstance(space, Listed | Lattice | Circle) or (isinstance(space, Continuum) and not setting.event):
            totals, how = [found.total for _, found in _masses(setting)], _how(space)
        else:
            shares = measured(setting, lambda raw: rule(setting.law(raw), space, setting.dtype)[1], LAWS)
            totals = [float(share.sum()) for _, share in shares]
            how = f"cubature of {LAWS} laws"
    return worst(torch.tensor(totals, dtype=torch.float64) - 1), MASS, how


def distribution_function(setting: Setting) -> tuple[float, float, str]:
    """Measure how far the cdf is from the integral (or sum) of the density."""
    needs_law(setting)
    if setting.event:
        raise not_applicable("targets are vectors, which have no order")
    if isinstance(setting.law(setting.raws[0]), LabelNormalized):
        raise not_applicable("labels have no order")
    errors = []
    for raw, found in _masses(setting):
        with torch.no_grad():
            errors.append(worst(ask(setting.law(raw), "cdf", found.points) - found.below))
    return worst(torch.tensor(errors, dtype=torch.float64)), MASS, _how(setting.space)


def needs_law(setting: Setting) -> None:
    """Say so where the row's law is lent by another loss."""
    if isinstance(setting.relation, NoLikelihood):
        raise not_applicable(f"there is no law; {setting.relation.nearest} has one")


def elements(law: Distribution) -> Distribution:
    """Return the law of each element of an array of independent ones, the batch before the event."""
    base: Distribution = law.base_dist  # type: ignore[attr-defined]  # torch's Independent, in a Product
    return base


def _product(setting: Setting, raws: Tensor) -> tuple[float, float, str]:
    """Each element's mass, and the law's density against the sum of the elements'."""
    assert isinstance(setting.space, Product)
    each = [
        mass(_Element(elements(setting.law(raw)), index), setting.space.element, setting.dtype).total - 1
        for raw in raws
        for index in range(min(LAWS, setting.event.numel()))
    ]
    law = setting.law(raws)
    target = setting.draw(law, TOGETHER)
    together = law.log_prob(target)
    apart = elements(law).log_prob(target).flatten(together.dim()).sum(-1)
    gap = worst((together - apart) / apart.abs().clamp_min(1.0))
    return max(worst(torch.tensor(each, dtype=torch.float64)), gap), MASS, f"each element of {LAWS} laws, and their sum"


class _Element(Distribution):
    """One element of a law with a batch, at any number of points."""

    arg_constraints = {}  # noqa: RUF012  (torch's name)

    def __init__(self, law: Distribution, index: int) -> None:
        self.law, self.index = law, index
        super().__init__(validate_args=False)

    @property
    def support(self) -> constraints.Constraint | None:
        return self.law.support

    def log_prob(self, value: Tensor) -> Tensor:
        return self._pick(self.law.log_prob(self._spread(value)))

    def icdf(self, value: Tensor) -> Tensor:
        return self._pick(ask(self.law, "icdf", self._spread(value)))

    def _spread(self, value: Tensor) -> Tensor:
        batch = self.law.batch_shape
        return value.reshape(*value.shape, *[1] * len(batch)).expand(*value.shape, *batch)

    def _pick(self, value: Tensor) -> Tensor:
        return value.flatten(value.dim() - len(self.law.batch_shape))[..., self.index]


def _how(space: Space) -> str:
    if isinstance(space, Continuum | Circle):
        return f"quadrature of {LAWS} laws"
    return f"sum over {'all values' if isinstance(space, Listed) else 'the counts'} of {LAWS} laws"


@lru_cache(maxsize=1)  # two claims of a setting need them
def _masses(setting: Setting) -> list[tuple[Tensor, Mass]]:
    return measured(setting, lambda raw: mass(setting.law(raw), setting.space, setting.dtype), LAWS)


def measured(setting: Setting, measure: Callable[[Tensor], Found], count: int) -> list[tuple[Tensor, Found]]:
    """Return raw outputs and what was measured of their laws, passing over laws too near to an end of the support.

    Raises:
        NotMeasured: all are.
    """
    found: list[tuple[Tensor, Found]] = []
    lacking: NotMeasured | None = None
    with torch.no_grad():
        for raw in setting.raws:
            try:
                found.append((raw, measure(raw)))
            except NotMeasured as error:
                lacking = error
            if len(found) == count:
                break
    if not found:
        assert lacking is not None
        raise lacking
    return found
