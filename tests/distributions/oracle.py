"""The other side of the battery: the case's mpmath formulas, and sums and integrals of a log-density once checked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import lru_cache
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


@lru_cache(maxsize=None)
def _log_prob(case: Case, items: tuple[Any, ...], y: float) -> float:
    with mp.workdps(DIGITS):
        return float(case.log_prob(mp.mpf(y), **exact(dict(items))))


def log_cdf(case: Case, rows: Rows, upper: bool = False) -> np.ndarray:
    """Return log P(Y <= y), or log P(Y > y) if ``upper``, by the case's cdf, else by summing its density."""
    return np.array([_log_cdf(case, tuple(setting.items()), y, upper) for setting, y in rows])


@lru_cache(maxsize=None)
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
        unit = min(sizes, default=1.0)  # the step for a number that is 0
        digits = TAIL_DIGITS if tail is not None and tail[place] else DIGITS
        with mp.workdps(digits + max(0, int(-np.log10(unit)))):
            parameters = exact(setting)
            slope: dict[Any, float] = {"y": _central(lambda t, p=parameters: formula(t, **p), point, unit)} if y else {}
            for name, value in parameters.items():
                if name in fixed(case):
                    continue
                if isinstance(value, list):
                    for j in range(len(value)):
                        def moved(t: Any, name: str = name, value: list[Any] = value, j: int = j) -> Any:
                            return formula(mp.mpf(point), **(parameters | {name: [*value[:j], t, *value[j + 1:]]}))
                        slope[name, j] = _central(moved, value[j], unit)
                else:
                    slope[name] = _central(lambda t, n=name: formula(mp.mpf(point), **(parameters | {n: t})), value, unit)
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

    def __init__(self, case: Case, setting: Setting, also: Sequence[float] = ()) -> None:
        self.discrete = is_discrete(case)
        self.low, self.high = ends(case, setting)
        decades = -np.log(10.0) * np.arange(1.0, 211.0, 6.0)
        inner = [quantiles(case, setting, decades, upper) for upper in (False, True)]
        if self.discrete:
            first, last = (snap(case, setting, float(y)) for y in (inner[0].min(), inner[1].max()))
            self.y = self.cuts = _lattice(case, setting, max(self.low, first), min(self.high, last))
            log_weight = np.zeros_like(self.y)
        else:
            own = [y for s, y in (*grid(case), *deep(case)) if s == setting]
            kinks = [] if case.kinks is None else [float(k) for k in case.kinks(**setting)]
            middle = evaluate(case, [(setting, 0.5)], "icdf")[0]
            cuts = _cuts(np.concatenate([*inner, own, kinks, [middle], also]), middle, self.low, self.high)
            half, centre = 0.5 * np.diff(cuts), cuts[:-1] + 0.5 * np.diff(cuts)
            y = centre[:, None] + half[:, None] * NODES
            atoms = [a for a in case.atoms if self.low <= a <= self.high]
            self.cuts, self.y = cuts, np.concatenate([y.ravel(), atoms])
            log_weight = np.concatenate([np.log(half[:, None] * WEIGHTS).ravel(), np.zeros(len(atoms))])
        order = np.argsort(self.y, kind="stable")
        self.y, self.log_weight = self.y[order], log_weight[order]
        self.log_density = build(case, setting).log_prob(torch.from_numpy(self.y)).numpy()
        log_mass = self.log_weight + self.log_density
        self.mass = np.exp(log_mass)
        self._below = np.concatenate([[-np.inf], np.logaddexp.accumulate(log_mass)])
        self._above = np.concatenate([np.logaddexp.accumulate(log_mass[::-1])[::-1], [-np.inf]])

    def log_cdf(self, y: float, upper: bool = False) -> float:
        """Return log P(Y <= y), or log P(Y > y)."""
        return float((self._above if upper else self._below)[self._place(y)])

    def log_mass(self, low: float, high: float) -> float:
        """Return log P(low < Y <= high)."""
        part = slice(self._place(low), self._place(high))
        return float(np.logaddexp.reduce((self.log_weight + self.log_density)[part], initial=-np.inf))

    def expect(self, f: np.ndarray) -> tuple[float, bool]:
        """Return E f, and whether the sum has converged: its outermost hundredths carry nothing."""
        with np.errstate(invalid="ignore", over="ignore"):
            terms = np.where(self.mass > 0, self.mass * f, 0.0)
        rim = max(1, len(terms) // 100)
        size = np.abs(terms).sum()
        return float(terms.sum()), bool(np.isfinite(size) and np.abs(terms[:rim]).sum() + np.abs(terms[-rim:]).sum() <= 1e-9 * size)

    def _place(self, y: float) -> int:
        return int(np.searchsorted(self.y, y, side="right"))


@lru_cache(maxsize=None)
def measure(case: Case, items: tuple[Any, ...], other: tuple[Any, ...] | None = None) -> Measure:
    """Return the law of a setting, given as tuple(setting.items()), as a measure; with the nodes of another one too."""
    if other is None:
        return Measure(case, dict(items))
    return measure(case, items) if is_discrete(case) else Measure(case, dict(items), measure(case, other).cuts)


def _lattice(case: Case, setting: Setting, low: float, high: float) -> np.ndarray:
    if case.lattice is None:
        return np.arange(low, high + 1.0)
    points = np.asarray([float(point) for point in case.lattice(**setting)])
    return points[(points >= low) & (points <= high)]


def _cuts(points: np.ndarray, middle: float, low: float, high: float) -> np.ndarray:
    """Sort the points and add more, so that no panel is long beside its distance to a finite end or to the centre."""
    cuts = np.unique(points[(points > low) & (points < high) & np.isfinite(points)])
    out = [cuts]
    for side, end, sign in ((cuts[cuts <= middle], low, 1.0), (cuts[cuts >= middle], high, -1.0)):
        anchor, sign = (end, sign) if np.isfinite(end) else (middle, -sign)
        away = np.unique(np.abs(side - anchor))
        away = away[away > 0]
        if np.isfinite(end):  # a density may rise without bound towards an end
            away = np.concatenate([away[0] * 4.0 ** np.arange(-60.0, 0.0), away])
            out.append(np.array([end]))
        for a, b in itertools.pairwise(away):
            out.append(anchor + sign * np.geomspace(a, b, 1 + int(np.ceil(np.log(b / a) / np.log(4.0)))))
    joined = np.unique(np.concatenate(out))
    return joined[(joined >= low) & (joined <= high)]
