"""Checks of cdf, log_cdf, log_sf, icdf and log_mass: both tails, the ends, slopes, and the mass of intervals."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import torch

from tests.distributions import oracle
from tests.distributions.case import Case
from tests.distributions.rows import (
    PROBABILITIES,
    Rows,
    agree,
    build,
    condition,
    deep,
    ends,
    evaluate,
    fixed,
    grid,
    inside,
    is_discrete,
    require,
    rounded,
    slopes,
    snap,
)

EPS32 = 2.0**-23
WEIGHTS = np.array([1 / 12, -2 / 3, 2 / 3, -1 / 12])  # the slope from four points, error of the fourth order
PLACES = np.array([-2.0, -1.0, 1.0, 2.0])


def check_tails(case: Case) -> None:
    """log_cdf and log_sf are right in both tails, down to probabilities of 1e-200, and cdf is the exponential."""
    for method, upper in (("log_cdf", False), ("log_sf", True)):
        rows, want, size = _witness(case, (*grid(case), *deep(case)), upper)
        agree(case, method, rows, evaluate(case, rows, method), want, case.cdf_tolerance * size)
        if not upper:
            tolerance = np.exp(want) * np.minimum(case.cdf_tolerance * size, 1e-9)
            agree(case, "cdf", rows, evaluate(case, rows, "cdf"), np.exp(want), np.maximum(tolerance, 1e-300))


def _witness(case: Case, rows: Rows, upper: bool) -> tuple[Rows, np.ndarray, np.ndarray]:
    """Return the rows with a tail, its logarithm, and its condition number.

    The slope in y is the oracle's, those in the parameters are the family's own; they cannot excuse much by themselves.
    """
    want = oracle.log_cdf(case, rows, upper)
    rows, want = [row for row, w in zip(rows, want, strict=True) if w > -np.inf], want[want > -np.inf]
    y = np.array([y for _, y in rows])
    size = np.maximum(np.maximum(1.0, np.abs(want)), np.abs(y) * np.exp(oracle.log_prob(case, rows) - want))
    _, slope = slopes(case, rows, "log_sf" if upper else "log_cdf")
    return rows, want, np.clip(condition(rows, want, slope), size, 100.0 * size)


def check_tails_float32(case: Case) -> None:
    """log_cdf and log_sf in float32: a few ulp times the condition number."""
    for method, upper in (("log_cdf", False), ("log_sf", True)):
        rows, want, size = _witness(case, [row for row in map(rounded, grid(case)) if inside(case, row)], upper)
        got = evaluate(case, rows, method, torch.float32)
        agree(case, f"{method} in float32", rows, got, want, 4 * case.float32 * EPS32 * size)


def check_scipy(case: Case) -> None:
    """Scipy's cdf and sf agree where it keeps its digits."""
    if case.scipy is None:
        return
    rows = grid(case)
    for method, name in (("log_cdf", "cdf"), ("log_sf", "sf")):
        want = np.array([getattr(case.scipy(**setting), name)(y) for setting, y in rows])
        got = np.exp(evaluate(case, rows, method))
        agree(case, f"{name} against scipy", rows, got, want, 1e-7 * want + 1e-14)


