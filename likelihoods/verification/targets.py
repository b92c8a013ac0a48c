"""Targets of a setting's loss: outcomes of its law, or what the relation makes of them."""

from __future__ import annotations

import torch
from torch import Tensor

from likelihoods.relations import Expected, Partial
from likelihoods.verification.law import NotMeasured, in_support
from likelihoods.verification.setting import Setting

LAW = 1e3  # rounding errors by which probabilities may miss 1


def soft(setting: Setting, count: int, generator: torch.Generator) -> Tensor:
    """Return random targets that are vectors, ``(count, K)``, some of them with zeros.

    The relation says whether it takes log-odds, probabilities or their logarithms: what it makes a law of.

    Raises:
        ValueError: it makes a law of none of them.
    """
    assert isinstance(setting.relation, Expected)
    noise = 2 * torch.randn(count, setting.outcomes, dtype=setting.dtype, generator=generator)
    kept = torch.rand(noise.shape, dtype=setting.dtype, generator=generator) < 0.7
    some = noise.softmax(-1) * (kept | (noise == noise.amax(-1, keepdim=True)))
    for tried in (noise, some / some.sum(-1, keepdim=True), noise.log_softmax(-1)):
        if is_law(setting.relation.soft(tried, setting.outcomes)):
            return tried
    raise ValueError(
        f"t = {setting.relation.soft.__doc__} makes no law of log-odds, probabilities or their logarithms."
    )


def of(setting: Setting, outcome: Tensor) -> Tensor:
    """Return targets of the loss for outcomes of the law, ``(..., *event)``: the outcomes but where only a part counts.

    Raises:
        ValueError: it is not known how a target is made that has such a part.
    """
    relation = setting.relation
    if setting.learned or not isinstance(relation, Partial) or relation.part is None:
        return outcome
    law = setting.law(setting.raws[0])
    for made in (outcome, outcome.sum(-1), outcome.sum(-1).long()):
        try:
            part = relation.part(made)
        except (RuntimeError, IndexError, ValueError):
            continue
        if part.shape == outcome.shape and bool(in_support(law, part).all()):
            return made
    raise ValueError(f"It is not known how to make a target whose part is an outcome: {relation.of}")


def pairs(setting: Setting, raws: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return raw outputs ``(n, *shape)`` and possible targets of the loss ``(n, ...)``: several for each raw.

    They are samples of the law and points far and wide in its support; where the loss takes laws as targets, random ones.
    """
    if setting.takes_laws:
        target = soft(setting, count * len(raws), setting.generator())
        return raws.repeat(count, *[1] * len(setting.shape)), target
    law = setting.law(raws)
    found: list[Tensor] = []
    lacking: list[NotMeasured] = []
    for points in (setting.draw, setting.spread):
        try:
            found.append(points(law, count))
        except NotMeasured as error:
            lacking.append(error)
    if not found:
        raise lacking[0]
    outcome = torch.cat(found)
    inside = in_support(law, outcome)
    raw, outcome = raws.expand(len(outcome), *raws.shape)[inside], outcome[inside]
    target = blurred(setting, of(setting, outcome))
    kept = known(setting, target)
    return raw[kept], target[kept]


def known(setting: Setting, target: Tensor) -> Tensor:
    """Return which targets do not stand for missing ones, ``(n,)``."""
    stated = setting.missing
    return torch.ones(len(target), dtype=torch.bool) if stated is None else stated.known(target)


def blurred(setting: Setting, target: Tensor) -> Tensor:
    """Return targets of which every third is a number between the outcomes, where the loss makes a law of it."""
    if setting.learned or not isinstance(setting.relation, Expected) or not target.is_floating_point():
        return target
    between = torch.rand(target.shape, dtype=setting.dtype, generator=setting.generator())
    if not is_law(setting.relation.soft(between, setting.outcomes)):
        return target
    return torch.where(torch.arange(len(target)) % 3 == 0, between, target)


def is_law(t: Tensor) -> bool:
    """Return whether every vector holds probabilities."""
    return bool((t >= 0).all()) and bool(((t.sum(-1) - 1).abs() <= LAW * torch.finfo(t.dtype).eps).all())
