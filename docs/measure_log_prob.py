"""How far log_prob is from mpmath, for this package's classes and for torch's and Pyro's of the same names.

``generate_distributions.py`` writes it down. The settings and the mpmath formulas are those of the tests, so that this needs
the checkout.
"""

from __future__ import annotations

import inspect
import itertools
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pyro.distributions
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

import likelihoods.distributions
from tests.distributions import oracle, rows, test_battery, test_multivariate

F64, F32 = torch.float64, torch.float32


def parameters(family: type[Any]) -> dict[str, inspect.Parameter]:
    """Return the constructor's parameters."""
    signature = inspect.signature(family.__init__).parameters
    return {name: p for name, p in signature.items() if name not in ("self", "validate_args")}


@dataclass
class Point:
    """Parameters of a law, a value, and the log-density there to 50 digits; ``want`` is -inf outside the support."""

    setting: dict[str, Any]
    y: Any
    want: float
    hard: bool = False


@dataclass
class Score:
    """The worst |error| / max(1, |log p|) over ordinary points and over hard ones, and failures."""

    worst: dict[bool, float] = field(default_factory=lambda: {False: 0.0, True: 0.0})
    failed: int = 0  # NaN, infinite or an exception inside the support
    outside: int = 0  # points outside the support with a density that is not 0
    inside_points: int = 0
    outside_points: int = 0

    def add(self, point: Point, got: float | None) -> None:
        """Count one value; None is an exception."""
        if point.want == -math.inf:
            self.outside_points += 1
            self.outside += got != -math.inf
            return
        self.inside_points += 1
        if got is None or not math.isfinite(got):
            self.failed += 1
            return
        error = abs(got - point.want) / max(1.0, abs(point.want))
        self.worst[point.hard] = max(self.worst[point.hard], error)


def case_names(family: type[Any]) -> list[str]:
    """Return the case files of a univariate family."""
    return [name for name in test_battery.NAMES if test_battery.load(name).family is family]


def points(family: type[Any], dtype: torch.dtype) -> list[Point]:
    """Return the points for one dtype: parameters, values and log-densities are numbers of that dtype."""
    largest = torch.finfo(dtype).max
    found = _points_on_the_line(family, dtype) if case_names(family) else list(_vector_points(family, dtype))
    return [point for point in found if point.want == -math.inf or abs(point.want) <= largest]


def condition(family: type[Any]) -> float:
    """Return the largest relative change of log p for a relative change of value or parameters, over the ordinary points."""
    worst = 0.0
    for name in case_names(family):
        case = test_battery.load(name)
        value, slope = rows.slopes(case, rows.grid(case), "log_prob")
        worst = max(worst, *(rows.condition(rows.grid(case), value, slope) / np.maximum(1.0, np.abs(value))))
    return worst


def _points_on_the_line(family: type[Any], dtype: torch.dtype) -> list[Point]:
    names, found = case_names(family), []
    for name in names:
        case = test_battery.load(name)
        hard = [(setting, y) for setting, y in case.extreme]
        for is_hard, group in ((False, rows.grid(case)), (True, hard)):
            kept = [rows.rounded(row) for row in group] if dtype is F32 else list(group)
            kept = [row for row in kept if rows.inside(case, row)]
            wants = oracle.log_prob(case, kept)
            found += [Point(setting, y, float(w), is_hard) for (setting, y), w in zip(kept, wants, strict=True)]
        found += [Point(setting, y, -math.inf) for setting in case.parameters for y in case.outside]
    return found


