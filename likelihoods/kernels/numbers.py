"""Kernels of the losses of a number."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from likelihoods.catalog.asymmetric import quantile_levels
from likelihoods.catalog.robust import barron_loss
from likelihoods.likelihood import reduce


def _mse(raw: Tensor, target: Tensor, reduction: str, *, scale: float) -> Tensor:
    return F.mse_loss(raw, target, reduction=reduction)


def _l1(raw: Tensor, target: Tensor, reduction: str, *, scale: float) -> Tensor:
    return F.l1_loss(raw, target, reduction=reduction)


def _huber(raw: Tensor, target: Tensor, reduction: str, *, delta: float) -> Tensor:
    return F.huber_loss(raw, target, reduction=reduction, delta=delta)


def _smooth_l1(raw: Tensor, target: Tensor, reduction: str, *, beta: float) -> Tensor:
    return F.smooth_l1_loss(raw, target, reduction=reduction, beta=beta)


def _log_cosh(raw: Tensor, target: Tensor, reduction: str) -> Tensor:
    # log cosh r = |r| + log1p((e^-2|r| - 1) / 2): no overflow, and no lost digits at small r
    size = (raw - target).abs()
    return reduce(size + torch.log1p(0.5 * torch.expm1(-2 * size)), reduction)


def _quantile(raw: Tensor, target: Tensor, reduction: str, *, levels: float | Sequence[float]) -> Tensor:
    found = quantile_levels(levels)
    columns = raw.unbind(-1) if len(found) > 1 else (raw,)
    parts = [tau * F.leaky_relu(target - f, (tau - 1) / tau) for f, tau in zip(columns, found, strict=True)]
    return reduce(sum(parts[1:], parts[0]), reduction)


def _expectile(raw: Tensor, target: Tensor, reduction: str, *, level: float) -> Tensor:
    root = F.leaky_relu(target - raw, math.sqrt((1 - level) / level))
    return level * reduce(root * root, reduction)


def _cauchy(raw: Tensor, target: Tensor, reduction: str, *, scale: float) -> Tensor:
    z = (raw - target) / scale
    return 2 * reduce(torch.hypot(z, z.new_ones(())).log(), reduction)  # z² would overflow


def _barron(raw: Tensor, target: Tensor, reduction: str, *, alpha: float, scale: float) -> Tensor:
    return reduce(barron_loss(raw.unsqueeze(-1), target, alpha, scale), reduction)


def _epsilon_insensitive(raw: Tensor, target: Tensor, reduction: str, *, epsilon: float) -> Tensor:
    return reduce(((raw - target).abs() - epsilon).relu(), reduction)


def _squared_epsilon_insensitive(raw: Tensor, target: Tensor, reduction: str, *, epsilon: float) -> Tensor:
    excess = ((raw - target).abs() - epsilon).relu()
    return reduce(excess * excess, reduction)


def _gaussian_nll(raw: Tensor, target: Tensor, reduction: str, *, full: bool, eps: float) -> Tensor:
    mean, given = raw.unbind(-1)
    if any_negative(given):
        raise ValueError(
            "A variance is negative; predict it through a link: NLL(Family(Normal, ..., scale=predicted()))."
        )
    variance = _floored(given, eps)
    value = 0.5 * (variance.log() + (mean - target) ** 2 / variance)
    return reduce(value + 0.5 * math.log(2 * math.pi) if full else value, reduction)


def any_negative(variance: Tensor) -> bool:
    """Return whether a variance is negative; compiled or mapped, where nothing may look at a value, False.

    A negative variance is then NaN, as in the link.
    """
    if torch.compiler.is_compiling():
        return False
    try:
        return bool((variance < 0).any())
    except RuntimeError:
        return False


def _floored(variance: Tensor, eps: float) -> Tensor:
    # torch's floor: the value is eps, the gradient passes unchanged
    return torch.where(variance < 0, torch.nan, variance + (variance.clamp_min(eps) - variance).detach())


def _poisson_nll(raw: Tensor, target: Tensor, reduction: str, *, log_input: bool, full: bool, eps: float) -> Tensor:
    return F.poisson_nll_loss(raw, target, log_input=log_input, full=full, eps=eps, reduction=reduction)


NUMBERS: dict[str, Callable[..., Tensor]] = {
    "mse": _mse,
    "l1": _l1,
    "huber": _huber,
    "smooth_l1": _smooth_l1,
    "log_cosh": _log_cosh,
    "quantile": _quantile,
    "expectile": _expectile,
    "cauchy": _cauchy,
    "barron": _barron,
    "epsilon_insensitive": _epsilon_insensitive,
    "squared_epsilon_insensitive": _squared_epsilon_insensitive,
    "gaussian_nll": _gaussian_nll,
    "poisson_nll": _poisson_nll,
}
