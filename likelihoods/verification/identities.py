"""Claims about the conventional value: the kernel is the derivation, the loss is its relation to the likelihood."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from likelihoods.kernels import KERNELS
from likelihoods.relations import Affine, Partial, Weighted
from likelihoods.verification import targets
from likelihoods.verification.conventions import CONVENTIONS
from likelihoods.verification.law import in_support, not_applicable, worst
from likelihoods.verification.setting import Setting

RAWS, TARGETS = 32, 8  # raw outputs, and for each as many samples and as many points far and wide in the support
IDENTITY = 1e-12  # relative to the terms added: some thousand of float64's rounding errors
GRADIENT = 1e-10  # relative; near a minimum the terms of a gradient cancel, and up to two digits more are lost
TINY = 1e-2  # nats below which a ratio of loss and NLL has lost digits: IDENTITY / TINY of them are left


def kernel_value(setting: Setting) -> tuple[float, float, str]:
    """Measure the kernel's value against the derivation's, with every reduction."""
    return _value(setting, _kernel(setting))


def kernel_gradient(setting: Setting) -> tuple[float, float, str]:
    """Measure the kernel's gradient in raw against the derivation's, with every reduction."""
    return _slope(setting, _kernel(setting))


def convention(setting: Setting) -> tuple[float, float, str]:
    """Measure the field's own formula (torch's call, where it is torch's loss) against the derivation's value."""
    return _value(setting, _convention(setting))


def relation(setting: Setting) -> tuple[float, float, str]:
    """Measure the loss against its relation applied to the distribution's own log-density."""
    raw, target, value = _independent(setting)
    stated = setting.relation.loss(setting.likelihood, raw, target)
    return (
        worst(_difference(value, stated) / _size(stated, setting.nats(raw, target))),
        IDENTITY,
        f"{len(target)} points",
    )


def offset(setting: Setting) -> tuple[float, float, str]:
    """Measure how far loss - scale * NLL moves with the prediction while the target stays."""
    assert isinstance(setting.relation, Affine | Partial)
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
    errors = value[inside] / nll[inside] - wanted
    relative = errors / torch.where(wanted > 0, wanted, 1.0)  # where a target is left out the loss is nought
    return worst(relative), IDENTITY / TINY, f"{len(value)} predictions at each of {len(target)} targets"


Value = Callable[[str], Callable[[Tensor, Tensor], Tensor]]  # from a reduction to the loss


def _kernel(setting: Setting) -> Value:
    setting.loss()  # says so where there is none
    if setting.entry.name not in KERNELS:
        raise not_applicable("the loss is defined by its derivation")
    return setting.loss


def _convention(setting: Setting) -> Value:
    setting.loss()
    found = CONVENTIONS.get(setting.entry.name)
    if found is None:
        why = "is what the kernel calls" if setting.entry.name in KERNELS else "the loss is its NLL by definition"
        raise not_applicable(f"no formula besides: {why}")

    def of(reduction: str) -> Callable[[Tensor, Tensor], Tensor]:
        return partial(found, reduction=reduction, **setting.options)

    return of


def _independent(setting: Setting) -> tuple[Tensor, Tensor, Tensor]:
    """Return points and the loss there that is not the derivation itself: the kernel's, or the field's own formula."""
    raw, target = _points(setting)
    return raw, target, _other(setting)(raw, target)


def _other(setting: Setting) -> Callable[[Tensor, Tensor], Tensor]:
    setting.loss()
    if setting.entry.name in KERNELS:
        return setting.loss()
    if setting.entry.name in CONVENTIONS:
        return _convention(setting)("none")
    raise not_applicable("the loss is defined by its derivation")


def _value(setting: Setting, other: Value) -> tuple[float, float, str]:
    raw, target = _points(setting)
    derived = setting.loss().derived(raw, target)
    size = _size(derived, setting.nats(raw, target))
    errors = []
    for reduction, unit in (("none", size), ("sum", size.sum()), ("mean", size.mean())):
        given = other(reduction)(raw, target)
        errors.append(worst(_difference(given, setting.loss(reduction).derived(raw, target)) / unit))
    return worst(torch.tensor(errors, dtype=torch.float64)), IDENTITY, f"{len(target)} points, each reduction"


def _slope(setting: Setting, other: Value) -> tuple[float, float, str]:
    raw, target = _points(setting)
    errors = []
    for reduction, unit in (("none", 1.0), ("sum", 1.0), ("mean", 1.0 / len(target))):
        losses = other(reduction), setting.loss(reduction).derived
        ours, derived = (_gradient(setting, value, raw, target) for value in losses)
        errors.append(worst((ours - derived) / derived.abs().clamp_min(unit)))
    return worst(torch.tensor(errors, dtype=torch.float64)), GRADIENT, f"{len(target)} points, each reduction"


def _points(setting: Setting) -> tuple[Tensor, Tensor]:
    """Return raw ``(n, *shape)`` and targets, random and near the ends of the domain."""
    return targets.pairs(setting, torch.cat([setting.raws[:RAWS], setting.extremes(1.0)]), TARGETS)


def _grid(setting: Setting) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return loss and NLL of every prediction at every target, which of these pairs are possible, and the targets."""
    loss = _other(setting)
    raws = setting.raws
    outcome = setting.spread(setting.law(raws[0]), 2 * TARGETS)
    target = targets.of(setting, outcome)
    raw = raws[:, None].expand(len(raws), len(target), *setting.shape)
    inside = in_support(setting.law(raw), outcome.expand(len(raws), *outcome.shape))
    each = target.expand(len(raws), *target.shape)
    value, nll = torch.zeros(2, *inside.shape, dtype=raw.dtype)
    value[inside] = loss(raw[inside], each[inside]).detach()
    nll[inside] = setting.nats(raw[inside], each[inside]).detach()
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
