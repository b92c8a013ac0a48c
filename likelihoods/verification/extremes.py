"""The claim that no gradient is NaN or infinite where a law exists, however extreme raw output and target are."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from likelihoods.verification.setting import Setting, in_support, not_applicable

LARGEST = {torch.float64: 100.0, torch.float32: 30.0}  # raw value of each dtype
LINE = (0.0, 1e-8, 1.0, 30.0, 300.0)  # targets, either sign, on the line that the support is a transform of
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
    broken = torch.zeros(len(raw), dtype=torch.bool)
    count = 0
    for value in (setting.value, setting.nats):
        leaf = raw.clone().requires_grad_()
        found = value(leaf, target)
        gradient = torch.autograd.grad(found.sum(), leaf)[0]
        wrong = torch.cat([~found.detach().isfinite()[:, None], ~gradient.isfinite()], -1)
        count += int(wrong.sum())
        broken |= wrong.any(-1)
    where = f"{len(raw)} pairs in {str(setting.dtype).removeprefix('torch.')}, raw in [{rows.min():g}, {rows.max():g}]"
    if count:
        first = int(broken.nonzero()[0, 0])
        where += f", first at raw {raw[first].tolist()} and target {target[first].tolist()}"
    return count, where


def _exact_nats(exact: Setting, raw: Tensor, target: Tensor) -> Tensor:
    with torch.no_grad():
        wide = target.to(exact.dtype) if target.is_floating_point() else target
        return exact.nats(raw.to(exact.dtype), wide)


def _targets(setting: Setting) -> Tensor:
    space = setting.space
    if space.values is not None:
        return torch.cat([space.values[:VALUES], space.values[-VALUES:]]).unique(dim=0)
    if space.start is not None:
        return torch.tensor([space.start + count for count in COUNTS], dtype=setting.dtype)
    assert space.transform is not None
    law = setting.law(setting.raws[0])
    points = torch.tensor(sorted({sign * size for size in LINE for sign in (-1, 1)}), dtype=setting.dtype)
    shape = space.transform.inverse_shape(law.event_shape)
    target: Tensor = space.transform(points.reshape(-1, *[1] * len(shape)).expand(-1, *shape))
    return target[in_support(law, target)].unique(dim=0)
