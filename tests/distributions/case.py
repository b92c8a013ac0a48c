"""One family's row in the battery: what test_battery.py needs to know of a univariate law to check every claim of it.

A file ``tests/distributions/cases/<snake_name>.py`` holds ``CASE = Case(...)``; it is discovered by its place alone.
The formulas come from the literature and share no code with the package.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Number = float | tuple[float, ...]  # a tuple is a parameter with an event axis: cutpoints, logits of categories
Setting = dict[str, Number]


@dataclass(frozen=True, eq=False)  # compared by identity, so that what is computed for a case can be cached by it
class Case:
    """Parameters and oracles of one univariate family.

    Attributes:
        family: the class under test.
        parameters: three to six ordinary settings: keyword arguments of the constructor. Settings of an alternative
            parametrisation may stand among them when ``log_prob`` (and ``scipy``, ``cdf``) take those keywords too.
        log_prob: independent mpmath formula, ``log_prob(y, **parameters)`` with mpf in and out, for y in the support.
            It must keep whatever precision ``mpmath.mp.dps`` asks for (so no Python floats such as ``0.1`` or
            ``math.pi`` inside).
        outside: points outside the support of every setting.
        extreme: hard ``(parameters, y)`` inside the support: value against mpmath in float64, finite value and finite
            gradients in float64 and float32 (the pair is rounded to float32 there, and left out if the rounded y or a
            parameter is then infinite or leaves its own space).
        values: further points inside the support of every setting (quantiles from 1e-10 to 1 - 1e-10 are added).
        scipy: frozen scipy.stats law, ``scipy(**parameters)``: witness for cdf, sf, moments, entropy.
        cdf: independent mpmath formula for P(Y <= y), ``cdf(y, **parameters)``, where scipy is poor. The battery takes
            1 - cdf at 300 digits for the upper tail. Without ``cdf`` and ``scipy`` it integrates (sums) ``log_prob``.
        float32: allowed float32 error in units of eps32 * max(1, |log_prob|, |y d log_prob/dy|, |p d log_prob/dp|),
            the condition number; raise it only with a written reason.
        fixed: parameters without a gradient (bounds of a lattice, say); those with a discrete constraint always are.
        kinks: function of the parameters that gives the points where log_prob or its derivative in y or in a parameter
            jumps (Laplace's loc); derivatives are not compared there, quadrature splits there.
        smooth: whether log_prob has a second derivative to compare between the kinks (gradgradcheck).
        lattice: for a discrete law whose points are not 0, 1, 2, …: function of the parameters that gives its points.
        atoms: points with positive mass in an otherwise continuous law (0 of Tweedie).
        cdf_tolerance: allowed float64 error of log_cdf and log_sf against the witness, in units of
            max(1, |value|, |y d value/dy|, |p d value/dp|); raise it only with a written reason.
        kl: False where KL between two laws of the family has no closed form (then torch must raise
            NotImplementedError for it).
        draws: how many samples are compared with the cdf; lower it only where the cdf takes more than a millisecond.
        periodic: True for a law of angles: log_prob goes on beyond the ends of one turn, the variance is the circular one.
    """

    family: type[Any]
    parameters: tuple[Setting, ...]
    log_prob: Callable[..., Any]
    outside: tuple[float, ...] = ()
    extreme: tuple[tuple[Setting, float], ...] = ()
    values: tuple[float, ...] = ()
    scipy: Callable[..., Any] | None = None
    cdf: Callable[..., Any] | None = None
    float32: float = 8.0
    fixed: tuple[str, ...] = ()
    kinks: Callable[..., tuple[float, ...]] | None = None
    smooth: bool = True
    lattice: Callable[..., Any] | None = None
    atoms: tuple[float, ...] = ()
    cdf_tolerance: float = 1e-11
    kl: bool = True
    draws: int = 20_000
    periodic: bool = False

    @property
    def name(self) -> str:
        """The class's name, as it stands in the tests' ids."""
        return self.family.__name__
