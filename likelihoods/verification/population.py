"""The claim about what the loss elicits: the minimiser of its expectation over a population that no model made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from likelihoods.verification.law import ask, not_applicable, not_available, worst
from likelihoods.verification.setting import Setting

POPULATIONS = 3  # two functionals may agree on one by chance, medians of counts above all
POPULATION = 7  # values, unless the support has fewer
STARTS, SIMPLEX = 3, 8  # random starts; the widest raw output for which a simplex search is worth its time
LARGEST = 1024  # finite supports up to here are populated whole: classes must be
ELICITS = 1e-6  # a minimum found by values alone is known to the root of float64's precision, 1.5e-8, times its size
STEP = 1e-3  # of finite differences of fourth order: both errors are then near 1e-12
DROP = 1e-13  # of the expected loss, relative: less is rounding
Values = np.ndarray


def elicits(setting: Setting) -> tuple[float, float, str]:
    """Measure the minimiser of the expected loss against the functional of the population."""
    if setting.width == 0:
        raise not_applicable("nothing is predicted")
    generator = setting.generator()
    errors = [_error(setting, *_population(setting, generator)) for _ in range(POPULATIONS)]
    how = f"{setting.entry.elicits.name} of {POPULATIONS} populations"
    return worst(torch.tensor(errors, dtype=torch.float64)), ELICITS, how


def _error(setting: Setting, values: Tensor, weights: Tensor) -> float:
    functional = setting.entry.elicits
    if functional.of_population is None or functional.of_law is None:
        raise not_available("a population of the family's own is not drawn yet")
    law = setting.law(torch.from_numpy(_minimiser(_expected(setting, values, weights), setting)))
    wanted = functional.of_population(values, weights, **setting.options)
    try:
        with torch.no_grad():
            found = functional.of_law(law)
    except NotImplementedError:
        raise not_available(f"{type(law).__name__} lacks what gives its {functional.name}") from None
    if found.shape != wanted.shape:
        raise ValueError(f"{functional.name} has shape {tuple(found.shape)} for a law, {tuple(wanted.shape)} for data.")
    return worst((found - wanted) / wanted.abs().clamp_min(1.0))


def _population(setting: Setting, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return values in the support ``(n,)`` and irregular probabilities ``(n,)``."""
    if setting.likelihood.rank:
        raise not_available(f"targets have {setting.likelihood.rank} axes: populations are of numbers")
    space = setting.space
    if not setting.entry.elicits.unique:
        # near each other, as the law's scale has it, where the expected loss has one minimum
        shares = 0.3 + 0.4 * torch.rand(POPULATION, dtype=setting.dtype, generator=generator)
        values = ask(setting.law(setting.raws[0]), "icdf", shares)
    elif space.values is not None:
        values = space.values
        if len(values) > LARGEST:
            values = values[torch.linspace(0, len(values) - 1, POPULATION).round().long()]
    elif space.start is not None:
        values = space.start + torch.randint(1, 4, (POPULATION,), generator=generator).cumsum(0).to(setting.dtype) - 1
    else:
        assert space.transform is not None
        values = space.transform(1.5 * torch.randn(POPULATION, dtype=setting.dtype, generator=generator) + 0.5)
    weights = 0.1 + torch.rand(len(values), dtype=setting.dtype, generator=generator)
    return values, weights / weights.sum()


def _expected(setting: Setting, values: Tensor, weights: Tensor) -> Callable[[Values], Values]:
    """Return the expected loss as a function of raw outputs ``(n, width)``; inf where they give no law."""

    def expected(raws: Values) -> Values:
        raw = torch.from_numpy(np.ascontiguousarray(raws))
        allowed = setting.possible(raw)
        result = torch.full((len(raw),), torch.inf, dtype=raw.dtype)
        each = raw[allowed][:, None].expand(-1, len(values), -1)
        with torch.no_grad():
            result[allowed] = setting.value(each, values.expand(len(each), -1)) @ weights
        return result.nan_to_num(torch.inf, torch.inf, -torch.inf).numpy()

    return expected


def _minimiser(expected: Callable[[Values], Values], setting: Setting) -> Values:
    return _on_the_line(expected) if setting.width == 1 else _in_space(expected, setting)


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


def _in_space(expected: Callable[[Values], Values], setting: Setting) -> Values:
    """Return the minimiser: simplex searches from several starts, then a quasi-Newton and a line search from the best."""
    from scipy import optimize

    width = setting.width

    def one(raw: Values) -> float:
        return float(expected(raw[None])[0])

    def slope(raw: Values) -> Values:
        steps = STEP * np.eye(width)
        values = expected(np.concatenate([raw + s * steps for s in (1, -1, 2, -2)])).reshape(4, width)
        found: Values = (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * STEP)
        return found

    starts = [optimize.OptimizeResult(x=raw, fun=one(raw)) for raw in setting.raws[:STARTS].numpy()]
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