def check_outside(case: Case) -> None:
    """Below the support cdf is 0 and above it 1, at ±inf too; no slope there is NaN, and outside all are 0."""
    for setting in case.parameters:
        low, high = ends(case, setting)
        points = [y for y in case.outside if y < low or y > high]
        rows = [(setting, y) for y in (*points, -np.inf, np.inf)]
        below = np.array([y < low or y == -np.inf for _, y in rows])
        for method, under, over in (("cdf", 0.0, 1.0), ("log_cdf", -np.inf, 0.0), ("log_sf", 0.0, -np.inf)):
            for dtype in (torch.float64, torch.float32):
                got = evaluate(case, rows, method, dtype)
                agree(case, f"{method} outside", rows, got, np.where(below, under, over), 0.0)
                _, slope = slopes(case, rows[: len(points)], method, dtype)
                for row, s in zip(rows, slope, strict=False):
                    require(all(v == 0 for v in s.values()), f"{case.name}.{method}: slopes {s} outside at {row}")
        rows = [(setting, np.nan)]
        for method in ("cdf", "log_cdf", "log_sf", "icdf"):
            require(np.isnan(evaluate(case, rows, method)).all(), f"{case.name}.{method}(nan) is not nan")
        if is_discrete(case):
            between = [(setting, y + 0.25) for s, y in grid(case) if s is setting]
            floor = [(setting, snap(case, setting, y)) for _, y in between]
            for method in ("cdf", "log_cdf", "log_sf"):
                got = evaluate(case, between, method)
                agree(case, f"{method} between counts", between, got, evaluate(case, floor, method), 0.0)


def check_icdf(case: Case) -> None:
    """Icdf inverts cdf; at 0 and 1 it is an end of the support, beyond them NaN; on counts it is the smallest count."""
    for setting in case.parameters:
        got = evaluate(case, [(setting, p) for p in (-0.1, 1.1, -np.inf, np.inf)], "icdf")
        require(np.isnan(got).all(), f"{case.name}{setting}: icdf outside [0, 1] is {got}")
        rows = [(setting, y) for y in ends(case, setting) if np.isfinite(y) and not case.periodic]
        law = build(case, setting)
        for _, y in rows:
            step = 1.0 if is_discrete(case) and case.lattice is None else abs(y) * 1e-9 + 1e-9
            beyond = y - step if y == ends(case, setting)[0] else y + step
            outside = float(law.log_prob(torch.tensor(beyond, dtype=torch.float64)))
            require(
                outside == -np.inf, f"{case.name}{setting}: icdf gives the end {y}, but {beyond} has log_prob {outside}"
            )
    _icdf_of_counts(case) if is_discrete(case) else _icdf_of_density(case)


def _icdf_of_density(case: Case) -> None:
    chances = (1e-200, 1e-100, 1e-30, *PROBABILITIES)
    rows = [(setting, p) for setting in case.parameters for p in chances]
    y = evaluate(case, rows, "icdf")
    back = [(setting, point) for (setting, _), point in zip(rows, y, strict=True)]
    low = np.array([ends(case, setting)[0] for setting, _ in rows])
    reached = (y > low) & ~np.isin(y, case.atoms)  # a quantile nearer to the end than float64 can tell is the end
    rows, back = (
        [r for r, k in zip(rows, reached, strict=True) if k],
        [r for r, k in zip(back, reached, strict=True) if k],
    )
    log_p = np.log([p for _, p in rows])
    got, slope = slopes(case, back, "log_cdf")
    agree(case, "log_cdf(icdf(p)) at y", back, got, log_p, 10 * case.cdf_tolerance * condition(back, log_p, slope))
    rows = [row for row in grid(case) if row[1] not in case.atoms and evaluate(case, [row], "cdf")[0] < 1]
    p = evaluate(case, rows, "cdf")
    density = np.exp(evaluate(case, rows, "log_prob"))
    got = evaluate(case, [(setting, q) for (setting, _), q in zip(rows, p, strict=True)], "icdf")
    y = np.array([y for _, y in rows])
    agree(case, "icdf(cdf(y))", rows, got, y, 1e-10 * np.maximum(np.abs(y), p / density) + 4e-16 / density)


