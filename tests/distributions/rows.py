"""The package's side of the battery: evaluate a family at rows (setting, y), each row with parameters of its own.

Giving each row its own parameters makes one vectorised call do for a whole grid of settings, and gives the slope in
every parameter at every row from one backward pass.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest import mock

import numpy as np
import torch

from likelihoods.distributions import looks
from tests.distributions.case import Case, Setting

Row = tuple[Setting, float]
Rows = Sequence[Row]
PROBABILITIES = (1e-10, 1e-6, 1e-3, 0.03, 0.2, 0.47, 0.75, 0.96, 0.999, 1 - 1e-6, 1 - 1e-10)
DEEP = (1e-20, 1e-50, 1e-100, 1e-200)


def require(holds: Any, message: str) -> None:
    """Raise if not ``holds``: an assert statement would vanish under ``python -O``, where the sweep runs too."""
    __tracebackhide__ = True
    if not holds:
        raise AssertionError(message)


def tensors(settings: Sequence[Setting], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Return the parameters of settings with the same names and lengths as tensors with one row a setting."""
    return {name: torch.tensor([setting[name] for setting in settings], dtype=dtype) for name in settings[0]}


def groups(settings: Iterable[Setting]) -> list[list[int]]:
    """Return the positions of the settings that can stand in one tensor: same names, same lengths."""
    found: dict[Any, list[int]] = {}
    for position, setting in enumerate(settings):
        found.setdefault(tuple((k, np.shape(v)) for k, v in sorted(setting.items())), []).append(position)
    return list(found.values())


@contextmanager
def blind() -> Iterator[list[int]]:
    """Let no law look at numbers, as on a device or in compiled code; yield a list that grows by one at each try."""
    tries: list[int] = []

    def span(x: torch.Tensor) -> tuple[float, float]:
        tries.append(x.numel())
        return math.nan, math.nan

    with mock.patch.object(looks, "span", span):
        yield tries


@contextmanager
def alone() -> Iterator[None]:
    """Put each row into a tensor of its own: no other row's numbers then decide by which formula it is evaluated."""
    with mock.patch.object(sys.modules[__name__], "groups", lambda settings: [[i] for i, _ in enumerate(settings)]):
        yield


def has_two_formulas(case: Case) -> bool:
    """Tell whether log_prob looks at its numbers, to evaluate moderate ones by a shorter formula."""
    law = build(case, case.parameters[0], validate_args=False)
    with blind() as tries:
        law.log_prob(torch.tensor(1.0 if is_discrete(case) else float(grid(case)[0][1]), dtype=torch.float64))
    return bool(tries)


def build(case: Case, setting: Setting, dtype: torch.dtype = torch.float64, **options: Any) -> Any:
    """Return the law of one setting, with parameters as tensors of the batch shape ()."""
    return case.family(**{k: v[0] for k, v in tensors([setting], dtype).items()}, **options)


def evaluate(case: Case, rows: Rows, method: str, dtype: torch.dtype = torch.float64, **options: Any) -> np.ndarray:
    """Return ``method`` of the family at each row."""
    out = np.empty(len(rows))
    for members in groups(setting for setting, _ in rows):
        law = case.family(**tensors([rows[i][0] for i in members], dtype), **options)
        got = getattr(law, method)(torch.tensor([rows[i][1] for i in members], dtype=dtype))
        require(got.dtype == dtype, f"{case.name}.{method}: {got.dtype} for {dtype}")
        require(got.shape == (len(members),), f"{case.name}.{method}: shape {tuple(got.shape)} for {len(members)} rows")
        out[members] = got.detach().double().numpy()
    return out


