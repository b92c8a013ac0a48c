"""What minimises the expected loss over a population."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from likelihoods.verification.setting import Setting

STARTS, SIMPLEX = 3, 8  # random starts; the widest raw output for which a simplex search is worth its time
STEP = 1e-3  # of finite differences of fourth order: both errors are then near 1e-12
DROP = 1e-13  # of the expected loss, relative: less is rounding
CHUNK = 1 << 18  # losses that are computed at a time
Values = np.ndarray
Value = Callable[[Tensor, Tensor], Tensor]


def minimiser(
    setting: Setting, target: Tensor, weights: Tensor, value: Value | None = None, near: Tensor | None = None
) -> Tensor:
    """Return the raw output that minimises the expected loss.

    Args:
        setting: the row.
        target: the population's targets, ``(n, ...)``.
        weights: their probabilities, ``(n,)``.
        value: from raw and target to the loss of each; the row's own if None.
        near: where to look for the minimum first, ``shape``.
    """
    expected = _expected(setting, target, weights, value or setting.value)
    if setting.width == 1:
        found = _on_the_line(expected)
    else:
        starts = setting.raws[:STARTS] if near is None else torch.stack([near, setting.raws[0]])
        found = _in_space(expected, starts.flatten(1).numpy())
    return torch.from_numpy(found).to(setting.dtype).reshape(setting.shape)


def _expected(setting: Setting, target: Tensor, weights: Tensor, value: Value) -> Callable[[Values], Values]:
    """Return the expected loss as a function of raw outputs ``(n, width)``; inf where they give no law."""
    many = max(1, CHUNK // len(target))

    def some(raw: Tensor) -> Tensor:
        each = raw[:, None].expand(-1, len(target), *setting.shape)
        return value(each, target.expand(len(raw), *target.shape)) @ weights

    def expected(raws: Values) -> Values:
        raw = torch.from_numpy(np.ascontiguousarray(raws)).reshape(-1, *setting.shape)
        allowed = setting.possible(raw)
        result = torch.full((len(raw),), torch.inf, dtype=raw.dtype)
        if bool(allowed.any()):
            with torch.no_grad():
                result[allowed] = torch.cat([some(part) for part in raw[allowed].split(many)])
        return result.nan_to_num(torch.inf, torch.inf, -torch.inf).numpy()

    return expected


def _on_the_line(expected: Callable[[Values], Values]) -> Values:
    """Return the global minimiser: the best of a grid, then a bracketing search, to which kinks are no obstacle."""
    from scipy import optimize

    grid = np.union1d(np.sinh(np.linspace(-7, 7, 281)), np.linspace(0, 1, 101))
    height = expected(grid[:, None])
    grid, height = grid[height < np.inf], height[height < np.inf]
    if not len(grid):
        raise ValueError("The expected loss is finite nowhere.")
    best = int(height.argmin())
    bounds = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = optimize.minimize_scalar(
        lambda at: float(expected(np.array([[at]]))[0]), bounds=bounds, method="bounded", options={"xatol": 1e-12}
    )
    return np.array([found.x])


def _in_space(expected: Callable[[Values], Values], raws: Values) -> Values:
    """Return the minimiser: simplex searches from several starts, then a quasi-Newton and a line search from the best."""
    from scipy import optimize

    width = raws.shape[1]

    def one(raw: Values) -> float:
        return float(expected(raw[None])[0])

    def slope(raw: Values) -> Values:
        steps = STEP * np.eye(width)
        values = expected(np.concatenate([raw + s * steps for s in (1, -1, 2, -2)])).reshape(4, width)
        found: Values = (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * STEP)
        return found

    starts = [optimize.OptimizeResult(x=raw, fun=one(raw)) for raw in raws]
    if width <= SIMPLEX:
        rough = {"xatol": 0.03, "fatol": 1e-3}
        starts = [optimize.minimize(one, start.x, method="Nelder-Mead", options=rough) for start in starts]
    best = min(starts, key=lambda found: float(found.fun))
    # the quasi-Newton search knows a smooth minimum to more digits than the value shows; the line search gets into kinks
    for method, gain, options in (("BFGS", -DROP, {"gtol": 1e-11}), ("Powell", DROP, {"xtol": 1e-12, "ftol": 1e-16})):
        jac = slope if method == "BFGS" else None
        with np.errstate(all="ignore"):  # inf - inf, outside the domain
            found = optimize.minimize(one, best.x, method=method, jac=jac, options=options)
        if found.fun < best.fun - gain * max(1.0, abs(best.fun)):
            best = found
    return np.asarray(best.x)
