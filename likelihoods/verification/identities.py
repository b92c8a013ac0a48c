"""Claims about the conventional value: the kernel is the derivation, the loss is its relation to the likelihood."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from likelihoods.kernels import KERNELS
from likelihoods.relations import Affine, Relation, Weighted
from likelihoods.verification.law import in_support, not_applicable, worst
from likelihoods.verification.setting import Setting

RAWS, TARGETS = 32, 8  # raw outputs, and for each as many samples and as many points far and wide in the support
IDENTITY = 1e-12  # relative to the terms added: some thousand of float64's rounding errors
GRADIENT = 1e-10  # relative; near a minimum the terms of a gradient cancel, and up to two digits more are lost
TINY = 1e-2  # nats below which a ratio of loss and NLL has lost digits: IDENTITY / TINY of them are left


def kernel_value(setting: Setting) -> tuple[float, float, str]:
    """Measure the kernel's value against the derivation's, with every reduction."""
    raw, target = _points(setting)
    size = _size(setting.loss().derived(raw, target), setting.nats(raw, target))
    errors = []
    for reduction, unit in (("none", size), ("sum", size.sum()), ("mean", size.mean())):
        loss = setting.loss(reduction)
        errors.append(worst(_difference(loss(raw, target), loss.derived(raw, target)) / unit))
    return worst(torch.tensor(errors, dtype=torch.float64)), IDENTITY, f"{len(target)} points, each reduction"


def kernel_gradient(setting: Setting) -> tuple[float, float, str]:
    """Measure the kernel's gradient in raw against the derivation's, with every reduction."""
    raw, target = _points(setting)
    errors = []
    for reduction, unit in (("none", 1.0), ("sum", 1.0), ("mean", 1.0 / len(target))):
        loss = setting.loss(reduction)
        ours, derived = (_gradient(setting, value, raw, target) for value in (loss, loss.derived))
        errors.append(worst((ours - derived) / derived.abs().clamp_min(unit)))
    return worst(torch.tensor(errors, dtype=torch.float64)), GRADIENT, f"{len(target)} points, each reduction"


def relation(setting: Setting) -> tuple[float, float, str]:
    """Measure the loss against its relation applied to the distribution's own log-density."""
    raw, target = _points(setting)
    nll = -setting.law(raw).log_prob(target)
    stated = setting.relation.loss(setting.likelihood, raw, target)
    return (
        worst(_difference(setting.loss()(raw, target), stated) / _size(stated, nll)),
        IDENTITY,
        f"{len(target)} points",
    )


def offset(setting: Setting) -> tuple[float, float, str]:
    """Measure how far loss - scale * NLL moves with the prediction while the target stays."""
    assert isinstance(setting.relation, Affine)
    value, nll, inside, target = _grid(setting)
    scale = setting.relation.scale
    scaled = (scale(target) if callable(scale) else scale) * nll
    rest = value - scaled
    moves = rest.where(inside, -torch.inf).amax(0) - rest.where(inside, torch.inf).amin(0)
    size = _size(value, scaled).where(inside, 1.0).amax(0)
    return worst(moves / size), IDENTITY, f"{len(value)} predictions at each of {len(target)} targets"


def weight(setting: Setting) -> tuple[float, float, str]:
    """Measure loss / NLL against the stated weight, over predictions and targets."""
    assert isinstance(setting.relation, Weighted)
    value, nll, inside, target = _grid(setting)
    inside = inside & (nll.abs() > TINY)
    wanted = setting.relation.weight(target).expand_as(value)[inside]
    errors = value[inside] / nll[inside] / wanted - 1
    return worst(errors), IDENTITY / TINY, f"{len(value)} predictions at each of {len(target)} targets"


SCALE: dict[type[Relation], tuple[str, Callable[[Setting], tuple[float, float, str]]]] = {
    Affine: ("offset", offset),
    Weighted: ("weight", weight),
}  # what a relation says of the loss's scale, by its type


def _needs_kernel(setting: Setting) -> None:
    setting.loss()  # says so where there is none
    if setting.entry.name not in KERNELS:
        raise not_applicable("the loss is defined by its derivation")


def _points(setting: Setting) -> tuple[Tensor, Tensor]:
    """Return raw ``(n, width)`` and targets ``(n, *event)``, random and near the ends of the domain."""
    _needs_kernel(setting)
    return setting.pairs(torch.cat([setting.raws[:RAWS], setting.extremes(1.0)]), TARGETS)


def _grid(setting: Setting) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return loss and NLL of every prediction at every target, which of these pairs are possible, and the targets."""
    _needs_kernel(setting)
    raws = setting.raws
    target = setting.spread(setting.law(raws[0]), 2 * TARGETS)
    raw, targets = raws[:, None].expand(-1, len(target), -1), target.expand(len(raws), *target.shape)
    inside = in_support(setting.law(raw), targets)
    value, nll = torch.zeros(2, *inside.shape, dtype=raw.dtype)
    value[inside] = setting.loss()(raw[inside], targets[inside]).detach()
    nll[inside] = -setting.law(raw[inside]).log_prob(targets[inside])
    return value, nll, inside, target


def _gradient(setting: Setting, loss: Callable[[Tensor, Tensor], Tensor], raw: Tensor, target: Tensor) -> Tensor:
    """Return the gradient in raw, of a value for each target along random weights."""
    leaf = raw.clone().requires_grad_()
    value = loss(leaf, target)
    along = 0.5 + torch.rand(value.shape, dtype=raw.dtype, generator=setting.generator())
    return torch.autograd.grad((along * value).sum(), leaf)[0]


def _difference(ours: Tensor, wanted: Tensor) -> Tensor:
    if ours.shape != wanted.shape:
        raise ValueError(f"The loss has shape {tuple(ours.shape)}; {tuple(wanted.shape)} is wanted.")
    return ours - wanted


def _size(*terms: Tensor) -> Tensor:
    """Return the size of the largest term, at least 1, to which a rounding error is relative."""
    return torch.stack([term.detach().abs() for term in terms]).amax(0).clamp_min(1.0)