def slopes(
    case: Case, rows: Rows, method: str, dtype: torch.dtype = torch.float64, only: Callable[..., Any] | None = None
) -> tuple[np.ndarray, list[dict[Any, float]]]:
    """Return values, and the slopes in ``"y"`` and in every parameter without ``fixed``, at each row.

    A slope is keyed by the parameter's name, or by (name, index) for a parameter with an event axis. ``only`` picks
    the values that are summed before the backward pass.
    """
    out, slope = np.empty(len(rows)), [{} for _ in rows]
    for members in groups(setting for setting, _ in rows):
        parameters = tensors([rows[i][0] for i in members], dtype)
        y = torch.tensor([rows[i][1] for i in members], dtype=dtype, requires_grad=True)
        free = {"y": y} | {k: v.requires_grad_() for k, v in parameters.items() if k not in fixed(case)}
        got = getattr(case.family(**parameters), method)(y)
        out[members] = got.detach().double().numpy()
        total = (got if only is None else got[only(got)]).sum()
        found = torch.autograd.grad(total, list(free.values()), allow_unused=True) if total.requires_grad else ()
        for name, gradient in zip(free, found, strict=False):
            for place, i in enumerate(members):
                if gradient is None:
                    parts = np.zeros_like(rows[i][1] if name == "y" else rows[i][0][name], dtype=float)
                else:
                    parts = gradient[place].double().numpy()
                slope[i] |= (
                    {name: float(parts)}
                    if parts.ndim == 0
                    else {(name, j): float(part) for j, part in enumerate(parts)}
                )
    return out, slope


@cache
def fixed(case: Case) -> frozenset[str]:
    """Return the parameters without a gradient."""
    discrete = (k for k, c in case.family.arg_constraints.items() if getattr(c, "is_discrete", False))
    return frozenset(case.fixed) | frozenset(discrete)


@cache
def is_discrete(case: Case) -> bool:
    """Tell whether the family is a law of counts."""
    return bool(build(case, case.parameters[0]).support.is_discrete)


def ends(case: Case, setting: Setting) -> tuple[float, float]:
    """Return the ends of the support."""
    return _ends(case, tuple(setting.items()))


@cache
def _ends(case: Case, items: tuple[Any, ...]) -> tuple[float, float]:
    low, high = evaluate(case, [(dict(items), 0.0), (dict(items), 1.0)], "icdf")
    return float(low), float(high)


def rounded(row: Row) -> Row:
    """Return the row in numbers that float32 has."""
    setting, y = row
    with np.errstate(over="ignore"):
        return {
            k: tuple(map(float, np.float32(v))) if isinstance(v, tuple) else float(np.float32(v))
            for k, v in setting.items()
        }, float(np.float32(y))


def inside(case: Case, row: Row) -> bool:
    """Tell whether the parameters are valid and y is in the support, for a density not at its ends."""
    setting, y = row
    try:
        law = build(case, setting, validate_args=True)
    except ValueError:
        return False
    if not np.isfinite(y) or not all(np.isfinite(v).all() for v in setting.values()):
        return False
    if not bool(law.support.check(torch.tensor(y, dtype=torch.float64))):
        return False
    if is_discrete(case) or y in case.atoms:  # the ends of a law of a million counts are dear
        return True
    low, high = ends(case, setting)
    return low < y < high


@cache
def grid(case: Case, probabilities: tuple[float, ...] = PROBABILITIES) -> Rows:
    """Return rows at the quantiles of each setting and at the case's own values."""
    rows: list[Row] = []
    for setting in case.parameters:
        quantiles = evaluate(case, [(setting, p) for p in probabilities], "icdf")
        require(not np.isnan(quantiles).any(), f"{case.name}{setting}: icdf gives {quantiles}")
        points = sorted({float(q) for q in quantiles} | set(case.values))
        rows += [(setting, y) for y in points if inside(case, (setting, y))]
    return tuple(rows)


