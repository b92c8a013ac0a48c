"""Divergences of a family from itself that are integrals, against mpmath's quadrature of formulas written here."""

import functools
import math

import mpmath as mp
import pytest
import torch
from torch.distributions import kl_divergence

from likelihoods.distributions import (
    Barron,
    DirichletMultinomial,
    GeneralizedPareto,
    HyperbolicSecant,
    Logistic,
    LogLogistic,
    StudentT,
    Tweedie,
)
from likelihoods.divergences import kl, monte_carlo

DIGITS = 25


def t(x):
    return torch.tensor(x, dtype=torch.float64)


def law(family, parameters):
    return family(*map(t, parameters))


def logistic(x, loc, scale):
    z = abs(x - loc) / scale
    return -z - mp.log(scale) - 2 * mp.log1p(mp.exp(-z))


def hyperbolic_secant(x, loc, scale):
    return mp.log(mp.sech((x - loc) / scale) / (mp.pi * scale))


def student_t(x, df, loc, scale):
    constant = mp.loggamma((df + 1) / 2) - mp.loggamma(df / 2) - mp.log(df * mp.pi) / 2 - mp.log(scale)
    return constant - (df + 1) / 2 * mp.log1p(((x - loc) / scale) ** 2 / df)


def barron_loss(z, alpha):
    if alpha == 0:
        return mp.log1p(z * z / 2)
    if alpha == 2:
        return z * z / 2
    b = abs(alpha - 2)
    return b / alpha * ((z * z / b + 1) ** (alpha / 2) - 1)


@functools.cache
def barron_log_normalizer(alpha):
    cuts = [mp.mpf(k) / 4 for k in range(200)]
    return mp.log(2 * mp.quad(lambda u: mp.exp(-barron_loss(mp.sinh(u), alpha)) * mp.cosh(u), cuts))


def barron(x, loc, scale, alpha):
    return -barron_loss((x - loc) / scale, alpha) - barron_log_normalizer(alpha) - mp.log(scale)


def on_the_line(formula, p, q, reach, loc):
    """Integrate over x = sinh(u), between points that crowd at both centres."""
    with mp.workdps(DIGITS):
        p, q = (tuple(map(mp.mpf, x)) for x in (p, q))
        marks = {sign * min(mp.mpf(k) / 2, mp.mpf(2) ** (k / mp.mpf(4))) for k in range(60) for sign in (-1, 1)}
        marks |= {-mp.mpf(reach), mp.mpf(reach)}
        for one in (p, q):
            steps = [sign * one[loc + 1] * mp.mpf(4) ** k for k in range(-3, 16) for sign in (-1, 1)]
            marks |= {mp.asinh(one[loc] + step) for step in steps} | {mp.asinh(one[loc])}

        def term(u):
            x = mp.sinh(u)
            log_p = formula(x, *p)
            return mp.exp(log_p) * (log_p - formula(x, *q)) * mp.cosh(u)

        return float(mp.quad(term, sorted(u for u in marks if abs(u) <= reach)))


LOCATION_SCALE = [
    ((0.0, 1.0), (1.0, 1.0)),
    ((0.0, 1.0), (0.5, 3.0)),
    ((0.0, 1.0), (100.0, 1.0)),
    ((2.0, 1.0), (2.0, 1e4)),
    ((-3.5, 0.25), (0.0, 1.0)),
    ((0.0, 1.0), (0.25, 2.0**-10)),
    ((0.0, 1.0), (2.0**-10, 1.0 + 2.0**-10)),  # next to each other: 1e-7 nats
]


@pytest.mark.parametrize(("p", "q"), LOCATION_SCALE)
@pytest.mark.parametrize(("family", "formula"), [(Logistic, logistic), (HyperbolicSecant, hyperbolic_secant)])
def test_location_scale(family, formula, p, q):
    got = float(kl_divergence(law(family, p), law(family, q)))
    assert got == pytest.approx(on_the_line(formula, p, q, 10, 0), rel=1e-9)


