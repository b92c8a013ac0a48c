"""Divergences between laws of different families, against quadrature."""

import itertools
import math

import mpmath as mp
import numpy as np
import pytest
import torch
from torch.distributions import kl_divergence

from likelihoods.distributions import (
    Beta,
    ContinuousBernoulli,
    Exponential,
    Gamma,
    HalfNormal,
    InverseGamma,
    Kumaraswamy,
    LogNormal,
    Normal,
    StudentT,
    Uniform,
    Weibull,
)


def t(x):
    return torch.tensor(x, dtype=torch.float64)


def law(family, *parameters):
    return family(*map(t, parameters))


POSITIVE = [
    law(Exponential, 0.7),
    law(Gamma, 3.5, 1.25),
    law(Gamma, 0.6, 2.0),
    law(InverseGamma, 4.0, 3.0),
    law(LogNormal, 0.3, 0.4),
    law(Weibull, 2.0, 1.5),
    law(Weibull, 0.5, 0.8),
    law(HalfNormal, 1.5),
]
LINE = [law(HalfNormal, 1.5), law(StudentT, 5.0, 0.5, 2.0)]
UNIT = [
    law(Kumaraswamy, 2.0, 3.0),
    law(Kumaraswamy, 0.5, 0.7),
    law(Kumaraswamy, 8.0, 40.0),
    law(ContinuousBernoulli, 0.0),
    law(ContinuousBernoulli, 0.6),
    law(ContinuousBernoulli, -3.0),
    law(ContinuousBernoulli, 39.0),
    law(ContinuousBernoulli, 45.0),
    law(ContinuousBernoulli, -500.0),
]


NODES, WEIGHTS = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(20))


def quadrature(p, q, point, slope, low, high):
    """Integrate p log(p/q) over y = point(s), in short panels of s."""
    cuts = torch.linspace(low, high, 1 + int((high - low) * 6), dtype=torch.float64)
    half = 0.5 * cuts.diff()[:, None]
    s = cuts[:-1, None] + half * (NODES + 1)
    y = point(s)
    log_p, log_q = p.log_prob(y), q.log_prob(y)
    terms = torch.where(log_p > -700, log_p.exp() * (log_p - log_q), 0.0) * slope(s)
    return (half * WEIGHTS * terms).sum().item()


def over_positive(p, q):
    return quadrature(p, q, torch.exp, torch.exp, p.icdf(t(1e-40)).log().item(), 20.0 + p.icdf(t(0.999)).log().item())


def over_unit(p, q):
    return quadrature(p, q, torch.sigmoid, lambda s: s.sigmoid() * (-s).sigmoid(), -160.0, 36.0)


def over_line(p, q):
    return quadrature(p, q, torch.sinh, torch.cosh, -30.0, 30.0)


PAIRS = [(p, q) for p, q in itertools.product(POSITIVE, POSITIVE) if type(p) is not type(q)]
PAIRS += [(p, law(Normal, -0.5, 1.25)) for p in LINE]


@pytest.mark.parametrize(("p", "q"), PAIRS, ids=lambda x: repr(x))
def test_pairs(p, q):
    got = kl_divergence(p, q).item()
    want = over_line(p, q) if isinstance(p, StudentT) else over_positive(p, q)
    if isinstance(q, InverseGamma) and _no_mean_of_reciprocal(p):
        assert got == math.inf
    else:
        assert got == pytest.approx(want, rel=1e-8)


def _no_mean_of_reciprocal(p):
    shape = {
        Exponential: lambda: 1.0,
        HalfNormal: lambda: 1.0,
        Gamma: lambda: p.concentration,
        Weibull: lambda: p.concentration,
    }
    return type(p) in shape and shape[type(p)]() <= 1


