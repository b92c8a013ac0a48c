"""Kernels of the losses of counts and amounts: formulas in r = log y - f, which lose no digits near a perfect prediction."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from likelihoods.likelihood import reduce


def _sorted(target: Tensor, positive: Tensor, at_zero: Tensor | float) -> Tensor:
    """Return ``positive`` where the target is, ``at_zero`` at 0, infinity below 0, and NaN at NaN."""
    rest = torch.where(target == 0, at_zero, torch.where(target < 0, torch.inf, target))
    return torch.where(target > 0, positive, rest)


def _some(target: Tensor) -> Tensor:
    return torch.where(target > 0, target, 1.0)


def _poisson_deviance(raw: Tensor, target: Tensor, reduction: str) -> Tensor:
    some = _some(target)
    log_ratio = some.log() - raw
    return reduce(_sorted(target, 2 * some * (log_ratio + torch.expm1(-log_ratio)), 2 * raw.exp()), reduction)


def _gamma_deviance(raw: Tensor, target: Tensor, reduction: str, *, concentration: float) -> Tensor:
    log_ratio = _some(target).log() - raw
    return reduce(_sorted(target, 2 * (torch.expm1(log_ratio) - log_ratio), torch.inf), reduction)


def _inverse_gaussian_deviance(raw: Tensor, target: Tensor, reduction: str, *, concentration: float) -> Tensor:
    some = _some(target)
    excess = torch.expm1(some.log() - raw)
    return reduce(_sorted(target, excess * (excess / some), torch.inf), reduction)


def _tweedie(raw: Tensor, target: Tensor, reduction: str, *, power: float, dispersion: float) -> Tensor:
    low, high = 1 - power, 2 - power
    value = torch.exp(high * raw) / high
    return reduce(_sorted(target, value - target * (low * raw).exp() / low, value), reduction)


def _tweedie_deviance(raw: Tensor, target: Tensor, reduction: str, *, power: float, dispersion: float) -> Tensor:
    low, high = 1 - power, 2 - power
    some = _some(target)
    log_ratio = some.log() - raw
    scale = torch.exp(high * raw)
    value = scale * (torch.exp(log_ratio) * torch.expm1(low * log_ratio) / low - torch.expm1(high * log_ratio) / high)
    return reduce(2 * _sorted(target, value, scale / high), reduction)


AMOUNTS: dict[str, Callable[..., Tensor]] = {
    "poisson_deviance": _poisson_deviance,
    "gamma_deviance": _gamma_deviance,
    "inverse_gaussian_deviance": _inverse_gaussian_deviance,
    "tweedie": _tweedie,
    "tweedie_deviance": _tweedie_deviance,
}