def test_log_logistic_is_logistic_in_the_logarithm():
    p, q = (0.7, 1.6), (2.0, 30.0)
    want = on_the_line(logistic, (math.log(0.7), 1 / 1.6), (math.log(2.0), 1 / 30.0), 10, 0)
    assert float(kl_divergence(law(LogLogistic, p), law(LogLogistic, q))) == pytest.approx(want, rel=1e-12)


def test_equal_scales_have_a_closed_form():
    gap = 1.7
    want = gap / math.tanh(0.5 * gap) - 2.0
    assert float(kl_divergence(law(Logistic, (0.0, 1.0)), law(Logistic, (gap, 1.0)))) == pytest.approx(want, rel=1e-13)


@pytest.mark.parametrize(
    ("p", "q", "reach"),
    [
        ((4.0, 0.0, 1.0), (2.0, 1.0, 2.0), 40),
        ((1.0, 0.0, 1.0), (30.0, 0.0, 1.0), 60),
        ((0.25, 0.0, 1.0), (5.0, 2.0, 3.0), 280),
        ((30.0, 0.0, 1.0), (1.0, 0.125, 2.0**-10), 20),
        ((1e6, 0.0, 1.0), (3.0, 0.0, 1.0), 6),
        ((5.0, 0.0, 1.0), (1e8, 0.0, 3.0), 40),
        ((2.0, 0.0, 1.0), (2.0, 1e3, 0.125), 50),
    ],
)
def test_student_t(p, q, reach):
    got = float(kl_divergence(law(StudentT, p), law(StudentT, q)))
    assert got == pytest.approx(on_the_line(student_t, p, q, reach, 1), rel=1e-12)


def test_student_t_whose_tails_leave_floating_point():
    """At df = 0.05 the quantile at 1e-16 is beyond 1e308: log(p/q) goes on as a line in the depth."""
    p, q = (0.05, 0.0, 1.0), (3.0, 1.0, 1.0)
    assert float(kl_divergence(law(StudentT, p), law(StudentT, q))) == pytest.approx(
        on_the_line(student_t, p, q, 900, 1), rel=1e-11
    )


@pytest.mark.parametrize(
    ("p", "q", "reach"),
    [
        ((0.0, 1.0, 1.0), (1.0, 2.0, 0.5), 8),
        ((0.0, 1.0, 0.5), (1.0, 2.0, 3.0), 20),
        ((0.0, 1.0, 2.0), (0.5, 1.0, 1.875), 8),
        ((0.0, 1.0, 0.0), (0.0, 1.0, 0.5), 130),
        ((0.0, 1.0, 0.0), (1.0, 0.125, 0.0), 60),
        ((-3.0, 0.25, 50.0), (0.0, 1.0, 1.0), 6),
    ],
)
def test_barron(p, q, reach):
    got = float(kl_divergence(law(Barron, p), law(Barron, q)))
    assert got == pytest.approx(on_the_line(barron, p, q, reach, 0), rel=1e-12)


def test_barron_near_the_cauchy_law():
    """The tail beyond floating point is a power for alpha = 0; where it is none, and counts, nothing is claimed."""
    p, others = Barron(t(0.0), 1.0, 0.0), Barron(t(0.0), 1.0, t([0.0, 0.5, 0.99, 1.0, 2.0]))
    value = kl_divergence(p, others)
    assert value[0] == 0
    assert value[3] == value[4] == math.inf
    # up to z = sinh(24), and beyond two Cauchy tails of density √2/(π z²) under a loss of (b/alpha)·(z/√b)^alpha
    a, b = 0.99, 1.01
    body = on_the_line(barron, (0.0, 1.0, 0.0), (0.0, 1.0, 0.99), 24, 0)
    tail = 2 * math.sqrt(2) / math.pi * b ** (1 - a / 2) / a * math.sinh(24) ** (a - 1) / (1 - a)
    assert float(value[2]) == pytest.approx(body + tail, rel=1e-6)
    assert kl_divergence(Barron(t(0.0), 1.0, 1e-5), others)[2].isnan()


