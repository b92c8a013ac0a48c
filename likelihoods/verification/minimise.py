"""What minimises the expected loss over a population."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from likelihoods.verification.setting import Setting

STARTS, SIMPLEX = 3, 8  # random starts; the widest raw output for which a simplex search is worth its time
STEP = 1e-4  # of differences of the slope
GENTLE, LEVEL = 1e-7, 1e-9  # slopes with which Newton's method begins, and at which a minimum is smooth
POLISH, FLAT = 4, 1e-9  # Newton's steps; curvatures, as parts of the largest, that are rounding
SHORT = 50  # steps of a search for something lower than what should be the minimum
DROP = 1e-13  # of the expected loss, relative: less is rounding
CHUNK = 1 << 18  # losses that are computed at a time
Values = np.ndarray
Value = Callable[[Tensor, Tensor], Tensor]
Curve = Callable[[Values], Values]


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
    expected, slopes = _expected(setting, target, weights, value or setting.value)
    if setting.width == 1 and near is None:
        found = _on_the_line(expected)
    else:
        starts = setting.raws[:STARTS] if near is None else torch.stack([near, setting.raws[0]])
        found = _in_space(expected, slopes, starts.flatten(1).numpy())
    return torch.from_numpy(found).to(setting.dtype).reshape(setting.shape)


def beside(
    setting: Setting, target: Tensor, weights: Tensor, truth: Tensor, near: Tensor
) -> tuple[float, float, float]:
    """Return the slope of the expected loss at a raw output, and by how much a search from near it, and near, are higher."""
    from scipy import optimize

    expected, slopes = _expected(setting, target, weights, setting.value)
    ends = torch.stack([truth, near]).flatten(1).numpy()
    with np.errstate(all="ignore"):  # inf - inf, outside the domain
        found = optimize.minimize(
            lambda raw: float(expected(raw[None])[0]),
            ends[1],
            method="BFGS",
            jac=lambda raw: slopes(raw[None])[0],
            options={"gtol": GENTLE, "maxiter": SHORT},
        )
    best, start = expected(ends)
    return float(np.abs(slopes(ends[:1])).max()), float(found.fun - best), float(start - best)


def _expected(setting: Setting, target: Tensor, weights: Tensor, value: Value) -> tuple[Curve, Curve]:
    """Return the expected loss as a function of raw outputs ``(n, width)``, inf where they give no law, and its slope."""
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

    def slopes(raws: Values) -> Values:
        raw = torch.from_numpy(np.ascontiguousarray(raws)).reshape(-1, *setting.shape)
        result = torch.full((len(raw), setting.width), torch.nan, dtype=raw.dtype)
        allowed = setting.possible(raw)
        if bool(allowed.any()):
            parts = []
            for part in raw[allowed].split(many):
                leaf = part.clone().requires_grad_()
                with torch.enable_grad():
                    parts.append(torch.autograd.grad(some(leaf).sum(), leaf)[0].flatten(1))
            result[allowed] = torch.cat(parts)
        return result.numpy()

    return expected, slopes


def _on_the_line(expected: Curve) -> Values:
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


def _in_space(expected: Curve, slopes: Curve, raws: Values) -> Values:
    """Return the minimiser: a simplex search from each of several starts, then a quasi-Newton search from the best.

    Newton's steps then know a smooth minimum to more digits than the value shows. Where the slope does not vanish there
    is a kink, which a line search gets into.
    """
    from scipy import optimize

    width = raws.shape[1]

    def one(raw: Values) -> float:
        return float(expected(raw[None])[0])

    starts = [optimize.OptimizeResult(x=raw, fun=one(raw)) for raw in raws]
    with np.errstate(all="ignore"):  # inf - inf, outside the domain
        if len(raws) > 1 and width <= SIMPLEX:
            rough = {"xatol": 0.03, "fatol": 1e-3}
            starts = [optimize.minimize(one, start.x, method="Nelder-Mead", options=rough) for start in starts]
        best = min(starts, key=lambda found: float(found.fun))
        found = optimize.minimize(
            one, best.x, method="BFGS", jac=lambda raw: slopes(raw[None])[0], options={"gtol": GENTLE}
        )
        if found.fun < best.fun + DROP * max(1.0, abs(best.fun)):
            best = found
        at, steep = _newton(slopes, best.x)
        if steep <= LEVEL * max(1.0, abs(best.fun)):
            return at
        found = optimize.minimize(one, best.x, method="Powell", options={"xtol": 1e-12, "ftol": 1e-16})
    if found.fun < best.fun - DROP * max(1.0, abs(best.fun)):
        best = found
    return np.asarray(best.x)


def _newton(slopes: Curve, at: Values) -> tuple[Values, float]:
    """Return a point with a smaller slope, and the size of that slope; directions that change nothing are left alone."""
    slope = slopes(at[None])[0]
    for _ in range(POLISH):
        steps = STEP * np.eye(len(at))
        ahead, behind = slopes(np.concatenate([at + steps, at - steps])).reshape(2, len(at), len(at))
        curvature = (ahead - behind) / (2 * STEP)
        if not np.isfinite(curvature).all():
            break
        moved = at - np.linalg.pinv(0.5 * (curvature + curvature.T), FLAT, hermitian=True) @ slope
        there = slopes(moved[None])[0]
        if not np.abs(there).max() < np.abs(slope).max():
            break
        at, slope = moved, there
    return at, float(np.abs(slope).max())