def quantiles(case: Case, setting: Setting, log_p: Sequence[float], upper: bool = False) -> np.ndarray:
    """Return points with log_cdf (log_sf if ``upper``) at ``log_p``, by bisection over all float64 numbers, to 6 digits."""
    sign = -1.0 if upper else 1.0
    middle = evaluate(case, [(setting, 0.5)], "icdf")[0]
    low, high = _order(np.full(len(log_p), -np.finfo(float).max)), _order(np.full(len(log_p), sign * middle))
    while ((high >> 1) - (low >> 1) > 2**29).any():
        trial = (low >> 1) + (high >> 1) + (low & high & 1)
        rows = [(setting, float(y)) for y in sign * _number(trial)]
        above = evaluate(case, rows, "log_sf" if upper else "log_cdf") > np.asarray(log_p)
        low, high = np.where(above, low, trial), np.where(above, trial, high)
    return sign * _number(low)


def _order(x: np.ndarray) -> np.ndarray:
    bits = np.asarray(x, dtype=np.float64).view(np.int64)
    return np.where(bits < 0, np.iinfo(np.int64).min - bits, bits)


def _number(order: np.ndarray) -> np.ndarray:
    return np.where(order < 0, np.iinfo(np.int64).min - order, order).view(np.float64)


@cache
def deep(case: Case) -> Rows:
    """Return rows far in both tails, at probabilities down to 1e-200 as far as the law and float64 reach."""
    rows: list[Row] = []
    for setting in case.parameters:
        for upper in (False, True):
            points = quantiles(case, setting, np.log(DEEP), upper)
            if is_discrete(case):
                points = [snap(case, setting, y) for y in points]
            rows += [(setting, float(y)) for y in dict.fromkeys(points) if inside(case, (setting, float(y)))]
    return tuple(rows)


def snap(case: Case, setting: Setting, y: float) -> float:
    """Return the lattice point at or below y."""
    if case.lattice is None:
        return float(np.floor(y))
    points = np.asarray([float(point) for point in case.lattice(**setting)])
    return float(
        points[points <= y + 1e-9 * max(1.0, abs(y))].max(initial=-np.inf)
    )  # a level may round to a hair below


def at_kink(case: Case, row: Row, reach: float = 0.0) -> bool:
    """Tell whether a derivative jumps within ``reach`` of the row's y."""
    setting, y = row
    return case.kinks is not None and any(abs(y - float(kink)) <= reach for kink in case.kinks(**setting))


def condition(rows: Rows, value: np.ndarray, slope: list[dict[Any, float]]) -> np.ndarray:
    """Return max(1, |value|, |y d value/dy|, |p d value/dp|) at each row; the slopes must be finite."""
    out = np.maximum(1.0, np.abs(value))
    for i, (setting, y) in enumerate(rows):
        for name, s in slope[i].items():
            x = y if name == "y" else setting[name[0]][name[1]] if isinstance(name, tuple) else setting[name]
            require(np.isfinite(s), f"the slope in {name} at {setting}, y = {y!r} is {s}")
            out[i] = max(out[i], abs(x * s))
    return out


def agree(case: Case, what: str, rows: Rows, got: Any, want: Any, tolerance: Any) -> None:
    """Raise, naming the worst row, unless |got - want| <= tolerance; infinities must be equal, and NaN is always wrong."""
    __tracebackhide__ = True
    got, want = np.asarray(got, dtype=float), np.asarray(want, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        wrong = ~((got == want) | (np.isfinite(want) & (np.abs(got - want) <= tolerance)))
        excess = np.where(wrong, np.nan_to_num(np.abs(got - want) / tolerance, nan=np.inf), -1.0)
    if wrong.any():
        i = int(excess.argmax())
        limit = np.broadcast_to(tolerance, got.shape)[i]
        raise AssertionError(
            f"{case.name} {what}: {int(wrong.sum())} of {wrong.size} rows wrong; worst at {rows[i][0]}, y = {rows[i][1]!r}: "
            f"got {got[i]!r}, want {want[i]!r}, error {abs(got[i] - want[i]):.3g} > {limit:.3g}"
        )