def generalized_pareto(p, q):
    """Integrate over the exponential variable of which p is a function."""
    with mp.workdps(DIGITS):
        (m, s, a), (m2, s2, b) = (tuple(map(mp.mpf, x)) for x in (p, q))

        def hazard(z):
            return mp.log1p(b * z) / b if b != 0 else z

        def term(u):
            y = m + s * (mp.expm1(a * u) / a if a != 0 else u)
            return mp.exp(-u) * ((1 + b) * hazard((y - m2) / s2) - (1 + a) * u + mp.log(s2 / s))

        cuts = [0, *(mp.mpf(2) ** k for k in range(-40, 0)), *range(1, 120, 1), 150, 200, 400, 800]
        return float(mp.quad(term, cuts))


@pytest.mark.parametrize(
    ("p", "q"),
    [
        ((0.0, 1.0, 0.0), (-1.0, 2.0, 0.5)),
        ((0.0, 1.0, 0.5), (0.0, 2.0, 0.0)),
        ((0.0, 1.0, 0.95), (0.0, 1.0, 0.0)),
        ((0.0, 1.0, 1.25), (0.0, 1.0, 2.0**-30)),
        ((0.0, 1.0, 20.0), (0.0, 1.0, 0.5)),
        ((0.0, 1.0, -0.5), (0.0, 1.0, -0.25)),
        ((0.0, 1.0, -0.5), (-1.0, 1.0, 0.25)),
        ((0.5, 1.0, -2.0), (0.0, 3.0, -2.0)),
        ((0.0, 1.0, -0.5), (0.0, 2.0**-16, 0.75)),
        ((0.0, 1.0, 0.25), (0.0, 2.0**-20, 1.0)),
        ((1000.0, 2.0**-10, 0.125), (0.0, 1e3, 0.125)),
        ((0.0, 1.0, -(2.0**-10)), (0.0, 2000.0, -1.0)),
    ],
)
def test_generalized_pareto(p, q):
    got = float(kl_divergence(law(GeneralizedPareto, p), law(GeneralizedPareto, q)))
    assert got == pytest.approx(generalized_pareto(p, q), rel=1e-11)


def test_generalized_pareto_asks_for_the_support_first():
    """Of the laws on [0, 2], [0, 1], [0, ∞) and [0.5, ∞) each is compared with each."""
    p = GeneralizedPareto(t([0.0, 0.0, 0.0, 0.5]), t([1.0, 0.5, 1.0, 1.0]), t([-0.5, -0.5, 0.25, 0.25]))
    value = kl_divergence(
        p.expand((4, 4)), GeneralizedPareto(p.loc[:, None], p.scale[:, None], p.concentration[:, None])
    )
    finite = torch.tensor([[1, 1, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]], dtype=torch.bool)  # row q, column p
    assert torch.equal(value < math.inf, finite)
    assert (value.diag().abs() < 1e-15).all()
    assert kl_divergence(law(GeneralizedPareto, (0.0, 1.0, 1.0)), law(GeneralizedPareto, (0.0, 1.0, 0.0))) == math.inf
    same_end = kl_divergence(law(GeneralizedPareto, (0.0, 1.0, -0.5)), law(GeneralizedPareto, (0.0, 2.0, -1.0)))
    assert float(same_end) == pytest.approx(math.log(2.0) - 0.5, rel=1e-13)  # from the uniform law on [0, 2]


