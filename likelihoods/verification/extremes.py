"""The claim that no gradient is NaN or infinite where a law exists, however extreme raw output and target are."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from likelihoods.relations import Expected
from likelihoods.verification import targets
from likelihoods.verification.law import in_support, not_applicable
from likelihoods.verification.setting import Setting
from likelihoods.verification.spaces import Circle, Continuum, Intervals, Lattice, Listed, Product, Sphere

LARGEST = {torch.float64: 100.0, torch.float32: 30.0}  # raw value of each dtype
LINE = (0.0, 1e-8, 1.0, 10.0, 30.0, 300.0)  # targets, either sign, on the line that the support is a transform of
COUNTS = (0, 1, 2, 10, 1000, 1_000_000)
VALUES = 64  # of a finite support, from both ends; and random arrays and directions
MANY = 8  # raw scalars whose ranges are told apart


def extremes(setting: Setting) -> tuple[float, float, str]:
    """Count the values and gradients that are not finite, of the loss and of the NLL, in float64 and float32."""
    if setting.width == 0:
        raise not_applicable("nothing is predicted")
    bad, notes = 0, []
    for dtype in LARGEST:
        count, note = _count(setting, Setting.make(setting.entry, setting.example, setting.seed, dtype))
        bad += count
        notes.append(note)
    return float(bad), 0.0, "; ".join(notes)


def _count(exact: Setting, setting: Setting) -> tuple[int, str]:
    rows = setting.extremes(LARGEST[setting.dtype])
    if not len(rows):
        raise ValueError(f"No extreme raw value gives a law in {setting.dtype}.")
    raw, target = _pairs(setting, rows)
    # a loss beyond the root of the largest number is finite by luck: the product of two such numbers is not
    nats = _exact_nats(exact, raw, target)
    fits = ~(nats.isfinite() & (nats.abs() > math.sqrt(torch.finfo(setting.dtype).max)))
    raw, target = raw[fits], target[fits]
    if not len(raw):
        raise ValueError(f"No extreme target is possible at an extreme raw value in {setting.dtype}.")
    broken = torch.zeros(len(raw), dtype=torch.bool)
    count = 0
    for value in (setting.value, setting.nats):
        leaf = raw.clone().requires_grad_()
        found = value(leaf, target)
        gradient = torch.autograd.grad(found.sum(), leaf)[0]
        wrong = torch.cat([~found.detach().isfinite()[:, None], ~gradient.isfinite().flatten(1)], -1)
        count += int(wrong.sum())
        broken |= wrong.any(-1)
    where = f"{len(raw)} pairs in {str(setting.dtype).removeprefix('torch.')}, raw in {_ranges(rows)}"
    if count:
        first = int(broken.nonzero()[0, 0])
        where += f", first at raw {raw[first].tolist()} and target {target[first].tolist()}"
    return count, where


def _pairs(setting: Setting, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return every possible pair of raw output and target of the loss."""
    outcome = _soft(setting) if setting.takes_laws else _outcomes(setting)
    raw = rows[:, None].expand(-1, len(outcome), *setting.shape).reshape(-1, *setting.shape)
    outcome = outcome.expand(len(rows), *outcome.shape).reshape(-1, *outcome.shape[1:])
    if setting.takes_laws:
        return raw, outcome
    inside = in_support(setting.law(raw), outcome)
    return raw[inside], targets.blurred(setting, targets.of(setting, outcome[inside]))


def _ranges(rows: Tensor) -> str:
    """Return the range of each raw scalar, or the one of all."""
    columns = rows.flatten(1).T
    if len(columns) > MANY:
        return f"[{rows.min():g}, {rows.max():g}]"
    ranges = [f"[{column.min():g}, {column.max():g}]" for column in columns]
    return " x ".join(ranges if len(set(ranges)) > 1 else ranges[:1])


def _exact_nats(exact: Setting, raw: Tensor, target: Tensor) -> Tensor:
    with torch.no_grad():
        wide = target.to(exact.dtype) if target.is_floating_point() else target
        return exact.nats(raw.to(exact.dtype), wide)


def _outcomes(setting: Setting) -> Tensor:
    """Return outcomes of the law far out, ``(n, *event)``."""
    space, law = setting.space, setting.law(setting.raws[0])
    if isinstance(space, Listed):
        return _few(space.values)
    if isinstance(space, Product):
        numbers = _numbers(space.element, setting)
        flat = numbers.reshape(-1, *[1] * len(setting.event)).expand(-1, *setting.event)
        return torch.cat([flat, setting.spread(law, VALUES)])
    if isinstance(space, Intervals):
        numbers = _numbers(space.number, setting)
        open_ended = torch.full_like(numbers, torch.inf)
        pairs = [(numbers, numbers), (numbers, open_ended), (-open_ended, numbers), (numbers[:-1], numbers[1:])]
        return torch.cat([torch.stack(pair, -1) for pair in pairs])
    if isinstance(space, Circle):
        return torch.tensor([sign * size for size in LINE for sign in (-1, 1)], dtype=setting.dtype)
    if isinstance(space, Sphere):
        axes = torch.eye(space.dim, dtype=setting.dtype)
        return torch.cat([axes, -axes, setting.spread(law, VALUES)])
    return _numbers(space, setting)


def _few(values: Tensor) -> Tensor:
    return values if len(values) <= 2 * VALUES else torch.cat([values[:VALUES], values[-VALUES:]])


def _numbers(space: Listed | Lattice | Continuum, setting: Setting) -> Tensor:
    if isinstance(space, Listed):
        return _few(space.values)
    if isinstance(space, Lattice):
        counts = torch.tensor(COUNTS, dtype=setting.dtype)
        if space.first == -torch.inf:
            return space.at(torch.cat([counts, -counts[1:]]))
        return space.at((space.first + counts).clamp(max=space.last))
    points = torch.tensor(sorted({sign * size for size in LINE for sign in (-1, 1)}), dtype=setting.dtype)
    vector = not isinstance(setting.space, Product | Intervals)
    shape = space.transform.inverse_shape(setting.event) if vector else torch.Size()
    line = points.reshape(-1, *[1] * len(shape)).expand(-1, *shape)
    target, apart = space.apart(line)
    target = target[apart.reshape(len(line), -1).all(-1)]
    return torch.cat([target, target.new_tensor(space.atoms)]) if space.atoms else target


def _soft(setting: Setting) -> Tensor:
    """Return random laws as targets, and where the loss takes probabilities, every outcome for certain."""
    relation = setting.relation
    assert isinstance(relation, Expected)
    target = targets.soft(setting, VALUES, setting.generator())
    certain = torch.eye(setting.outcomes, dtype=setting.dtype)
    return torch.cat([target, certain]) if targets.is_law(relation.soft(certain, setting.outcomes)) else target