def _vector_points(family: type[Any], dtype: torch.dtype) -> Iterator[Point]:
    if family is likelihoods.distributions.VonMisesFisher:
        yield from _sphere_points(dtype)
        return
    if family.__name__ in ORDERS:
        yield from _order_points(family.__name__, dtype)
        return
    ours = {"multinomial": "Multinomial", "dirichlet": "Dirichlet", "dirichlet_multinomial": "DirichletMultinomial"}
    words = {"n": "total_count", "a": "concentration"}
    for name, given, y in test_multivariate.GRID:
        if ours[name] != family.__name__:
            continue
        kept = {k: _cast(v, dtype) if k != "n" else v for k, v in given.items()}
        point = _cast(y, dtype)
        with mp.workdps(oracle.DIGITS):
            exact = {k: [mp.mpf(x) for x in v] if isinstance(v, tuple) else mp.mpf(v) for k, v in kept.items()}
            want = float(test_multivariate.ORACLE[name]([mp.mpf(x) for x in point], **exact))
        setting = {words.get(k, k): v for k, v in kept.items()}
        yield Point(setting, point, want, hard=not all(1e-6 < abs(x) < 100 for x in _flat(given) if x))
        yield Point(setting, tuple(-x - 1.0 for x in point), -math.inf)


def _sphere_points(dtype: torch.dtype) -> Iterator[Point]:
    for dim in (2, 3, 10, 300):
        for k in (1e-3, 0.7, 60.0, 1e6):
            x = _cast((k,), dtype)[0]
            y = (0.6, 0.8, *[0.0] * (dim - 2))
            point = _cast(y, dtype)
            loc = (1.0, *[0.0] * (dim - 1))
            with mp.workdps(oracle.DIGITS):
                order, c = mp.mpf(dim) / 2 - 1, mp.mpf(x)
                normalizer = order * mp.log(c) - mp.mpf(dim) / 2 * mp.log(2 * mp.pi) - mp.log(mp.besseli(order, c))
                want = float(normalizer + c * mp.mpf(point[0]))
            yield Point({"loc": loc, "concentration": x}, point, want, hard=k > 100)
            yield Point({"loc": loc, "concentration": x}, tuple(2.0 * v for v in point), -math.inf)


ORDERS = ("FailureOrderBreslow", "FailureOrderEfron", "LabelString", "PlackettLuce")  # by logits (or log-hazards) alone


def _order_points(name: str, dtype: torch.dtype) -> Iterator[Point]:
    parameter = "log_hazard" if name.startswith("Failure") else "logits"
    rows_of = 3 if name == "LabelString" else 1
    values, nowhere = {
        "PlackettLuce": ([(2, 0, 3, 1), (0, 1, 2, 3)], (0, 0, 1, 2)),
        "LabelString": ([(1, 2, -1), (3, -1, -1), (-1, -1, -1), (2, 1, 2)], (1, 1, 1)),
    }.get(
        name, ([((2, 1), (1, 1), (2, 1), (3, 0)), ((1, 1), (2, 1), (3, 1), (4, 1))], ((1, 2), (1, 1), (1, 1), (1, 1)))
    )
    for size in (0.1, 1.0, 10.0, 1e4):
        base = [size * x for x in (0.3, -1.0, 0.8, 0.1, 1.2, -0.4, 0.0, -0.7, 0.5, 0.2, -0.9, 1.1)]
        logits = [_cast(tuple(base[4 * i : 4 * i + 4]), dtype) for i in range(rows_of)]
        setting = {parameter: tuple(logits) if rows_of > 1 else logits[0]}
        for y in values:
            with mp.workdps(oracle.DIGITS):
                want = float(_order_log_prob(name, [[mp.mpf(x) for x in row] for row in logits], y))
            yield Point(setting, y, want, hard=size > 100)
        yield Point(setting, nowhere, -math.inf)


