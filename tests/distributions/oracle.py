"""The other side of the battery: the case's mpmath formulas, and sums and integrals of a log-density once checked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import mpmath as mp
import numpy as np
import torch

from tests.distributions.case import Case, Setting
from tests.distributions.rows import Rows, build, deep, ends, evaluate, fixed, grid, is_discrete, quantiles, snap

DIGITS = 50
TAIL_DIGITS = 300  # 1 - cdf down to 1e-200 keeps 100 digits
STEP = mp.mpf(10) ** -18  # relative: a central difference at 50 digits is then good to about 30
NODES, WEIGHTS = np.polynomial.legendre.leggauss(32)


def exact(setting: Setting) -> dict[str, Any]:
    """Return the parameters as mpf, digit for digit."""
    return {k: [mp.mpf(x) for x in v] if isinstance(v, tuple) else mp.mpf(v) for k, v in setting.items()}


def log_prob(case: Case, rows: Rows) -> np.ndarray:
    """Return the case's formula at each row, rounded to float64."""
    return np.array([_log_prob(case, tuple(setting.items()), y) for setting, y in rows])


@cache
def _log_prob(case: Case, items: tuple[Any, ...], y: float) -> float:
    with mp.workdps(DIGITS):
        return float(case.log_prob(mp.mpf(y), **exact(dict(items))))


def log_cdf(case: Case, rows: Rows, upper: bool = False) -> np.ndarray:
    """Return log P(Y <= y), or log P(Y > y) if ``upper``, by the case's cdf, else by summing its density."""
    return np.array([_log_cdf(case, tuple(setting.items()), y, upper) for setting, y in rows])


@cache
def _log_cdf(case: Case, items: tuple[Any, ...], y: float, upper: bool) -> float:
    setting = dict(items)
    if case.cdf is None:
        return measure(case, items).log_cdf(y, upper)
    for digits in (DIGITS, TAIL_DIGITS):
        with mp.workdps(digits):
            p = case.cdf(mp.mpf(y), **exact(setting))
            p = 1 - p if upper else p
            if p > mp.mpf(10) ** (20 - digits):  # twenty digits are left after a cancellation in cdf or 1 - cdf
                return float(mp.log(p))
    return -np.inf


def slopes(
    case: Case, rows: Rows, formula: Callable[..., Any], y: bool = True, tail: Sequence[bool] | None = None
) -> list[dict[Any, float]]:
    """Return the slopes of an mpmath formula(y, **parameters) in y and in every free parameter, at each row.

    Rows marked in ``tail`` are computed with the digits that 1 - cdf needs there.
    """
    out = []
    for place, (setting, point) in enumerate(rows):
        sizes = [abs(x) for v in (point, *setting.values()) for x in np.atleast_1d(v) if x != 0]
        # the step for a number that is 0: small beside every other number, and beside one over it, since a density may
        # depend on their product
        unit = min((*sizes, *(1 / x for x in sizes)), default=1.0)
        digits = TAIL_DIGITS if tail is not None and tail[place] else DIGITS
        with mp.workdps(digits + 2 * int(-np.log10(unit))):
            parameters = exact(setting)
            slope: dict[Any, float] = {"y": _central(lambda t, p=parameters: formula(t, **p), point, unit)} if y else {}
            for name, value in parameters.items():
                if name in fixed(case):
                    continue
                for j, x in enumerate(value if isinstance(value, list) else [value]):

                    def moved(t: Any, p: dict = parameters, point: float = point, name: str = name, j: int = j) -> Any:
                        part = [*p[name][:j], t, *p[name][j + 1 :]] if isinstance(p[name], list) else t
                        return formula(mp.mpf(point), **(p | {name: part}))

                    slope[(name, j) if isinstance(value, list) else name] = _central(moved, x, unit)
            out.append(slope)
    return out


def _central(f: Callable[[Any], Any], x: Any, unit: float) -> float:
    x = mp.mpf(x)
    h = STEP * (abs(x) or unit)
    return float((f(x + h) - f(x - h)) / (2 * h))


