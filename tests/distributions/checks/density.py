"""Checks of log_prob: value, precision, extremes, outside the support, slopes, curvature, total mass."""

from __future__ import annotations

import numpy as np
import torch

from tests.distributions import oracle
from tests.distributions.case import Case
from tests.distributions.rows import (
    PROBABILITIES,
    Rows,
    agree,
    alone,
    at_kink,
    blind,
    build,
    condition,
    deep,
    ends,
    evaluate,
    fixed,
    grid,
    has_two_formulas,
    inside,
    is_discrete,
    require,
    rounded,
    slopes,
    tensors,
)

DENSE = tuple(np.concatenate([PROBABILITIES, np.linspace(0.005, 0.995, 100), np.logspace(-12, -3, 30)]).tolist())
EPS32 = 2.0**-23
EPS64 = 2.0**-52
LARGEST32 = 1e30  # a true slope beyond this may overflow in float32


def check_log_prob(case: Case, rows: Rows | None = None) -> None:
    """The value is mpmath's within 1e-12 of max(1, |value|)."""
    rows = rows or (*grid(case), *deep(case))
    want = oracle.log_prob(case, rows)
    agree(case, "log_prob", rows, evaluate(case, rows, "log_prob"), want, 1e-12 * np.maximum(1.0, np.abs(want)))


def check_log_prob_densely(case: Case) -> None:
    """The same on a grid ten times as fine."""
    check_log_prob(case, grid(case, DENSE))


def check_log_prob_float32(case: Case, rows: Rows | None = None) -> None:
    """In float32 the value is mpmath's within a few ulp times the condition number."""
    rows = [row for row in map(rounded, rows or grid(case)) if inside(case, row)]
    want = oracle.log_prob(case, rows)
    _, slope = slopes(case, rows, "log_prob")
    tolerance = case.float32 * EPS32 * condition(rows, want, slope)
    agree(case, "log_prob in float32", rows, evaluate(case, rows, "log_prob", torch.float32), want, tolerance)


def check_extreme(case: Case) -> None:
    """Hard arguments: value and slopes are mpmath's in float64, and finite in float32 wherever float32 has the true one."""
    rows = case.extreme
    if not rows:
        return
    require(all(inside(case, row) for row in rows), f"{case.name}: an extreme row is outside the support")
    check_log_prob(case, rows)
    _slopes_agree(case, rows, tolerance=1e-7)
    rows = [row for row in map(rounded, rows) if inside(case, row)]
    want = oracle.log_prob(case, rows)
    got, slope = slopes(case, rows, "log_prob", torch.float32)
    true = oracle.slopes(case, rows, case.log_prob, y=not is_discrete(case))
    for i, row in enumerate(rows):
        require(
            np.isfinite(got[i]) or abs(want[i]) > LARGEST32, f"{case.name} float32 at {row}: {got[i]}, want {want[i]}"
        )
        for name, s in slope[i].items():
            small = abs(true[i].get(name, 0.0)) < LARGEST32
            require(np.isfinite(s) or not small, f"{case.name} float32 slope in {name} at {row}: {s}")


def check_outside(case: Case) -> None:
    """Outside the support log_prob is -inf and at NaN it is NaN, whether validation is on or off."""
    for validate in (True, False, None):
        points = (*case.outside, *(() if is_discrete(case) and case.lattice else (0.5, -1.5) * is_discrete(case)))
        rows = [(s, y) for s in case.parameters for y in (*points, np.inf, -np.inf)]
        got = evaluate(case, rows, "log_prob", validate_args=validate)
        agree(case, f"log_prob outside, validate_args={validate}", rows, got, np.full(len(rows), -np.inf), 0.0)
        rows = [(s, np.nan) for s in case.parameters]
        got = evaluate(case, rows, "log_prob", validate_args=validate)
        require(np.isnan(got).all(), f"{case.name}: log_prob(nan) is {got}, not nan")


def check_mixed_batch(case: Case) -> None:
    """Values outside the support and NaN spoil no slope: theirs is not NaN, nor is that of a parameter they share."""
    inner = grid(case)
    rows = [*inner, *((s, y) for s in case.parameters for y in (*case.outside, np.nan))]
    for method in ("log_prob", "cdf", "log_cdf", "log_sf"):
        for dtype in (torch.float64, torch.float32):
            kept = [row for row in map(rounded, rows) if np.isnan(row[1]) or row in rows or inside(case, row)]
            _, slope = slopes(case, kept, method, dtype)
            bad = [
                row
                for row, s in zip(kept, slope, strict=True)
                if not np.isnan(row[1]) and np.isnan([*s.values()]).any()
            ]
            require(not bad, f"{case.name}.{method}: a slope is NaN at {bad[:3]}")
    for setting in case.parameters:
        points = [y for s, y in inner if s is setting]
        with blind():
            _same_slopes(case, setting, points, 0.0)
        # a value outside may choose the other formula, which rounds otherwise: a sum of slopes may cancel to 0
        _same_slopes(case, setting, points, 8.0 * EPS64 * len(points))