def _order_log_prob(name: str, logits: list[list[Any]], y: Any) -> Any:
    """Return the log-probability by the definition: place by place, failure by failure, path by path."""
    rates = [[mp.exp(x) for x in row] for row in logits]
    if name == "LabelString":
        string = tuple(k for k in y if k >= 0)
        total = mp.mpf(0)
        for path in itertools.product(range(len(rates[0])), repeat=len(rates)):
            if tuple(k for k, _ in itertools.groupby(path) if k) == string:
                total += mp.fprod(row[k] / mp.fsum(row) for row, k in zip(rates, path, strict=True))
        return mp.log(total)
    rate = rates[0]
    if name == "PlackettLuce":
        return mp.fsum(mp.log(rate[k] / mp.fsum(rate[j] for j in y[i:])) for i, k in enumerate(y))
    found = mp.mpf(0)
    for when in {t for t, event in y if event}:
        tied = [i for i, (t, event) in enumerate(y) if t == when and event]
        at_risk = mp.fsum(rate[j] for j, (t, _) in enumerate(y) if t >= when)
        for k, i in enumerate(tied):
            less = mp.mpf(k) / len(tied) * mp.fsum(rate[j] for j in tied) if name.endswith("Efron") else 0
            found += mp.log(rate[i] / (at_risk - less))
    return found


def _cast(numbers: tuple[float, ...], dtype: torch.dtype) -> tuple[float, ...]:
    return tuple(torch.tensor(numbers, dtype=dtype).double().tolist())


def _flat(given: dict[str, Any]) -> Iterator[float]:
    for value in given.values():
        yield from value if isinstance(value, tuple) else (value,)


def build(family: type[Any], setting: dict[str, Any], dtype: torch.dtype) -> Any:
    """Return a law of ours."""
    whole = {"total_count"} if family.__name__ in ("Multinomial", "DirichletMultinomial") else set()
    tensors = {k: v if k in whole or isinstance(v, str) else torch.tensor(v, dtype=dtype) for k, v in setting.items()}
    return family(**tensors, validate_args=False)


def other_class(family: type[Any]) -> tuple[str, type[Any]] | None:
    """Return torch's or Pyro's own class of that name."""
    name = family.__name__
    if hasattr(torch.distributions, name):
        return "torch", getattr(torch.distributions, name)
    found = getattr(pyro.distributions, name, None)
    return ("Pyro", found) if isinstance(found, type) else None


def build_other(theirs: type[Any], ours: Any, setting: dict[str, Any], dtype: torch.dtype) -> Any:
    """Return torch's law, by the same keywords or, if it does not take them, by our law's other parameters.

    Raises:
        TypeError: it has parameters that ours lacks.
    """
    wanted = parameters(theirs)
    if set(setting) <= set(wanted):
        whole = {"total_count"} if "Multinomial" in theirs.__name__ else set()
        return theirs(
            **{k: v if k in whole else torch.tensor(v, dtype=dtype) for k, v in setting.items()}, validate_args=False
        )
    needed = [name for name, p in wanted.items() if p.default is inspect.Parameter.empty or name in setting]
    if "logits" in wanted and "logits" in dir(type(ours)) and "logits" not in needed:
        needed.append("logits")
    if not all(hasattr(ours, name) for name in needed):
        raise TypeError(f"{theirs.__name__} has other parameters")
    return theirs(**{name: getattr(ours, name) for name in needed}, validate_args=False)


def measure(family: type[Any], dtype: torch.dtype) -> tuple[Score, Score | None]:
    """Return the scores of our class, and of torch's or Pyro's, on the same points."""
    own, other = Score(), other_class(family)
    their: Score | None = Score() if other else None
    for point in points(family, dtype):
        law, y = build(family, point.setting, dtype), torch.tensor(point.y, dtype=dtype)
        own.add(point, float(law.log_prob(y)))
        if other is None or their is None:
            continue
        try:
            got = float(build_other(other[1], law, point.setting, dtype).log_prob(y))
        except TypeError:
            their = None
        except (ValueError, RuntimeError, NotImplementedError, IndexError, AssertionError):
            their.add(point, None)
        else:
            their.add(point, got)
    return own, their


def shown(score: Score) -> list[str]:
    """Return the cells of a score: the worst errors, and what failed."""
    cells = [f"{score.worst[hard]:.0e}" if score.worst[hard] else "0" for hard in (False, True)]
    failures = []
    if score.failed:
        failures.append(f"**{score.failed}** of {score.inside_points} inside")
    if score.outside:
        failures.append(f"**{score.outside}** of {score.outside_points} outside")
    return [*cells, ", ".join(failures) or "0"]