@pytest.mark.parametrize("p", UNIT, ids=lambda x: repr(x))
@pytest.mark.parametrize(
    "q", [law(Beta, 2.0, 5.0), law(Beta, 0.7, 1.3), law(Beta, 300.0, 2.0), law(Beta, 1.0, 1.0)], ids=repr
)
def test_beta(p, q):
    got = kl_divergence(p, q).item()
    assert got == pytest.approx(over_unit(p, q), rel=1e-8, abs=1e-10)


def test_uniform():
    for p in UNIT:
        entropy = p.entropy().item()
        assert kl_divergence(p, law(Uniform, 0.0, 1.0)).item() == pytest.approx(-entropy, abs=1e-12)
        assert kl_divergence(p, law(Uniform, -1.0, 2.0)).item() == pytest.approx(math.log(3) - entropy)
        assert kl_divergence(p, law(Uniform, 0.1, 2.0)).item() == math.inf
    p = law(ContinuousBernoulli, 3.0)
    assert kl_divergence(law(Uniform, 0.0, 1.0), p).item() == pytest.approx(-p.log_prob(t(0.5)).item())
    assert kl_divergence(law(Uniform, 0.0, 1.5), p).item() == math.inf


def test_kumaraswamy_with_a_heavy_tail():
    """At b < 1 ten terms of the published series leave an error of 2.6 nats."""
    p, q = law(Kumaraswamy, 1.5, 0.5), law(Beta, 1.0, 5.0)
    with mp.workdps(30):

        def density(y):
            return mp.mpf(3) / 4 * mp.sqrt(y) / mp.sqrt(1 - y * mp.sqrt(y))

        def term(s):  # 1 - y = s²
            y = 1 - s * s
            return 2 * s * density(y) * (mp.log(density(y)) - mp.log(5) - 8 * mp.log(s))

        want = mp.quad(term, [mp.mpf(10) ** -13, 1e-6, 1e-3, 0.1, 0.5, 1])
    assert kl_divergence(p, q).item() == pytest.approx(float(want), rel=1e-10)


def test_infinite_variance():
    assert kl_divergence(law(StudentT, 2.0, 0.0, 1.0), law(Normal, 0.0, 1.0)).item() == math.inf
    assert kl_divergence(law(StudentT, 0.5, 0.0, 1.0), law(Normal, 0.0, 1.0)).item() == math.inf


@pytest.mark.parametrize(
    ("p", "q", "parameters"),
    [
        (Gamma, Weibull, (2.5, 1.25, 2.0, 1.5)),
        (Weibull, Gamma, (2.0, 1.5, 2.5, 1.25)),
        (LogNormal, InverseGamma, (0.3, 0.4, 4.0, 3.0)),
        (InverseGamma, LogNormal, (4.0, 3.0, 0.3, 0.4)),
        (HalfNormal, Weibull, (1.5, 2.0, 1.5)),
        (Exponential, HalfNormal, (0.7, 1.5)),
        (Kumaraswamy, Beta, (2.0, 3.0, 2.0, 5.0)),
        (ContinuousBernoulli, Beta, (0.0, 2.0, 5.0)),
        (ContinuousBernoulli, Beta, (-4.0, 2.0, 5.0)),
        (Kumaraswamy, Kumaraswamy, (2.0, 3.0, 0.8, 1.5)),
        (ContinuousBernoulli, ContinuousBernoulli, (0.0, -0.0)),
    ],
)
def test_slopes(p, q, parameters):
    width = 1 if p in (Exponential, HalfNormal, ContinuousBernoulli) else 2
    values = [t(x).requires_grad_() for x in parameters]
    assert torch.autograd.gradcheck(lambda *x: kl_divergence(p(*x[:width]), q(*x[width:])), values)


def test_shapes_and_float32():
    p = Weibull(torch.rand(3, 1) + 1, torch.rand(2) + 1)
    assert kl_divergence(p, Gamma(2.0, 1.0)).shape == (3, 2)
    assert kl_divergence(p, Gamma(2.0, 1.0)).dtype == torch.float32
    assert kl_divergence(Kumaraswamy(torch.rand(3) + 1, 2.0), Beta(1.0, 2.0)).shape == (3,)