def _same_slopes(case: Case, setting: dict, points: list[float], rounding: float) -> None:
    apart = _shared_slopes(case, setting, points)
    among = _shared_slopes(case, setting, [*points, *case.outside])
    for name, slope in apart.items():
        same = torch.allclose(slope, among[name], rtol=1e-9, atol=1e-12 * float(slope.abs().max()) + rounding)
        require(same, f"{case.name}{setting}: values outside change the slope in {name} from {slope} to {among[name]}")


def _shared_slopes(case: Case, setting: dict, points: list[float]) -> dict[str, torch.Tensor]:
    parameters = {k: v[0].requires_grad_(k not in fixed(case)) for k, v in tensors([setting], torch.float64).items()}
    got = case.family(**parameters).log_prob(torch.tensor(points, dtype=torch.float64))
    free = {k: v for k, v in parameters.items() if v.requires_grad}
    found = torch.autograd.grad(got[got > -torch.inf].sum(), list(free.values()))
    return dict(zip(free, found, strict=True))


def check_slopes(case: Case) -> None:
    """The slopes of log_prob in the value and in every parameter are mpmath's central differences."""
    _slopes_agree(case, grid(case), tolerance=1e-9)


def _slopes_agree(case: Case, rows: Rows, tolerance: float) -> None:
    rows = [row for row in rows if not at_kink(case, row) and row[1] not in case.atoms]
    value, got = slopes(case, rows, "log_prob")
    want = oracle.slopes(case, rows, case.log_prob, y=not is_discrete(case))
    for name in dict.fromkeys(name for w in want for name in w):
        kept = [i for i, w in enumerate(want) if name in w]
        at = [rows[i] for i in kept]
        x = np.array([_coordinate(row, name) for row in at])
        w = np.array([want[i][name] for i in kept])
        size = np.maximum(1.0, np.abs(value[kept]))
        with np.errstate(divide="ignore"):
            rounding = np.where(x == 0, 0.0, 1e-14 * size / np.abs(x))  # the slope in log x is as good as the value
        limit = np.maximum(rounding, tolerance * np.maximum(np.abs(w), size / np.maximum(1.0, np.abs(x))))
        agree(case, f"slope of log_prob in {name}", at, [got[i].get(name, np.nan) for i in kept], w, limit)


def _coordinate(row: tuple, name: object) -> float:
    setting, y = row
    return y if name == "y" else setting[name[0]][name[1]] if isinstance(name, tuple) else setting[name]


def check_curvature(case: Case) -> None:
    """Second derivatives of log_prob are those of its first derivatives (torch.autograd.gradgradcheck)."""
    if not case.smooth:
        return
    for setting in case.parameters:
        points = [y for s, y in grid(case, (0.03, 0.2, 0.71, 0.96)) if s is setting and y not in case.atoms]
        points = [y for y in points if not at_kink(case, (setting, y), 1e-4 * max(1.0, abs(y)))]
        numbers = tensors([setting | {"y": y} for y in points], torch.float64)
        at = {k: x for k, x in numbers.items() if k not in fixed(case) and not (k == "y" and is_discrete(case))}

        def density(*steps: torch.Tensor, at: dict = at, numbers: dict = numbers) -> torch.Tensor:
            """Each number moves by a step in units of its own size, since gradgradcheck's differences have one step."""
            pairs = zip(at.items(), steps, strict=True)
            moved = numbers | {k: x + torch.where(x == 0, 1.0, x.abs()) * step for (k, x), step in pairs}
            y = moved.pop("y")
            return case.family(**moved, validate_args=False).log_prob(y)

        steps = [torch.zeros_like(x, requires_grad=True) for x in at.values()]
        try:
            torch.autograd.gradgradcheck(density, steps, eps=1e-6, atol=1e-5, rtol=1e-4, fast_mode=True)
        except RuntimeError as error:
            raise AssertionError(f"{case.name}{setting}: {error}") from error


def check_each_row_alone(case: Case) -> None:
    """The short formula for moderate numbers keeps the claims above, row by row: others' numbers would rule it out."""
    if has_two_formulas(case):
        with alone():
            for check in (check_log_prob, check_log_prob_float32, check_extreme, check_slopes):
                check(case)


def check_without_a_look(case: Case) -> None:
    """The stable formula alone keeps the claims above: where no number can be looked at, there is no other."""
    if has_two_formulas(case):
        with blind():
            for check in (check_log_prob, check_log_prob_float32, check_extreme, check_outside, check_mixed_batch):
                check(case)
            check_slopes(case)
            check_curvature(case)


def check_total_mass(case: Case) -> None:
    """The density integrates (the masses sum) to one."""
    for setting in case.parameters:
        measure = oracle.measure(case, tuple(setting.items()))
        total = float(measure.mass.sum())
        require(abs(total - 1) < 1e-8, f"{case.name}{setting}: total mass {total!r}")


def check_support(case: Case) -> None:
    """The support's own test agrees with log_prob about every point."""
    rows = [*grid(case), *((s, y) for s in case.parameters for y in (*case.outside, np.nan))]
    for row in rows:
        said = bool(build(case, row[0]).support.check(torch.tensor(row[1], dtype=torch.float64)))
        found = bool(evaluate(case, [row], "log_prob")[0] > -np.inf)
        require(said == found, f"{case.name}: support says {said}, log_prob {found} at {row}")
    for setting in case.parameters:
        low, high = ends(case, setting)
        require(low < high, f"{case.name}{setting}: the support runs from {low} to {high}")
