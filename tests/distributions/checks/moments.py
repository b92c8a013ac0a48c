"""Checks of mean, variance, stddev, mode, entropy and the divergence between two laws of the family."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.distributions import kl_divergence

from tests.distributions import oracle
from tests.distributions.case import Case
from tests.distributions.rows import agree, build, ends, groups, is_discrete, require


def check_moments(case: Case) -> None:
    """Mean and variance are the density's own, and scipy's; not finite where the integral is not."""
    for setting in case.parameters:
        law, measure = build(case, setting), oracle.measure(case, tuple(setting.items()))
        mean, variance = float(law.mean), float(law.variance)
        require(
            float(law.stddev) == pytest.approx(variance**0.5, rel=1e-12, nan_ok=True), f"{case.name}{setting}: stddev"
        )
        spread = abs(variance) ** 0.5 if np.isfinite(variance) else 1.0
        centre, converged = measure.expect(measure.y)
        if converged:
            agree(case, "mean", [(setting, 0.0)], [mean], [centre], 1e-8 * max(abs(centre), spread))
            with np.errstate(over="ignore"):
                square, converged = measure.expect((measure.y - centre) ** 2)
            if converged and not case.periodic:
                agree(case, "variance", [(setting, 0.0)], [variance], [square], 1e-8 * square)
        if case.scipy is not None:
            _as_scipy(case, setting, "mean", mean, float(case.scipy(**setting).mean()), spread)
            _as_scipy(case, setting, "variance", variance, float(case.scipy(**setting).var()), 0.0)


def check_entropy(case: Case) -> None:
    """The entropy is minus the mean log-density, and scipy's."""
    for setting in case.parameters:
        measure = oracle.measure(case, tuple(setting.items()))
        got = float(build(case, setting).entropy())
        want, converged = measure.expect(-measure.log_density)
        require(np.isfinite(got) or not converged, f"{case.name}{setting}: entropy {got}, want {want}")
        if converged:
            agree(case, "entropy", [(setting, 0.0)], [got], [want], 1e-9 * max(1.0, abs(want)))
        if case.scipy is not None:
            _as_scipy(case, setting, "entropy", got, float(case.scipy(**setting).entropy()), 1.0)


def _as_scipy(case: Case, setting: dict, what: str, got: float, want: float, scale: float) -> None:
    if np.isfinite(want):
        agree(case, f"{what} against scipy", [(setting, 0.0)], [got], [want], 1e-6 * max(abs(want), scale))
    else:
        require(not np.isfinite(got), f"{case.name}{setting}: {what} is {got}, scipy's {want}")


def check_mode(case: Case) -> None:
    """No point has a higher density than the mode."""
    for setting in case.parameters:
        law, measure = build(case, setting), oracle.measure(case, tuple(setting.items()))
        mode = law.mode
        if float(mode) in case.atoms:  # a point with mass outweighs any density
            continue
        top = float(law.log_prob(mode))
        if not np.isfinite(top) and not is_discrete(case):  # an end that an open support leaves out
            low, high = ends(case, setting)
            inner = np.nextafter(float(mode), high if float(mode) == low else low)
            top = float(law.log_prob(torch.tensor(inner, dtype=torch.float64)))
        best = measure.log_density[~np.isin(measure.y, case.atoms)].max()
        require(
            top >= best - 1e-9 * max(1.0, abs(best)),
            f"{case.name}{setting}: {top} at the mode {mode}, {best} elsewhere",
        )


def check_kl(case: Case) -> None:
    """KL between two laws of the family is the mean log-ratio: nought for equal laws, infinite beyond the other's support."""
    for s, t in itertools.product(case.parameters, repeat=2):
        if len(groups([s, t])) > 1:  # other numbers of categories, or another parametrisation
            continue
        p, q = build(case, s), build(case, t)
        if not case.kl:
            with pytest.raises(NotImplementedError):
                kl_divergence(p, q)
            continue
        measure = oracle.measure(case, tuple(s.items()), tuple(t.items()))
        try:
            got = float(kl_divergence(p, q))
        except NotImplementedError as error:
            raise AssertionError(f"{error}; if it has no closed form, say kl=False in the case") from error
        other = q.log_prob(torch.from_numpy(measure.y)).numpy()
        if (other[measure.mass > 1e-200] == -np.inf).any():
            require(got == np.inf, f"{case.name}: KL of {s} from {t} is {got}, not infinite")
            continue
        with np.errstate(
            invalid="ignore"
        ):  # both are -inf where a node has rounded to an end that the support leaves out
            ratio = measure.log_density - other
        want, converged = measure.expect(np.where(measure.mass > 0, ratio, 0.0))
        if converged or s is t:
            agree(case, f"KL from {t}", [(s, 0.0)], [got], [want], 1e-8 * max(1.0, abs(want)))
        else:
            require(not np.isfinite(got) or got > 0, f"{case.name}: KL of {s} from {t} is {got}")
