"""A named loss against an oracle: value and gradient, with every reduction, dtype and batch shape."""

from collections.abc import Callable

import torch
from torch import Tensor

import likelihoods as lk

SHAPES = ((5,), (2, 3))
DTYPES = (torch.float32, torch.float64)


def value_and_gradient(function: Callable[[Tensor, Tensor], Tensor], raw: Tensor, target: Tensor):
    """Return the value, and the gradient in raw along irregular weights."""
    leaf = raw.clone().requires_grad_()
    value = function(leaf, target)
    along = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape) if value.dim() else 1.0
    return value.detach(), torch.autograd.grad((value * along).sum(), leaf)[0]


def same_as_torch(name: str, options: dict, torchs: Callable[[str], Callable], raw: Tensor, target: Tensor) -> None:
    """Require torch's value and gradient: to the last bit of the loss, and to 1e-12 of its derivation, in float64."""
    for reduction in ("mean", "sum", "none"):
        loss = lk.loss(name, reduction=reduction, **options)
        wanted = value_and_gradient(torchs(reduction), raw, target)
        for given, oracle in zip(value_and_gradient(loss, raw, target), wanted, strict=True):
            assert torch.equal(given, oracle), (name, options, reduction, raw.dtype)
        close = 1e-12 if raw.dtype == torch.float64 else 2e-5
        for given, oracle in zip(value_and_gradient(loss.derived, raw, target), wanted, strict=True):
            assert given.dtype == oracle.dtype
            torch.testing.assert_close(given, oracle, rtol=close, atol=close)


def same_as_formula(loss: lk.Loss, formula: Callable[[Tensor, Tensor], Tensor], raw: Tensor, target: Tensor) -> None:
    """Require the value and gradient of a formula in float64, of the loss and of its derivation, with reduction "none"."""
    wanted = value_and_gradient(formula, raw, target)
    for path in (loss, loss.derived):
        for given, oracle in zip(value_and_gradient(path, raw, target), wanted, strict=True):
            assert given.dtype == torch.float64
            torch.testing.assert_close(given, oracle, rtol=1e-11, atol=1e-12)
    narrow = target.float() if target.is_floating_point() else target
    single = loss(raw.float(), narrow)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), wanted[0], rtol=1e-4, atol=1e-5)


def noise(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 3) -> Tensor:
    """Return normal noise."""
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def classes(shape: tuple[int, ...], count: int, seed: int = 4) -> Tensor:
    """Return class indices."""
    return torch.randint(count, shape, generator=torch.Generator().manual_seed(seed))
