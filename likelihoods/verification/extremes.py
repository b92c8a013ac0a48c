"""The claim that no gradient is NaN or infinite where a law exists, however extreme raw output and target are."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from likelihoods.verification.law import in_support, not_applicable
from likelihoods.verification.setting import Setting

LARGEST = {torch.float64: 100.0, torch.float32: 30.0}  # raw value of each dtype
LINE = (0.0, 1e-8, 1.0, 10.0, 30.0, 300.0)  # targets, either sign, on the line that the support is a transform of
COUNTS = (0, 1, 2, 10, 1000, 1_000_000)
VALUES = 64  # of a finite support, from both ends


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
    target = _targets(setting)
    raw = rows[:, None].expand(-1, len(target), -1).reshape(-1, rows.shape[-1])
    target = target.expand(len(rows), *target.shape).reshape(-1, *target.shape[1:])
    inside = in_support(setting.law(raw), target)
    raw, target = raw[inside], target[inside]
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
        wrong = torch.cat([~found.detach().isfinite()[:, None], ~gradient.isfinite()], -1)
        count += int(wrong.sum())
        broken |= wrong.any(-1)
    where = f"{len(raw)} pairs in {str(setting.dtype).removeprefix('torch.')}, raw in {_ranges(rows)}"
    if count:
        first = int(broken.nonzero()[0, 0])
        where += f", first at raw {raw[first].tolist()} and target {target[first].tolist()}"
    return count, where


def _ranges(rows: Tensor) -> str:
    """Return the range of each raw scalar, or the one of all."""
    ranges = [f"[{column.min():g}, {column.max():g}]" for column in rows.T]
    return " x ".join(ranges if len(set(ranges)) > 1 else ranges[:1])


def _exact_nats(exact: Setting, raw: Tensor, target: Tensor) -> Tensor:
    with torch.no_grad():
        wide = target.to(exact.dtype) if target.is_floating_point() else target
        return exact.nats(raw.to(exact.dtype), wide)


def _targets(setting: Setting) -> Tensor:
    space = setting.space
    if space.values is not None:
        whole = len(space.values) <= 2 * VALUES
        return space.values if whole else torch.cat([space.values[:VALUES], space.values[-VALUES:]])
    if space.start is not None:
        return torch.tensor([space.start + count for count in COUNTS], dtype=setting.dtype)
    assert space.transform is not None
    law = setting.law(setting.raws[0])
    points = torch.tensor(sorted({sign * size for size in LINE for sign in (-1, 1)}), dtype=setting.dtype)
    transform: Any = space.transform
    shape = transform.inverse_shape(law.event_shape)
    line = points.reshape(-1, *[1] * len(shape)).expand(-1, *shape)
    target: Tensor = transform(line)
    # not those that round to the support's end
    apart = ((transform.inv(target) - line).abs() <= 1e-3 * line.abs().clamp_min(1.0)).reshape(len(line), -1).all(-1)
    return target[in_support(law, target) & apart]
