"""What the rows whose target is a number are held against: another's formula, in value and slope, in any shape."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

import likelihoods as lk

STEP = 1e-3  # of differences of fourth order, whose error is then near 1e-11


@dataclass(frozen=True)
class Case:
    """A row at one setting: ``oracle(raw, y)`` gives its value in numpy, from raw ``(n, width)`` and targets ``(n,)``."""

    name: str
    oracle: Callable[[Any, Any], Any]
    raw: tuple[Any, ...]
    target: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    rtol: float = 1e-12
    float32: float = 2e-6  # relative to the largest of 1, the value and the slopes

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v}' for k, v in self.options.items())})"

    @property
    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Every raw output with every target, ``(n, width)`` and ``(n,)``."""
        raw = np.array(self.raw, dtype=float).reshape(len(self.raw), -1)
        target = np.array(self.target, dtype=float)
        return np.repeat(raw, len(target), 0), np.tile(target, len(raw))

    def slope(self) -> np.ndarray:
        """The oracle's derivative in raw, ``(n, width)``."""
        raw, y = self.points
        found = np.zeros_like(raw)
        for axis, step in enumerate(STEP * np.eye(raw.shape[1])):
            near, far = (self.oracle(raw + k * step, y) - self.oracle(raw - k * step, y) for k in (1, 2))
            found[:, axis] = (8 * near - far) / (12 * STEP)
        return found


def check(case: Case) -> None:
    """Hold a row against its oracle."""
    raw, y = case.points
    wanted, slope = case.oracle(raw, y), case.slope()
    assert np.isfinite(wanted).all()
    loss = lk.loss(case.name, reduction="none", **case.options)
    width = raw.shape[1]
    size = np.maximum(1, np.abs(wanted))

    x = torch.tensor(raw, requires_grad=True)
    for value in (loss(x, torch.tensor(y)), loss.derived(x, torch.tensor(y))):
        np.testing.assert_allclose(value.detach().numpy() / size, wanted / size, rtol=0, atol=case.rtol)
        (gradient,) = torch.autograd.grad(value.sum(), x)
        scale = np.maximum(1, np.abs(slope).max(1, keepdims=True)) * size[:, None]
        np.testing.assert_allclose(gradient.numpy() / scale, slope / scale, rtol=0, atol=1e-8)

    x32, y32 = torch.tensor(raw, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    exact = case.oracle(x32.double().numpy(), y32.double().numpy())
    bound = np.maximum(size, np.abs(slope).sum(1))
    assert loss(x32, y32).dtype == torch.float32
    np.testing.assert_allclose(loss(x32, y32).double().numpy() / bound, exact / bound, rtol=0, atol=case.float32)

    flat = loss(x, torch.tensor(y)).detach()
    n = len(y) // 2
    block = loss(torch.tensor(raw[: 2 * n]).reshape(2, n, width), torch.tensor(y[: 2 * n]).reshape(2, n))
    torch.testing.assert_close(block, flat[: 2 * n].reshape(2, n), rtol=1e-13, atol=1e-13)
    each = torch.func.vmap(loss)(torch.tensor(raw), torch.tensor(y))
    torch.testing.assert_close(each, flat, rtol=1e-13, atol=1e-13)
    if width == 1:
        torch.testing.assert_close(loss(torch.tensor(raw[:, 0]), torch.tensor(y)), flat, rtol=0, atol=0)
    assert loss(torch.zeros(0, width), torch.zeros(0)).shape == (0,)
    assert lk.loss(case.name, reduction="sum", **case.options)(torch.zeros(0, width), torch.zeros(0)) == 0
    with pytest.raises(ValueError, match="Skip empty batches"):
        lk.loss(case.name, **case.options)(torch.zeros(0, width), torch.zeros(0))
    for reduction, reduce in (("mean", torch.mean), ("sum", torch.sum)):
        found = lk.loss(case.name, reduction=reduction, **case.options)(x, torch.tensor(y))
        torch.testing.assert_close(found, reduce(loss(x, torch.tensor(y))))

    again = pickle.loads(pickle.dumps(loss))
    assert torch.equal(again(x, torch.tensor(y)), loss(x, torch.tensor(y)))
    pickle.dumps(loss.relation)
    with pytest.raises((ValueError, TypeError)):
        loss(torch.zeros(3, width), torch.zeros(4))