def _icdf_of_counts(case: Case) -> None:
    rows = [row for row in grid(case) if evaluate(case, [row], "cdf")[0] < 1]
    p = evaluate(case, rows, "cdf")
    at = [(setting, q) for (setting, _), q in zip(rows, p, strict=True)]
    agree(case, "icdf(cdf(y))", rows, evaluate(case, at, "icdf"), [y for _, y in rows], 0.0)
    draws = np.random.default_rng(0).random(40)
    ties = [
        (s, q) for (s, _), c in zip(rows, p, strict=True) for q in (np.nextafter(c, 0), np.nextafter(c, 1)) if 0 < q < 1
    ]
    at = [*ties, *((setting, q) for setting in case.parameters for q in (*draws, *PROBABILITIES))]
    y = evaluate(case, at, "icdf")
    q = np.array([q for _, q in at])
    here = [(setting, point) for (setting, _), point in zip(at, y, strict=True)]
    gap = [1e-6 * max(1.0, abs(point)) for point in y]
    before = [(setting, snap(case, setting, point - g)) for (setting, point), g in zip(here, gap, strict=True)]
    reached = (evaluate(case, here, "cdf") >= q) & (evaluate(case, before, "cdf") < q)
    wrong = [(row, point) for row, point, ok in zip(at, y, reached, strict=True) if not ok]
    require(not wrong, f"{case.name}.icdf is not the smallest count with cdf >= p at ((setting, p), got) {wrong[:3]}")


def check_slopes(case: Case) -> None:
    """The slopes of cdf, log_cdf and log_sf are the density's in y, and differences in every parameter."""
    rows = [row for row in grid(case) if row[1] not in case.atoms]
    log_density = oracle.log_prob(case, rows)
    sensitivity = condition(rows, *slopes(case, rows, "log_prob"))
    logs = {"log_cdf": oracle.log_cdf(case, rows), "log_sf": oracle.log_cdf(case, rows, upper=True)}
    for method in ("cdf", "log_cdf", "log_sf"):
        _, got = slopes(case, rows, method)
        if not is_discrete(case):
            sign = -1.0 if method == "log_sf" else 1.0
            want = sign * np.exp(log_density - logs.get(method, 0.0))
            tolerance = np.abs(want) * (1e-8 * np.maximum(1.0, np.abs(log_density)) + 1e-14 * sensitivity)
            agree(case, f"slope of {method} in y", rows, [s["y"] for s in got], want, tolerance)
        if case.cdf is not None:
            want = oracle.slopes(case, rows, _formula(case, method), y=False, tail=logs["log_sf"] < -40)
        else:
            want = _differences(case, rows, method)
        for name in dict.fromkeys(name for w in want for name in w):
            kept = [
                i for i, w in enumerate(want) if name in w and np.isfinite(logs.get(method, np.zeros(len(rows)))[i])
            ]
            w = np.array([want[i][name] for i in kept])
            size = np.maximum(np.abs(w), np.exp(logs["log_cdf"][kept]) if method == "cdf" else np.abs(w))
            limit = (1e-8 if case.cdf is not None else 1e-6) * np.maximum(size, 1e-7)
            at = [rows[i] for i in kept]
            agree(case, f"slope of {method} in {name}", at, [got[i].get(name, np.nan) for i in kept], w, limit)


def _formula(case: Case, method: str):
    if method == "cdf":
        return case.cdf
    if method == "log_cdf":
        return lambda y, **p: mp.log(case.cdf(y, **p))
    return lambda y, **p: mp.log(1 - case.cdf(y, **p))


def _differences(case: Case, rows, method: str) -> list[dict]:
    """Slopes in the parameters from the package's own values at four places (their values are checked elsewhere)."""
    out: list[dict] = [{} for _ in rows]
    names = [(i, name) for i, (setting, _) in enumerate(rows) for name in _coordinates(case, setting)]
    moved, steps = [], []
    for i, name in names:
        setting, y = rows[i]
        x = setting[name[0]][name[1]] if isinstance(name, tuple) else setting[name]
        h = 1e-3 * (abs(x) or 1.0)
        steps.append(h)
        for place in PLACES:
            if isinstance(name, tuple):
                value = tuple(v + h * place * (j == name[1]) for j, v in enumerate(setting[name[0]]))
                moved.append((setting | {name[0]: value}, y))
            else:
                moved.append((setting | {name: x + h * place}, y))
    values = evaluate(case, moved, method).reshape(-1, len(PLACES)) @ WEIGHTS / np.array(steps)
    for (i, name), slope in zip(names, values, strict=True):
        out[i][name] = slope
    return out