class Measure:
    """The law as points with log-weights: its lattice, or Gauss-Legendre nodes between quantiles far into both tails.

    The log-density is the package's own (its values are checked against mpmath first); only where the nodes lie uses
    its cdf. ``cuts`` are the places at which distribution functions can be asked for.
    """

    def __init__(self, case: Case, setting: Setting, cuts: np.ndarray | None = None) -> None:
        self.low, self.high = ends(case, setting)
        self._density = build(case, setting).log_prob
        if is_discrete(case):
            first, last = (snap(case, setting, float(y)) for y in _quantiles(case, setting)[[0, -1]])
            self.cuts = self.y = _lattice(case, setting, max(self.low, first), min(self.high, last))
            self._discrete, log_weight = True, np.zeros_like(self.y)
        else:
            self.cuts = _cuts(case, setting, self.low, self.high) if cuts is None else cuts
            self._discrete = False
            y, log_weight = _nodes(self.cuts[:-1], self.cuts[1:])
            atoms = np.array([a for a in case.atoms if self.low <= a <= self.high])
            y, log_weight = np.concatenate([y.ravel(), atoms]), np.concatenate([log_weight.ravel(), 0.0 * atoms])
            order = np.argsort(y, kind="stable")
            self.y, log_weight = y[order], log_weight[order]
        self.log_density = self._density(torch.from_numpy(self.y)).numpy()
        self._log_mass = log_weight + self.log_density
        self.mass = np.exp(self._log_mass)
        self._below = np.concatenate([[-np.inf], np.logaddexp.accumulate(self._log_mass)])
        self._above = np.concatenate([np.logaddexp.accumulate(self._log_mass[::-1])[::-1], [-np.inf]])

    def log_cdf(self, y: float, upper: bool = False) -> float:
        """Return log P(Y <= y), or log P(Y > y)."""
        if self._discrete or y in self.cuts:
            return float((self._above if upper else self._below)[self._place(y)])
        k = int(np.searchsorted(self.cuts, y))
        cut, low, high = (self.cuts[k], y, self.cuts[k]) if upper else (self.cuts[k - 1], self.cuts[k - 1], y)
        inner, log_weight = _nodes(np.array([low]), np.array([high]))
        part = np.logaddexp.reduce(self._density(torch.from_numpy(inner)).numpy() + log_weight, axis=None)
        return float(np.logaddexp(self.log_cdf(cut, upper), part))

    def log_mass(self, low: float, high: float) -> float:
        """Return log P(low < Y <= high)."""
        part = slice(self._place(low), self._place(high))
        return float(np.logaddexp.reduce(self._log_mass[part], initial=-np.inf))

    def expect(self, f: np.ndarray) -> tuple[float, bool]:
        """Return E f, and whether the sum has converged: its outermost hundredths carry nothing."""
        with np.errstate(invalid="ignore", over="ignore"):
            terms = np.where(self.mass > 0, self.mass * f, 0.0)
        rim = max(1, len(terms) // 100)
        size, outermost = np.abs(terms).sum(), np.abs(terms[:rim]).sum() + np.abs(terms[-rim:]).sum()
        return float(terms.sum()), bool(np.isfinite(size) and outermost <= 1e-9 * size)

    def _place(self, y: float) -> int:
        return int(np.searchsorted(self.y, y, side="right"))


@cache
def measure(case: Case, items: tuple[Any, ...], other: tuple[Any, ...] | None = None) -> Measure:
    """Return the law of a setting, given as tuple(setting.items()), as a measure; with the nodes of another one too."""
    if other is None or other == items or is_discrete(case):
        return Measure(case, dict(items)) if other is None else measure(case, items)
    own, more = measure(case, items), measure(case, other).cuts
    return Measure(case, dict(items), np.union1d(own.cuts, more[(more > own.low) & (more < own.high)]))


def _quantiles(case: Case, setting: Setting) -> np.ndarray:
    """Return points from the quantile at 1e-235 to that at 1 - 1e-235, well past the deepest rows, in steps of 1e-6."""
    decades = -np.log(10.0) * np.arange(1.0, 241.0, 6.0)
    lower, upper = (quantiles(case, setting, decades, side) for side in (False, True))
    return np.sort(np.concatenate([lower, upper]))


def _lattice(case: Case, setting: Setting, low: float, high: float) -> np.ndarray:
    if case.lattice is None:
        return np.arange(low, high + 1.0)
    points = np.asarray([float(point) for point in case.lattice(**setting)])
    return points[(points >= low) & (points <= high)]


def _nodes(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes and log-weights of the panels from ``low`` to ``high``, a row each."""
    half = 0.5 * (high - low)[:, None]
    return low[:, None] + half * (1.0 + NODES), np.log(half * WEIGHTS)


def _cuts(case: Case, setting: Setting, low: float, high: float) -> np.ndarray:
    """Return quantiles and more, so that no panel is long beside its distance to a finite end or to the centre."""
    own = [y for s, y in (*grid(case), *deep(case)) if s == setting]
    kinks = [] if case.kinks is None else [float(k) for k in case.kinks(**setting)]
    middle = evaluate(case, [(setting, 0.5)], "icdf")[0]
    points = np.concatenate([_quantiles(case, setting), own, kinks, [middle]])
    cuts = np.unique(points[(points > low) & (points < high) & np.isfinite(points)])
    out = [cuts]
    for side, end, sign in ((cuts[cuts <= middle], low, 1.0), (cuts[cuts >= middle], high, -1.0)):
        anchor, sign = (end, sign) if np.isfinite(end) else (middle, -sign)
        away = np.unique(np.abs(side - anchor))
        away = away[away > 0]
        if np.isfinite(end):  # a density may rise without bound towards an end
            away = np.concatenate([away[0] * 4.0 ** np.arange(-60.0, 0.0), away])
            away = away[away > np.finfo(float).tiny]
            out.append(np.array([end]))
        for a, b in itertools.pairwise(away):
            out.append(anchor + sign * np.geomspace(a, b, 1 + int(np.ceil(np.log(b / a) / np.log(4.0)))))
    joined = np.unique(np.concatenate(out))
    return joined[(joined >= low) & (joined <= high)]