@pytest.mark.parametrize(
    ("family", "p", "q"),
    [
        (Logistic, (0.0, 1.0), (0.5, 2.0)),
        (HyperbolicSecant, (0.0, 1.0), (0.5, 2.0)),
        (LogLogistic, (0.7, 1.6), (2.0, 3.0)),
        (StudentT, (4.0, 0.0, 1.0), (2.0, 1.0, 2.0)),
        (Barron, (0.0, 1.0, 1.0), (1.0, 2.0, 0.5)),
        (GeneralizedPareto, (0.0, 1.0, -0.25), (-0.5, 3.0, -0.125)),
        (GeneralizedPareto, (0.0, 1.0, 0.0), (-0.5, 3.0, 0.25)),
        (Tweedie, (1.0, 1.0, 1.5), (2.0, 0.5, 1.25)),
    ],
)
def test_slopes_shapes_and_methods(family, p, q):
    width = len(p)
    values = [t(x).requires_grad_() for x in (*p, *q)]
    assert torch.autograd.gradcheck(lambda *x: kl_divergence(family(*x[:width]), family(*x[width:])), values)
    single = float(kl_divergence(law(family, p), law(family, q)))
    assert kl(law(family, p), law(family, q)).method == "quadrature"
    narrow = kl_divergence(family(*map(torch.tensor, p)), family(*map(torch.tensor, q)))
    assert narrow.dtype == torch.float32
    assert float(narrow) == pytest.approx(single, rel=1e-5)
    batch = kl_divergence(law(family, p).expand((3, 1)), law(family, q).expand((2,)))
    torch.testing.assert_close(batch, torch.full((3, 2), single, dtype=torch.float64), rtol=1e-13, atol=0)
    assert kl_divergence(law(family, p).expand((0, 2)), law(family, q)).shape == (0, 2)
    if family not in (StudentT, Barron):  # whose quantiles are iterated until all have converged
        mapped = torch.func.vmap(lambda x: kl_divergence(law(family, p), family(x, *map(t, q[1:]))))
        torch.testing.assert_close(mapped(t([q[0], q[0]])), batch[0])


def test_tweedie_that_its_grid_misses_is_left_to_the_adaptive_rule():
    """Near power 1 the density is a row of spikes; torch's rule says NaN, and kl() integrates."""
    p, q = law(Tweedie, (1.0, 1.0, 1.0001)), law(Tweedie, (2.0, 1.0, 1.5))
    assert kl_divergence(p, q).isnan()
    value, method, _ = kl(p, q)
    near = monte_carlo(p, q, samples=2000, seed=0)
    assert method == "quadrature"
    assert abs(value - near.value) < 5.0 * near.standard_error


def compositions(total, kinds):
    if kinds == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in compositions(total - first, kinds - 1):
            yield (first, *rest)


MIXED = [(0.5, 1.5, 3.0), (0.25, 0.75, 0.5), (1.0, 1.0, 1.0), (7.0, 0.125, 2.0), (40.0, 30.0, 2.5)]


@pytest.mark.parametrize("total", [0, 1, 7])
def test_dirichlet_multinomial(total):
    """Mode and divergence against all compositions, scored by log-gammas."""
    every = t([[float(k) for k in one] for one in compositions(total, 3)])

    def masses(a):
        parts = torch.lgamma(every + t(a)) - torch.lgamma(t(a)) - torch.lgamma(every + 1.0)
        n, whole = t(float(total)), t(sum(a))
        return parts.sum(-1) + torch.lgamma(n + 1.0) + torch.lgamma(whole) - torch.lgamma(n + whole)

    laws = DirichletMultinomial(t(MIXED), total)
    found = kl_divergence(laws.expand((5, 5)), DirichletMultinomial(t(MIXED)[:, None], total))
    for j, a in enumerate(MIXED):
        mass = masses(a)
        assert laws.log_prob(laws.mode)[j] == pytest.approx(float(mass.max()), abs=1e-12)
        for k, b in enumerate(MIXED):
            assert float(found[k, j]) == pytest.approx(float((mass.exp() * (mass - masses(b))).sum()), abs=1e-12)
    if total:
        assert kl_divergence(laws, DirichletMultinomial(t(MIXED), total + 1)).tolist() == [math.inf] * 5
        assert kl(laws, laws).method == "enumeration"


def test_dirichlet_multinomial_slopes():
    a, b = t([0.5, 1.5, 3.0]).requires_grad_(), t([2.0, 0.5, 1.0]).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, y: kl_divergence(DirichletMultinomial(x, 6), DirichletMultinomial(y, 6)), [a, b]
    )
    many = DirichletMultinomial(torch.tensor([3.0, 2.0, 1.5]), 1_000_000)
    assert many.mode.sum() == 1_000_000
    assert DirichletMultinomial(torch.ones(0, 3), 4).mode.shape == (0, 3)