def _coordinates(case: Case, setting: dict) -> list:
    out: list = []
    for name, value in setting.items():
        if name not in fixed(case):
            out += [(name, j) for j in range(len(value))] if isinstance(value, tuple) else [name]
    return out


def check_icdf_slopes(case: Case) -> None:
    """The slopes of icdf are those of the inverse: 1 / density in p, -(slope of cdf) / density in a parameter."""
    if is_discrete(case):
        return
    rows = [(s, p) for s in case.parameters for p in (1e-6, 0.03, 0.2, 0.47, 0.75, 0.96, 0.999)]
    y, got = slopes(case, rows, "icdf")
    at = [(setting, point) for (setting, _), point in zip(rows, y, strict=True)]
    _, cdf = slopes(case, at, "cdf")
    for i, row in enumerate(at):
        if row[1] in case.atoms or not inside(case, row):
            continue
        density = np.exp(evaluate(case, [row], "log_prob")[0])
        for name, slope in got[i].items():
            want = (1.0 if name == "y" else -cdf[i][name]) / density
            agree(
                case,
                f"slope of icdf in {'p' if name == 'y' else name}",
                [rows[i]],
                [slope],
                [want],
                1e-7 * max(abs(want), 1e-3 * rows[i][1] / density),
            )


def check_log_mass(case: Case) -> None:
    """log_mass is right on wide, narrow, far, half-open and empty intervals."""
    for setting in case.parameters:
        items = tuple(setting.items())
        law, measure = build(case, setting), oracle.measure(case, items)
        own = sorted({y for s, y in (*grid(case), *deep(case)) if s is setting and measure.y[0] <= y <= measure.y[-1]})
        pairs = [(a, b) for i, a in enumerate(own) for b in (*own[i + 1 : i + 2], *own[i + 4 : i + 5])]
        want = [measure.log_mass(a, b) for a, b in pairs]
        pairs += [(-np.inf, y) for y in own] + [(y, np.inf) for y in own] + [(-np.inf, np.inf)]
        want += [*oracle.log_cdf(case, [(setting, y) for y in own])]
        want += [*oracle.log_cdf(case, [(setting, y) for y in own], upper=True), 0.0]
        pairs += [(y, y) for y in own] + [(own[-1], own[0]), (np.inf, -np.inf)] * (len(own) > 1)
        want += [-np.inf] * (len(pairs) - len(want))
        if not is_discrete(case):
            scale = np.diff(evaluate(case, [(setting, 0.25), (setting, 0.75)], "icdf"))[0]
            narrow = [(a, a + 1e-9 * scale) for a in own if a not in case.atoms]
            narrow = [
                (a, b) for a, b in narrow if b > a and inside(case, (setting, b)) and _is_flat(case, setting, a, b)
            ]
            middle = [(setting, a + 0.5 * (b - a)) for a, b in narrow]
            pairs += narrow
            want += [*(oracle.log_prob(case, middle) + np.log([b - a for a, b in narrow]))]
        got = law.log_mass(*torch.tensor(pairs, dtype=torch.float64).T)
        rows = [(setting | {"high": b}, a) for a, b in pairs]
        want = np.array(want)
        with np.errstate(invalid="ignore"):
            tolerance = np.nan_to_num(1e-9 * np.maximum(1.0, np.abs(want)))
        agree(case, "log_mass(y, high)", rows, got.numpy(), want, tolerance)


def _is_flat(case: Case, setting: dict, a: float, b: float) -> bool:
    """Tell whether the density is straight enough between a and b for its middle to give the mass within 1e-12."""
    lp = oracle.log_prob(case, [(setting, a), (setting, a + 0.5 * (b - a)), (setting, b)])
    return bool(abs(lp[2] - lp[0]) < 1e-6 and abs(lp[0] - 2 * lp[1] + lp[2]) < 1e-12)
